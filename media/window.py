"""The last minute of a room that is not recorded, in memory and nowhere else."""

from collections import deque

from media.encoder import AacEncoder, programme_init
from media.engine import LiveFragment, LiveWindow
from media.mp4 import FRAGMENT_FRAMES, FRAME_SAMPLES, PART_FRAMES, TIMESCALE_HZ, part
from media.opus import Pcm
from media.playlist import first_number_at
from media.voice import TICK_SAMPLES

WINDOW_FRAGMENTS = 60 * TIMESCALE_HZ // FRAME_SAMPLES // FRAGMENT_FRAMES
# RFC 8216bis, section 4.4.4.9: parts are of use up to three target durations from the end.
FRAGMENTS_WITH_PARTS = 4
_PART_MS = PART_FRAMES * FRAME_SAMPLES * 1000 / TIMESCALE_HZ


class WindowBuffer:
    """Fragments by sequence number, which never goes back; some 0.5 MB when full.

    Numbers begin with the clock, which counts faster than fragments come: so they are ahead of those of any
    earlier window, or recording, that a player has read under the same URL (RFC 8216, section 6.2.2).
    """

    def __init__(self, *, now_ms: int) -> None:
        first = first_number_at(now_ms)
        self._encoder = AacEncoder()
        self._frames: list[bytes] = []
        self._fragments: deque[list[bytes]] = deque()
        self._growing: list[bytes] = []
        self._part_sequence = 0
        self._next_sequence = first
        self._next_frame = 0
        self._generation = first
        self._init: bytes | None = None

    def push(self, block: Pcm | None, *, ticks: int = 1) -> None:
        """So many times 20 ms of programme, `None` for silence."""
        wanted = PART_FRAMES - len(self._frames)
        self._frames += self._encoder.push(block, samples=ticks * TICK_SAMPLES, wanted=wanted)
        while len(self._frames) >= PART_FRAMES:
            self._cut(self._frames[:PART_FRAMES])
            del self._frames[:PART_FRAMES]

    def clear(self) -> None:
        """Forget every sound; a new init segment follows."""
        self._fragments.clear()
        self._frames.clear()
        self._growing.clear()
        self._encoder = AacEncoder()
        self._generation += 1
        self._init = None

    @property
    def window(self) -> LiveWindow:
        first = self._next_sequence - len(self._fragments)
        told_from = self._next_sequence - FRAGMENTS_WITH_PARTS
        fragments = tuple(
            LiveFragment(
                sequence=number,
                duration_ms=len(parts) * _PART_MS,
                parts_ms=(_PART_MS,) * len(parts) if number >= told_from else (),
            )
            for number, parts in enumerate(self._fragments, first)
        )
        growing = LiveFragment(
            sequence=self._next_sequence,
            duration_ms=len(self._growing) * _PART_MS,
            parts_ms=(_PART_MS,) * len(self._growing),
        )
        return LiveWindow(generation=self._generation, fragments=fragments, growing=growing)

    def init(self, generation: int) -> bytes | None:
        """The init segment, once there is something to play with it."""
        return self._init if generation == self._generation else None

    def fragment(self, sequence: int) -> bytes | None:
        """The bytes of a fragment that has not slid out."""
        position = sequence - self._next_sequence + len(self._fragments)
        return b"".join(self._fragments[position]) if 0 <= position < len(self._fragments) else None

    def part(self, sequence: int, number: int) -> bytes | None:
        """The bytes of a part, also of the fragment that grows."""
        position = sequence - self._next_sequence + len(self._fragments)
        if sequence == self._next_sequence:
            parts = self._growing
        else:
            parts = self._fragments[position] if 0 <= position < len(self._fragments) else []
        return parts[number] if 0 <= number < len(parts) else None

    def _cut(self, frames: list[bytes]) -> None:
        self._init = self._init or programme_init()
        self._part_sequence += 1
        begins = not self._growing
        data = part(frames, sequence=self._part_sequence, start_frame=self._next_frame, begins=begins)
        self._growing.append(data)
        self._next_frame += len(frames)
        if len(self._growing) * PART_FRAMES >= FRAGMENT_FRAMES:
            self._fragments.append(self._growing)
            self._growing = []
            self._next_sequence += 1
        if len(self._fragments) > WINDOW_FRAGMENTS:
            self._fragments.popleft()
