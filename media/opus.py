"""Opus packets to mono float PCM at 48 kHz, with loss concealment and in-band FEC.

libopus is called directly: one call a packet and no frame objects in between. The library that
PyAV's wheel brings is used first, then the system's, then PyAV's own decoder, which conceals by
silence. A packet is never trusted: whatever cannot be decoded is concealed and counted.
"""

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.float32]

SAMPLE_RATE_HZ = 48_000
MAX_PACKET_BYTES = 1500
MAX_PACKET_SAMPLES = 5760  # 120 ms, RFC 6716 section 2.1.4
CONCEAL_UNIT_SAMPLES = 120  # 2.5 ms, the smallest step libopus conceals

_FRAME_SAMPLES = (
    (480, 960, 1920, 2880),  # SILK: 10, 20, 40, 60 ms
    (480, 960, 480, 960),  # hybrid: 10, 20 ms
    (120, 240, 480, 960),  # CELT: 2.5, 5, 10, 20 ms
)


def packet_samples(payload: bytes) -> int:
    """Length of a packet in samples at 48 kHz by its table-of-contents byte, 0 when it is malformed.

    RFC 6716 section 3.1 and 3.2.
    """
    if not payload or len(payload) > MAX_PACKET_BYTES:
        return 0
    toc = payload[0]
    config = toc >> 3
    mode = 0 if config < 12 else 1 if config < 16 else 2
    count_code = toc & 3
    if count_code == 3:
        if len(payload) < 2:
            return 0
        frames = payload[1] & 0x3F
    else:
        frames = 1 if count_code == 0 else 2
    samples = frames * _FRAME_SAMPLES[mode][config & 3]
    return samples if samples <= MAX_PACKET_SAMPLES else 0


class Decoder(Protocol):
    """One Opus stream. `errors` counts packets that could not be decoded."""

    errors: int

    def decode(self, payload: bytes) -> Pcm:
        """The packet's samples, or as many concealed ones when it is damaged."""

    def recover(self, payload: bytes, samples: int) -> Pcm:
        """What was lost just before `payload`, from the copy it may carry, else concealed."""

    def conceal(self, samples: int) -> Pcm:
        """A continuation of what was decoded last, fading out."""


class LibopusDecoder:
    """`Decoder` by libopus. Not thread-safe: each call overwrites one buffer and returns a copy."""

    def __init__(self, *, library: ctypes.CDLL) -> None:
        error = ctypes.c_int(0)
        self._state = library.opus_decoder_create(SAMPLE_RATE_HZ, 1, ctypes.byref(error))
        if error.value != 0 or not self._state:
            raise RuntimeError(f"expected an Opus decoder, got error {error.value}")
        self._decode_float = library.opus_decode_float
        self._destroy: Callable[[int], None] = library.opus_decoder_destroy
        self._buffer = np.zeros(MAX_PACKET_SAMPLES, np.float32)
        self._pointer = self._buffer.ctypes.data
        self.errors = 0

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._destroy(self._state)
            self._state = None

    def decode(self, payload: bytes) -> Pcm:
        if 0 < len(payload) <= MAX_PACKET_BYTES:
            decoded = self._decode_float(
                self._state, payload, len(payload), self._pointer, MAX_PACKET_SAMPLES, 0
            )
            if decoded > 0:
                return self._buffer[:decoded].copy()
        self.errors += 1
        return self.conceal(packet_samples(payload) or 960)

    def recover(self, payload: bytes, samples: int) -> Pcm:
        wanted = _concealable(samples)
        decoded = self._decode_float(self._state, payload, len(payload), self._pointer, wanted, 1)
        if decoded != wanted:
            self.errors += 1
            return self.conceal(samples)
        return _fitted(self._buffer[:wanted], samples)

    def conceal(self, samples: int) -> Pcm:
        wanted = _concealable(samples)
        decoded = self._decode_float(self._state, None, 0, self._pointer, wanted, 0)
        if decoded != wanted:
            return np.zeros(samples, np.float32)
        return _fitted(self._buffer[:wanted], samples)


class PyavDecoder:
    """`Decoder` by FFmpeg: correct, several times slower, and without concealment."""

    def __init__(self) -> None:
        self._codec = av.AudioCodecContext.create("opus", "r")
        self._codec.sample_rate = SAMPLE_RATE_HZ
        self._codec.layout = "mono"
        self.errors = 0

    def decode(self, payload: bytes) -> Pcm:
        try:
            frames = self._codec.decode(av.Packet(payload)) if payload else []
        except av.FFmpegError:
            frames = []
        if not frames:
            self.errors += 1
            return self.conceal(packet_samples(payload) or 960)
        return np.concatenate([frame.to_ndarray().mean(axis=0, dtype=np.float32) for frame in frames])

    def recover(self, payload: bytes, samples: int) -> Pcm:  # noqa: ARG002 - FFmpeg cannot read the copy
        return self.conceal(samples)

    def conceal(self, samples: int) -> Pcm:
        return np.zeros(samples, np.float32)


def _concealable(samples: int) -> int:
    units = -(-samples // CONCEAL_UNIT_SAMPLES)
    return min(max(units, 1) * CONCEAL_UNIT_SAMPLES, MAX_PACKET_SAMPLES)


def _fitted(pcm: Pcm, samples: int) -> Pcm:
    if len(pcm) >= samples:
        return pcm[len(pcm) - samples :].copy()
    return np.concatenate([np.zeros(samples - len(pcm), np.float32), pcm])


def _candidates() -> list[str]:
    bundled = Path(av.__file__).parent.parent / "av.libs"
    found = [str(path) for path in sorted(bundled.glob("libopus-*.so*"))]
    system = ctypes.util.find_library("opus")
    return [*found, system] if system else found


@cache
def load_libopus() -> ctypes.CDLL | None:
    """libopus with its signatures declared, or None where there is none."""
    for candidate in _candidates():
        try:
            library = ctypes.CDLL(candidate)
            library.opus_decoder_create.restype = ctypes.c_void_p
            library.opus_decoder_create.argtypes = [ctypes.c_int32, ctypes.c_int, ctypes.c_void_p]
            library.opus_decoder_destroy.argtypes = [ctypes.c_void_p]
            library.opus_decoder_destroy.restype = None
            library.opus_decode_float.restype = ctypes.c_int
            library.opus_decode_float.argtypes = [
                ctypes.c_void_p,
                ctypes.c_char_p,
                ctypes.c_int32,
                ctypes.c_void_p,
                ctypes.c_int,
                ctypes.c_int,
            ]
        except (OSError, AttributeError):
            continue
        return library
    return None


def new_decoder() -> Decoder:
    """The best decoder that this machine has."""
    library = load_libopus()
    return LibopusDecoder(library=library) if library else PyavDecoder()
