"""One publisher's sound: packets in as they come, 20 ms of PCM out at every tick."""

import math
from collections.abc import Callable

import numpy as np

from media.jitter import JitterBuffer, Step, StepKind
from media.opus import Decoder, Pcm

TICK_SAMPLES = 960
FADE_SAMPLES = 240
START_DELAY_SAMPLES = 3 * TICK_SAMPLES
MAX_QUEUED_SAMPLES = 20 * TICK_SAMPLES

SPEAKING_RMS = 0.0056  # -45 dBFS
QUIET_RMS = 0.0032  # -50 dBFS
SPEAKING_AFTER_TICKS = 2
QUIET_AFTER_TICKS = 15  # 300 ms


# For cutting: compared at 8 kHz, over the length of the cross-fade; at least 2 ms are cut.
_COARSE = 6
_ALIKE = FADE_SAMPLES // _COARSE
_LEAST_CUT = 16
_QUIET = 1e-9
_FADE = np.linspace(0.0, 1.0, FADE_SAMPLES, dtype=np.float32)


class Voice:
    """Decodes what the jitter buffer lets through. `pull` is `None` while nothing is to be heard."""

    def __init__(
        self,
        *,
        decoder: Decoder,
        jitter: JitterBuffer | None = None,
        on_play: Callable[[bytes, int], None] | None = None,
    ) -> None:
        """`on_play` hears of each packet when it is played, in order, and at which sample of this tick."""
        self._on_play = on_play
        self.jitter = jitter or JitterBuffer()
        self.decoder = decoder
        self._rest: Pcm = np.zeros(0, np.float32)

    def push(self, payload: bytes, *, sequence: int, timestamp: int, ssrc: int) -> bool:
        """Take one RTP payload; False when it was dropped."""
        return self.jitter.push(payload, sequence=sequence, timestamp=timestamp, ssrc=ssrc)

    @property
    def drained(self) -> bool:
        """Whether all that was received has been heard."""
        return not len(self._rest) and self.jitter.pending_samples == 0

    def pull(self) -> Pcm | None:
        """The next 960 samples at unity level."""
        parts = [self._rest] if len(self._rest) else []
        have = len(self._rest)
        heard = have > 0
        while have < TICK_SAMPLES:
            step = self.jitter.next(TICK_SAMPLES - have)
            heard = heard or step.kind is not StepKind.SILENCE
            if step.kind is StepKind.PLAY and self._on_play is not None:
                self._on_play(step.payload, have)
            part = self._perform(step)
            have += len(part)
            parts.append(part)
        if not heard:
            return None
        pcm = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._rest = pcm[TICK_SAMPLES:]
        self.jitter.backlog_samples = len(self._rest)
        return pcm[:TICK_SAMPLES]

    def _perform(self, step: Step) -> Pcm:
        match step.kind:
            case StepKind.PLAY:
                pcm = self.decoder.decode(step.payload)
                if len(pcm) != step.samples:
                    pcm = _fit(pcm, step)
                return self._shorten(pcm, most=step.shrink) if step.shrink else pcm
            case StepKind.RECOVER:
                return self.decoder.recover(step.payload, step.samples)
            case StepKind.CONCEAL:
                return self.decoder.conceal(step.samples)
            case StepKind.SILENCE:
                return np.zeros(step.samples, np.float32)

    def _shorten(self, pcm: Pcm, *, most: int) -> Pcm:
        shorter = shortened(pcm, most=most)
        if len(shorter) < len(pcm):
            self.jitter.shrunk(len(pcm) - len(shorter))
        return shorter


def _fit(pcm: Pcm, step: Step) -> Pcm:
    """Cut what is late from the front."""
    pcm = pcm[step.skip :]
    if len(pcm) >= step.samples:
        return pcm[: step.samples]
    return np.concatenate([pcm, np.zeros(step.samples - len(pcm), np.float32)])


def shortened(pcm: Pcm, *, most: int) -> Pcm:
    """Up to `most` samples less, cut where the sound repeats itself, so that a voice loses whole periods.

    Compares at 8 kHz, of every stretch with every later one, and joins the two most alike by a cross-fade.
    """
    whole = len(pcm) // _COARSE
    coarse = pcm[: whole * _COARSE].reshape(whole, _COARSE).mean(axis=1)
    if whole < 2 * _ALIKE:
        return pcm
    energy = _running_sum(coarse * coarse)
    best, step, at = math.inf, 0, 0
    for candidate in range(min(most // _COARSE, whole - _ALIKE), _LEAST_CUT - 1, -1):
        apart = _running_sum(np.square(coarse[candidate:] - coarse[:-candidate]))
        unlike = apart / (energy[:-candidate] + energy[candidate:] + _QUIET)
        place = int(np.argmin(unlike))
        if unlike[place] < best:
            best, step, at = float(unlike[place]), candidate, place
    at, step = at * _COARSE, step * _COARSE
    old, new = pcm[at : at + FADE_SAMPLES], pcm[at + step : at + step + FADE_SAMPLES]
    return np.concatenate([pcm[:at], old + (new - old) * _FADE, pcm[at + step + FADE_SAMPLES :]])


def _running_sum(values: Pcm) -> Pcm:
    """Of each `_ALIKE` values in a row."""
    total = np.concatenate([np.zeros(1, np.float32), np.cumsum(values)])
    sums: Pcm = total[_ALIKE:] - total[:-_ALIKE]
    return sums


class PcmQueue:
    """Sound that somebody else decoded: begins 60 ms behind, and again so after it ran dry."""

    def __init__(self) -> None:
        self._waiting: Pcm = np.zeros(0, np.float32)
        self._filling = True

    def push(self, pcm: Pcm) -> None:
        """Take more; beyond 400 ms the oldest is dropped."""
        self._waiting = np.concatenate([self._waiting, pcm])[-MAX_QUEUED_SAMPLES:]
        if len(self._waiting) >= START_DELAY_SAMPLES:
            self._filling = False

    def end(self) -> None:
        """Nothing more will come: let out what waits."""
        self._filling = False

    def pull(self) -> Pcm | None:
        """The next 960 samples, `None` when they are not there."""
        if self._filling or len(self._waiting) < TICK_SAMPLES:
            self._filling = True
            return None
        pcm, self._waiting = self._waiting[:TICK_SAMPLES], self._waiting[TICK_SAMPLES:]
        return pcm

    @property
    def drained(self) -> bool:
        return len(self._waiting) < TICK_SAMPLES


class SpeakingDetector:
    """Says when someone begins and stops to speak: by level, with hysteresis and a hang-over."""

    def __init__(self) -> None:
        self.speaking = False
        self._run = 0

    def update(self, pcm: Pcm | None) -> bool:
        """Take one tick; True when `speaking` changed."""
        level = float(np.sqrt(np.dot(pcm, pcm) / len(pcm))) if pcm is not None else 0.0
        against = level < QUIET_RMS if self.speaking else level > SPEAKING_RMS
        self._run = self._run + 1 if against else 0
        if self._run < (QUIET_AFTER_TICKS if self.speaking else SPEAKING_AFTER_TICKS):
            return False
        self.speaking = not self.speaking
        self._run = 0
        return True
