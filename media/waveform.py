"""Peaks of a programme: one byte for 50 ms, 0 silence, 255 full scale."""

import numpy as np

from media.opus import SAMPLE_RATE_HZ, Pcm

PEAKS = "peaks.bin"
PEAK_SAMPLES = SAMPLE_RATE_HZ // 20


class PeakMeter:
    """Turns the programme, in pieces of any length, into peaks."""

    def __init__(self, *, position_samples: int = 0) -> None:
        self._fill = position_samples % PEAK_SAMPLES
        self._peak = 0.0
        self._done = bytearray()

    def add(self, pcm: Pcm) -> None:
        """The next stretch of sound."""
        level = np.abs(pcm)
        at = 0
        while at < len(level):
            take = min(PEAK_SAMPLES - self._fill, len(level) - at)
            self._peak = max(self._peak, float(level[at : at + take].max()))
            self._advance(take)
            at += take

    def add_silence(self, samples: int) -> None:
        """The next stretch of silence, of any length, at no cost."""
        first = min(samples, PEAK_SAMPLES - self._fill)
        self._advance(first)
        whole, rest = divmod(samples - first, PEAK_SAMPLES)
        self._done += bytes(whole)
        self._fill += rest

    def take(self) -> bytes:
        """The peaks completed since the last call."""
        done, self._done = bytes(self._done), bytearray()
        return done

    def _advance(self, samples: int) -> None:
        self._fill += samples
        if self._fill >= PEAK_SAMPLES:
            self._done.append(min(255, round(self._peak * 255)))
            self._fill = 0
            self._peak = 0.0


def peaks_for(samples: int) -> int:
    """How many peaks cover so many samples."""
    return -(-samples // PEAK_SAMPLES)


def waveform(data: bytes, points: int) -> tuple[int, ...]:
    """Exactly `points` peaks, 0 to 255, evenly over the whole length of those in `data`.

    Zeros when there are none; a short recording's peaks repeat.
    """
    peaks = np.frombuffer(data, np.uint8)
    if not len(peaks) or points <= 0:
        return (0,) * max(points, 0)
    if len(peaks) <= points:
        return tuple(int(peaks[point * len(peaks) // points]) for point in range(points))
    edges = np.arange(points, dtype=np.int64) * len(peaks) // points
    return tuple(int(value) for value in np.maximum.reduceat(peaks, edges))
