"""What low-latency HLS adds to a playlist (RFC 8216bis): parts, and requests that wait for the next one.

Parts are stretches of the same fragments that plain players read, under names of their own:
`part-{fragment}-{number}.m4s`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from media.mp4 import FRAGMENT_FRAMES, FRAME_SAMPLES, PART_FRAMES, TIMESCALE_HZ, Fragment, begins, scan_parts
from media.plain import opener

PART_TARGET_S = PART_FRAMES * FRAME_SAMPLES / TIMESCALE_HZ
# Three parts and some: they come at the ticker's pace. At least three are recommended (section 4.4.3.8).
PART_HOLD_BACK_S = 1.2
# At least six target durations (section 4.4.3.8).
CAN_SKIP_UNTIL_S = 12.0
# A request this far ahead is refused (section 6.2.5.2): two fragments, or three target durations of parts.
ADVANCE_FRAGMENTS = 2
ADVANCE_PARTS = ceil(3 / PART_TARGET_S)
# EXT-X-SKIP needs it (section 8).
VERSION = 9
_FRAGMENT_S = FRAGMENT_FRAMES * FRAME_SAMPLES / TIMESCALE_HZ
# Of the growing fragment and those before it, each of some 8 kB.
_MOST_TAIL_BYTES = 1024 * 1024
# Parts are of use up to three target durations from the end (section 4.4.4.9).
EDGE_FRAGMENTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The newest parts. `parts_s` has their lengths by fragment; `next_fragment` is the one that grows."""

    next_fragment: int
    parts_s: Mapping[int, tuple[float, ...]]

    @property
    def next_part(self) -> int:
        """How many parts of the growing fragment there are."""
        return len(self.parts_s.get(self.next_fragment, ()))

    @property
    def hint(self) -> tuple[int, int]:
        """The fragment and number of the part that comes next."""
        if self.next_part * PART_FRAMES >= FRAGMENT_FRAMES:
            return self.next_fragment + 1, 0
        return self.next_fragment, self.next_part

    def has(self, fragment: int, part: int | None) -> bool:
        """Whether a fragment, or a part of it, is there. One that a fragment never got is the next one's first."""
        if fragment == self.next_fragment:
            return part is not None and part < self.next_part
        complete = self.parts_s.get(fragment)
        if part is not None and complete and part >= len(complete):
            return self.has(fragment + 1, 0)
        return fragment < self.next_fragment

    def is_too_far(self, fragment: int, part: int | None) -> bool:
        """Whether a request for this is a mistake."""
        if fragment >= self.next_fragment + ADVANCE_FRAGMENTS:
            return True
        return part is not None and fragment >= self.next_fragment and part >= self.next_part + ADVANCE_PARTS

    def parts_of(self, fragment: int) -> str:
        """The lines of a fragment's parts."""
        return "".join(
            f'#EXT-X-PART:DURATION={seconds:.6f},URI="{part_name(fragment, number)}",INDEPENDENT=YES\n'
            for number, seconds in enumerate(self.parts_s.get(fragment, ()))
        )

    def tail(self) -> str:
        """The parts of the growing fragment, and what will come next."""
        hint = part_name(*self.hint)
        return self.parts_of(self.next_fragment) + f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{hint}"\n'


def part_name(fragment: int, number: int) -> str:
    """What a part is fetched by."""
    return f"part-{fragment}-{number}.m4s"


def low_latency(head: str) -> str:
    """A playlist's text, up to where its growing fragment's parts go, with what such players must know."""
    lines = head.split("\n")
    lines[1] = f"#EXT-X-VERSION:{VERSION}"
    lines.insert(
        3,
        f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={PART_HOLD_BACK_S:.3f},"
        f"CAN-SKIP-UNTIL={CAN_SKIP_UNTIL_S:.1f}\n#EXT-X-PART-INF:PART-TARGET={PART_TARGET_S:.6f}",
    )
    return "\n".join(lines)


def skippable(fragments: int) -> int:
    """How many of so many fragments lie further back than what is always sent."""
    return max(0, fragments - ceil(CAN_SKIP_UNTIL_S / _FRAGMENT_S))


def read_part(
    path: Path,
    *,
    init_bytes: int,
    fragments: tuple[Fragment, ...],
    fragment: int,
    number: int,
) -> bytes | None:
    """The bytes of a part of a recording; None when it is not there. Blocks on the disk."""
    if fragment < len(fragments):
        start, end = fragments[fragment].offset, fragments[fragment].offset + fragments[fragment].length
    else:
        start = fragments[-1].offset + fragments[-1].length if fragments else init_bytes
        end = start + _MOST_TAIL_BYTES
    data = _read(path, start=start, end=end) if fragment <= len(fragments) else b""
    parts = _of_first_fragment(memoryview(data))
    if not 0 <= number < len(parts):
        return None
    return data[parts[number].offset : parts[number].offset + parts[number].length]


def read_edge(path: Path, *, init_bytes: int, fragments: tuple[Fragment, ...]) -> Edge:
    """The newest parts of a recording that is being written. Blocks on the disk."""
    recent = fragments[-EDGE_FRAGMENTS:]
    start = recent[0].offset if recent else init_bytes
    data = memoryview(_read(path, start=start, end=start + _MOST_TAIL_BYTES) if start else b"")
    parts_s: dict[int, tuple[float, ...]] = {}
    for number, whole in enumerate(recent, len(fragments) - len(recent)):
        piece = data[whole.offset - start : whole.offset - start + whole.length]
        parts_s[number] = tuple(part.duration_s for part in scan_parts(piece))
    end = recent[-1].offset + recent[-1].length - start if recent else 0
    parts_s[len(fragments)] = tuple(part.duration_s for part in _of_first_fragment(data[end:]))
    return Edge(next_fragment=len(fragments), parts_s=parts_s)


def _of_first_fragment(data: memoryview) -> list[Fragment]:
    """Behind the last fragment that the playlist names may stand more than one, for a moment."""
    parts = scan_parts(data)
    others = (number for number, part in enumerate(parts) if number and begins(data, part))
    return parts[: next(others, len(parts))]


def _read(path: Path, *, start: int, end: int) -> bytes:
    try:
        with open(path, "rb", opener=opener) as file:
            file.seek(start)
            return file.read(end - start)
    except FileNotFoundError:
        return b""
