"""Makes host.opus, cohost.opus and speaker.opus beside this file from lines.toml.

Needs the program espeak-ng; run it as `python -m api.demo.make_voices`. The files are kept in the repository,
so that a server never needs the program. The same espeak-ng and FFmpeg libraries make the same audio again.
"""

import subprocess
import tempfile
import tomllib
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
SAMPLE_RATE_HZ = 48_000
BIT_RATE = 24_000
FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
# Three voices at once stay below full scale, and each is as loud as the others.
SPEECH_RMS = 0.08
PEAK = 0.5

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Who speaks, and how espeak-ng is told to."""

    name: str
    voice: str
    rate: int
    pitch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that one voice says, `at_ms` from the start."""

    at_ms: int
    voice: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """All of lines.toml; `length_ms` is the length of every file."""

    length_ms: int
    voices: dict[str, Voice]
    lines: tuple[Line, ...]


def read_conversation(path: Path = HERE / "lines.toml") -> Conversation:
    """What lines.toml says; TypeError when a line or a voice has more or less than it should."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return Conversation(
        length_ms=document["length_ms"],
        voices={key: Voice(**value) for key, value in document["voices"].items()},
        lines=tuple(Line(**line) for line in document["lines"]),
    )


def speak(text: str, *, voice: Voice) -> Samples:
    """The text as mono samples at 48 kHz, at full length and espeak-ng's own level."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.wav"
        options = ["-v", voice.voice, "-s", str(voice.rate), "-p", str(voice.pitch)]
        subprocess.run(["espeak-ng", *options, "-w", str(path), text], check=True)
        with wave.open(str(path)) as source:
            rate_hz = source.getframerate()
            pcm = np.frombuffer(source.readframes(source.getnframes()), dtype="<i2")
    return resample(pcm, rate_hz=rate_hz)


def resample(pcm: NDArray[np.int16], *, rate_hz: int) -> Samples:
    """Signed 16-bit samples of any rate as floats at 48 kHz."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm[np.newaxis]), format="s16", layout="mono")
    frame.sample_rate = rate_hz
    parts = [out.to_ndarray()[0] for out in (*resampler.resample(frame), *resampler.resample(None))]
    return np.concatenate(parts).astype(np.float32)


def place(conversation: Conversation, voice_key: str) -> Samples:
    """One voice's file: its lines at their times, silence elsewhere; ValueError when a line has no room."""
    track = np.zeros(conversation.length_ms * SAMPLE_RATE_HZ // 1000, dtype=np.float32)
    free_from = 0
    for line in (line for line in conversation.lines if line.voice == voice_key):
        speech = speak(line.text, voice=conversation.voices[voice_key])
        start = line.at_ms * SAMPLE_RATE_HZ // 1000
        end = start + len(speech)
        print(f"{line.at_ms:6} to {end * 1000 // SAMPLE_RATE_HZ:6} ms  {voice_key:8} {line.text}")
        if start < free_from or end > len(track):
            raise ValueError(f"expected room for the line at {line.at_ms} ms of {voice_key}, got none")
        track[start:end] = speech
        free_from = end
    return level(track)


def level(track: Samples) -> Samples:
    """The track with its speech at the common loudness, and no peak above PEAK."""
    speech = track[np.abs(track) > 0.01]
    louder = track * (SPEECH_RMS / float(np.sqrt(np.mean(speech**2))))
    return louder * min(1.0, PEAK / float(np.max(np.abs(louder))))


def encode(track: Samples, *, path: Path) -> None:
    """Write the track as Ogg Opus, mono, in packets of 20 ms."""
    with av.open(str(path), "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(
            "libopus",
            rate=SAMPLE_RATE_HZ,
            layout="mono",
            options={"application": "voip", "frame_duration": "20"},
        )
        stream.bit_rate = BIT_RATE
        for start in range(0, len(track), FRAME_SAMPLES):
            block = np.ascontiguousarray(track[np.newaxis, start : start + FRAME_SAMPLES])
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    """Make the three files and say how large they are."""
    conversation = read_conversation()
    for key in conversation.voices:
        path = HERE / f"{key}.opus"
        encode(place(conversation, key), path=path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
