"""The last minute of a room that is not recorded, in memory and nowhere else."""

from collections import deque

from media.encoder import AacEncoder, programme_init
from media.engine import LiveFragment, LiveWindow
from media.mp4 import FRAGMENT_FRAMES, FRAME_SAMPLES, TIMESCALE_HZ, fragment
from media.opus import Pcm
from media.playlist import first_number_at
from media.voice import TICK_SAMPLES

WINDOW_FRAMES = 60 * TIMESCALE_HZ // FRAME_SAMPLES


class WindowBuffer:
    """Fragments by sequence number, which never goes back; some 0.5 MB when full.

    Numbers begin with the clock, which counts faster than fragments come: so they are ahead of those of any
    earlier window, or recording, that a player has read under the same URL (RFC 8216, section 6.2.2).
    """

    def __init__(self, *, now_ms: int) -> None:
        first = first_number_at(now_ms)
        self._encoder = AacEncoder()
        self._frames: list[bytes] = []
        self._fragments: deque[tuple[LiveFragment, bytes]] = deque()
        self._held_frames = 0
        self._next_sequence = first
        self._next_frame = 0
        self._generation = first
        self._init: bytes | None = None

    def push(self, block: Pcm | None) -> None:
        """20 ms of programme, `None` for silence."""
        wanted = FRAGMENT_FRAMES - len(self._frames)
        self._frames += self._encoder.push(block, samples=TICK_SAMPLES, wanted=wanted)
        if len(self._frames) >= FRAGMENT_FRAMES:
            self._cut(self._frames[:FRAGMENT_FRAMES])
            del self._frames[:FRAGMENT_FRAMES]

    def clear(self) -> None:
        """Forget every sound; a new init segment follows."""
        self._fragments.clear()
        self._frames.clear()
        self._encoder = AacEncoder()
        self._held_frames = 0
        self._generation += 1
        self._init = None

    @property
    def window(self) -> LiveWindow:
        return LiveWindow(
            generation=self._generation, fragments=tuple(described for described, _ in self._fragments)
        )

    def init(self, generation: int) -> bytes | None:
        """The init segment, once there is something to play with it."""
        return self._init if generation == self._generation else None

    def fragment(self, sequence: int) -> bytes | None:
        """The bytes of a fragment that has not slid out."""
        if not self._fragments:
            return None
        position = sequence - self._fragments[0][0].sequence
        return self._fragments[position][1] if 0 <= position < len(self._fragments) else None

    def _cut(self, frames: list[bytes]) -> None:
        self._init = self._init or programme_init()
        data = fragment(frames, sequence=self._next_sequence + 1, start_frame=self._next_frame)
        duration_ms = len(frames) * FRAME_SAMPLES * 1000 / TIMESCALE_HZ
        self._fragments.append((LiveFragment(sequence=self._next_sequence, duration_ms=duration_ms), data))
        self._next_sequence += 1
        self._next_frame += len(frames)
        self._held_frames += len(frames)
        while self._held_frames > WINDOW_FRAMES:
            self._fragments.popleft()
            self._held_frames -= FRAGMENT_FRAMES
