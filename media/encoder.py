"""PCM of any block size to AAC-LC frames on an exact timeline.

Frame *n* holds samples 1024 n to 1024 (n + 1) of what was pushed: FFmpeg's encoder prepends one frame
of priming, which is dropped here, so no player needs an edit list. Stretches of silence are not
encoded at all: AAC has one four-byte frame for them.
"""

from fractions import Fraction
from functools import cache

import av
import numpy as np

from media.mp4 import FRAME_SAMPLES, PART_FRAMES, TIMESCALE_HZ, init_segment
from media.opus import Pcm

BIT_RATE = 64_000
# So many silent frames after sound still go through the encoder, which holds back two.
_SILENCE_SETTLES_FRAMES = 3
_HELD_BACK_FRAMES = 2
# Encoding a whole part at once keeps the encoder's tables in the CPU's cache: a third of the time.
BATCH_FRAMES = PART_FRAMES

_NOTHING: Pcm = np.zeros(0, np.float32)
_SILENCE: Pcm = np.zeros(FRAME_SAMPLES, np.float32)


def _new_codec() -> av.AudioCodecContext:
    codec = av.AudioCodecContext.create("aac", "w")
    codec.bit_rate = BIT_RATE
    codec.sample_rate = TIMESCALE_HZ
    codec.layout = "mono"
    codec.format = "fltp"
    codec.time_base = Fraction(1, TIMESCALE_HZ)
    # A third of the default's CPU, no audible difference for speech at this rate.
    codec.options = {"aac_coder": "fast"}
    codec.open()
    return codec


def _frame(samples: Pcm, *, number: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, FRAME_SAMPLES), format="fltp", layout="mono")
    frame.sample_rate = TIMESCALE_HZ
    frame.pts = number * FRAME_SAMPLES
    return frame


@cache
def silent_frame() -> bytes:
    """The AAC frame of digital silence."""
    codec = _new_codec()
    packets = [
        bytes(packet) for number in range(6) for packet in codec.encode(_frame(_SILENCE, number=number))
    ]
    return packets[-1]


@cache
def programme_init() -> bytes:
    """The init segment of everything this encoder writes."""
    return init_segment(audio_config=bytes(_new_codec().extradata or b""), bit_rate=BIT_RATE)


class AacEncoder:
    """Push PCM (or `None` for silence) and get whole frames, up to `BATCH_FRAMES` and 45 ms later."""

    def __init__(self) -> None:
        self._codec: av.AudioCodecContext | None = None
        self._pushed_frames = 0
        self._priming = True
        self._waiting: list[Pcm | int] = []
        self._waiting_samples = 0
        self._silent_run = 0

    def push(self, block: Pcm | None, *, samples: int, wanted: int = BATCH_FRAMES) -> list[bytes]:
        """Frames in order; none while fewer than `wanted`, and fewer than a batch, can be had."""
        if block is not None:
            self._waiting.append(block)
        elif self._waiting and isinstance(self._waiting[-1], int):
            self._waiting[-1] += samples
        else:
            self._waiting.append(samples)
        self._waiting_samples += samples
        return (
            self._encode_waiting()
            if self._waiting_samples >= min(wanted, BATCH_FRAMES) * FRAME_SAMPLES
            else []
        )

    def drain(self) -> list[bytes]:
        """Everything pushed so far, filled up to a whole frame with silence; then begins anew."""
        padding = -self._waiting_samples % FRAME_SAMPLES
        # The padding can make a batch full, which is encoded then and there.
        frames = self.push(None, samples=padding) if padding else []
        frames += self._encode_waiting()
        if self._codec is not None:
            for _ in range(_HELD_BACK_FRAMES):
                frames += self._through_codec(_SILENCE)
        self._codec, self._pushed_frames, self._priming, self._silent_run = None, 0, True, 0
        return frames

    def _encode_waiting(self) -> list[bytes]:
        if len(self._waiting) == 1 and isinstance(self._waiting[0], int):
            return self._encode_silence(self._waiting[0])
        parts = [np.zeros(part, np.float32) if isinstance(part, int) else part for part in self._waiting]
        pcm = np.concatenate(parts) if parts else _NOTHING
        whole = len(pcm) - len(pcm) % FRAME_SAMPLES
        frames: list[bytes] = []
        for at in range(0, whole, FRAME_SAMPLES):
            frames += self._encode(pcm[at : at + FRAME_SAMPLES], silent=False)
        self._waiting_samples -= whole
        self._waiting = [pcm[whole:]] if whole < len(pcm) else []
        return frames

    def _encode_silence(self, samples: int) -> list[bytes]:
        frames: list[bytes] = []
        for _ in range(samples // FRAME_SAMPLES):
            frames += self._encode(_SILENCE, silent=True)
        self._waiting_samples = samples % FRAME_SAMPLES
        self._waiting = [self._waiting_samples] if self._waiting_samples else []
        return frames

    def _encode(self, samples: Pcm, *, silent: bool) -> list[bytes]:
        self._silent_run = self._silent_run + 1 if silent else 0
        if self._silent_run > _SILENCE_SETTLES_FRAMES:
            # What the encoder holds back is silence too, so order does not matter.
            return [silent_frame()]
        return self._through_codec(samples)

    def _through_codec(self, samples: Pcm) -> list[bytes]:
        if self._codec is None:
            self._codec = _new_codec()
        packets = [
            bytes(packet) for packet in self._codec.encode(_frame(samples, number=self._pushed_frames))
        ]
        self._pushed_frames += 1
        if packets and self._priming:
            self._priming = False
            del packets[0]
        return packets
