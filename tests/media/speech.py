"""Speech that espeak-ng speaks, and how much of it a recording holds and how well it is understood."""

import subprocess
from dataclasses import dataclass
from functools import cache
from math import gcd

import numpy as np
from numpy.typing import NDArray
from pystoi import stoi
from scipy.signal import correlate, correlation_lags, resample_poly

from tests.media.sound import SAMPLE_RATE_HZ, Signal

SENTENCES = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It is easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls.",
    "The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck.",
    "The hogs were fed chopped corn and garbage.",
    "Four hours of steady work faced us.",
    "A large size in stockings is hard to sell.",
)
PIECE_SAMPLES = SAMPLE_RATE_HZ // 10
# A piece this far below the loudest is a pause between words.
PAUSE_DB = -30.0
LOST_DB = -6.0
# About as long as a word; it may come so much sooner or later than the one before it.
WORD_SAMPLES = SAMPLE_RATE_HZ * 2 // 5
SEARCH_SAMPLES = SAMPLE_RATE_HZ // 5
ALIKE = 0.5


@cache
def speech(sentences: int = 3, *, level: float = 0.5) -> Signal:
    """The first of the sentences, mono at 48 kHz, with a pause behind each; `level` is its peak."""
    text = "\n".join(SENTENCES[:sentences])
    command = ["espeak-ng", "--stdin", "--stdout", "-v", "en-us", "-s", "150"]
    spoken = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    # espeak-ng does not know the length when it writes the header, so the wave module refuses it.
    rate_hz = int.from_bytes(spoken[24:28], "little")
    samples = np.frombuffer(spoken[44:], "<i2").astype(np.float32)
    common = gcd(SAMPLE_RATE_HZ, rate_hz)
    sound = resample_poly(samples, SAMPLE_RATE_HZ // common, rate_hz // common)
    loud: Signal = (level * sound / np.abs(sound).max()).astype(np.float32)
    return loud


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What became of speech. `kept`: how much of it is there; `stoi`: how well it is understood; both 0 to 1.

    `begin_s` and `end_s`: by how much its first and last words come later than they were said.
    """

    begin_s: float
    end_s: float
    kept: float
    stoi: float


def place(said: Signal, heard: Signal) -> int:
    """At which sample of `heard` what was said begins; negative when its beginning is missing."""
    scores = correlate(heard, said, mode="full", method="fft")
    lags = correlation_lags(len(heard), len(said), mode="full")
    return int(lags[int(np.argmax(scores))])


def cut(signal: Signal, at: int, samples: int) -> Signal:
    """As many samples from a place on; silence where there are none."""
    inside = signal[max(0, at) : max(0, at + samples)]
    before = min(samples, max(0, -at))
    return np.pad(inside, (before, samples - before - len(inside)))


def levels(signal: Signal) -> NDArray[np.float64]:
    """Of each tenth of a second."""
    whole = signal[: len(signal) // PIECE_SAMPLES * PIECE_SAMPLES].astype(np.float64)
    return np.asarray(np.sqrt((whole.reshape(-1, PIECE_SAMPLES) ** 2).mean(axis=1)))


def compare(said: Signal, heard: Signal, *, from_s: float = 0.0, near_s: float = 0.0) -> Heard:
    """Lay what was heard, from a moment on, on what was said, word by word, beginning somewhere near.

    A jitter buffer takes its time back by playing up to 3 % faster, so that one place for the whole would not
    do: each word is looked for near the one before it.
    """
    begin = max(0, round(near_s * SAMPLE_RATE_HZ) - 12 * WORD_SAMPLES)
    lag = begin + place(said[: 4 * WORD_SAMPLES], heard[begin : begin + 24 * WORD_SAMPLES])
    beside: list[Signal] = []
    lags: list[float] = []
    for at in range(0, len(said), WORD_SAMPLES):
        word = said[at : at + WORD_SAMPLES]
        near = cut(heard, at + lag - SEARCH_SAMPLES, len(word) + 2 * SEARCH_SAMPLES)
        scores = correlate(near, word, mode="valid", method="fft")
        best = int(np.argmax(scores))
        norm = float(np.linalg.norm(near[best : best + len(word)]) * np.linalg.norm(word))
        if norm > 0 and scores[best] > ALIKE * norm:
            lag += best - SEARCH_SAMPLES
            lags.append(lag / SAMPLE_RATE_HZ + from_s)
        beside.append(cut(heard, at + lag, len(word)))
    found = np.concatenate(beside)
    sent, got = levels(said), levels(found)
    spoken = sent > sent.max() * 10 ** (PAUSE_DB / 20)
    there = got > sent * 10 ** (LOST_DB / 20)
    return Heard(
        begin_s=lags[0],
        end_s=lags[-1],
        kept=float(np.count_nonzero(spoken & there) / np.count_nonzero(spoken)),
        stoi=float(stoi(said, found, SAMPLE_RATE_HZ)),
    )
