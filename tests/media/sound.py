"""What the tests ask of sound: decode a file, find a tone's level, find a signal's place."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

SAMPLE_RATE_HZ = 48_000

Signal = NDArray[np.float32]


def decode(source: Path | bytes) -> Signal:
    """All samples of an audio file; raises on the first thing the decoder objects to."""
    opened = BytesIO(source) if isinstance(source, bytes) else str(source)
    with av.open(opened, "r", options={"err_detect": "explode"}) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames) if frames else np.zeros(0, np.float32)


def tone_level_db(signal: Signal, *, frequency_hz: float, reference: float) -> float:
    """Peak level of a tone against a reference peak."""
    window = np.hanning(len(signal))
    spectrum = np.abs(np.fft.rfft(signal * window)) * 2 / window.sum()
    bin_number = round(frequency_hz * len(signal) / SAMPLE_RATE_HZ)
    found = float(spectrum[max(0, bin_number - 3) : bin_number + 4].max())
    return 20 * float(np.log10(max(found, 1e-9) / reference))


def steady_level_db(signal: Signal, *, frequency_hz: float, reference: float) -> float:
    """The middle of its levels over each 0.1 s: a late packet on a busy machine lowers one of them."""
    size = SAMPLE_RATE_HZ // 10
    pieces = [signal[at : at + size] for at in range(0, len(signal) - size + 1, size)]
    levels = [tone_level_db(piece, frequency_hz=frequency_hz, reference=reference) for piece in pieces]
    return float(np.median(levels))


def place_of(piece: Signal, *, within: Signal) -> tuple[int, float]:
    """Where a piece begins in a signal, and the normalised correlation there."""
    scores = correlate(within, piece, mode="valid", method="fft")
    at = int(np.argmax(scores))
    found = within[at : at + len(piece)]
    norm = float(np.linalg.norm(found) * np.linalg.norm(piece))
    return at, float(scores[at]) / norm if norm else 0.0


def noise(*, seconds: float, level: float = 0.2, seed: int = 1) -> Signal:
    """Band-limited noise: every stretch of it is found in one place only."""
    generator = np.random.default_rng(seed)
    white = generator.standard_normal(round(seconds * SAMPLE_RATE_HZ))
    # Waveform coding keeps what is below 1 kHz; above, Opus keeps the spectrum alone.
    smooth = np.convolve(white, np.hanning(96), mode="same")
    scaled: Signal = (smooth / np.abs(smooth).max() * level).astype(np.float32)
    return scaled


def opus_packets(
    signal: Signal,
    *,
    ptime_ms: int = 20,
    bit_rate: int = 48_000,
    fec: bool = False,
    application: str = "audio",
) -> list[bytes]:
    """The signal as mono Opus packets of `ptime_ms`."""
    codec = av.AudioCodecContext.create("libopus", "w")
    codec.bit_rate = bit_rate
    codec.sample_rate = SAMPLE_RATE_HZ
    codec.layout = "mono"
    codec.format = "s16"
    codec.time_base = Fraction(1, SAMPLE_RATE_HZ)
    codec.options = {"application": application, "frame_duration": str(ptime_ms)}
    if fec:
        codec.options = {**codec.options, "fec": "1", "packet_loss": "20"}
    length = SAMPLE_RATE_HZ * ptime_ms // 1000
    packets: list[bytes] = []
    for at in range(0, len(signal) - length + 1, length):
        samples = np.round(np.clip(signal[at : at + length], -1, 1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = at
        packets += [bytes(packet) for packet in codec.encode(frame)]
    packets += [bytes(packet) for packet in codec.encode(None)]
    return packets
