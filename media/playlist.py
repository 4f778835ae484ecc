"""HLS playlists (RFC 8216) of byte ranges in one growing file, and of the window in memory.

A recording's own playlist is append-only; what a player gets is rendered from its index, so that a
viewer's part of it (after a trim) and its end can differ. URIs are relative names.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from math import ceil
from pathlib import Path

from media.engine import LiveFragment, LiveWindow
from media.low_latency import VERSION as LOW_LATENCY_VERSION
from media.low_latency import Edge, low_latency, skippable
from media.mp4 import FRAGMENT_FRAMES, FRAME_SAMPLES, TIMESCALE_HZ, Fragment
from media.plain import read_bytes, stat_of

PROGRAMME = "programme.mp4"
PLAYLIST = "programme.m3u8"
VERSION = 7
ENDLIST = "#EXT-X-ENDLIST\n"
# Every fragment but the last of a stretch is 0.96 s; RFC 8216 rounds to the nearest second.
TARGET_DURATION_S = ceil(FRAGMENT_FRAMES * FRAME_SAMPLES / TIMESCALE_HZ)

# A fragment lasts 981 ms, so a clock that counts these is ahead of one that counts fragments.
_FASTER_THAN_A_FRAGMENT_MS = 900

_MAP = re.compile(r'^#EXT-X-MAP:URI="[^"\n]+",BYTERANGE="(\d{1,6})@0"\n', re.MULTILINE)
_DATE = re.compile(r"^#EXT-X-PROGRAM-DATE-TIME:([0-9TZ:.+-]{1,40})\n", re.MULTILINE)
_ENTRY = re.compile(
    r"^#EXTINF:([0-9.]{1,20}),\n#EXT-X-BYTERANGE:(\d{1,9})@(\d{1,15})\n[^#\n]+\n", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What of a recording can be played now. Fragment *n* of the file is `fragments[n]`."""

    init_bytes: int
    fragments: tuple[Fragment, ...]
    ended: bool
    started_at_ms: int | None

    @property
    def duration_ms(self) -> int:
        return frames_to_ms(sum(fragment.frames for fragment in self.fragments))

    @property
    def size_bytes(self) -> int:
        """Bytes up to the end of the last whole fragment."""
        last = self.fragments[-1] if self.fragments else None
        return last.offset + last.length if last else 0


EMPTY_INDEX = Index(init_bytes=0, fragments=(), ended=False, started_at_ms=None)


def first_number_at(now_ms: int) -> int:
    """Where the numbers of a window that opens now begin: higher than any that an earlier one has come to."""
    return now_ms // _FASTER_THAN_A_FRAGMENT_MS


def frames_to_ms(frames: int) -> int:
    """Length of so many AAC frames in whole ms."""
    return round(frames * FRAME_SAMPLES * 1000 / TIMESCALE_HZ)


def header(
    *, init_bytes: int, started_at_ms: int | None, kind: str = "EVENT", first: int = 0, uri: str
) -> str:
    """Everything before the first fragment."""
    # An EVENT playlist may have been read with parts, and its version must not change over its end.
    version = LOW_LATENCY_VERSION if kind == "EVENT" else VERSION
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{version}", f"#EXT-X-TARGETDURATION:{TARGET_DURATION_S}"]
    lines += [f"#EXT-X-MEDIA-SEQUENCE:{first}", f"#EXT-X-PLAYLIST-TYPE:{kind}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    lines.append(f'#EXT-X-MAP:URI="{uri}",BYTERANGE="{init_bytes}@0"')
    if started_at_ms is not None:
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_date_time(started_at_ms)}")
    return "\n".join(lines) + "\n"


def entry(fragment: Fragment, *, uri: str = PROGRAMME) -> str:
    """The three lines of one fragment."""
    return (
        f"#EXTINF:{fragment.duration_s:.6f},\n#EXT-X-BYTERANGE:{fragment.length}@{fragment.offset}\n{uri}\n"
    )


def parse_index(text: str, *, file_bytes: int) -> Index:
    """Read a playlist of ours that may be cut off anywhere; fragments beyond the file do not count."""
    found = _MAP.search(text)
    if not found:
        return EMPTY_INDEX
    fragments: list[Fragment] = []
    at = init_bytes = int(found[1])
    for seconds, length_text, offset_text in _ENTRY.findall(text):
        length, offset = int(length_text), int(offset_text)
        if offset != at or offset + length > file_bytes:
            break
        fragments.append(Fragment(offset, length, round(float(seconds) * TIMESCALE_HZ / FRAME_SAMPLES)))
        at += length
    date = _DATE.search(text)
    return Index(
        init_bytes=init_bytes,
        fragments=tuple(fragments),
        ended=text.endswith(ENDLIST),
        started_at_ms=_parse_date_time(date[1]) if date else None,
    )


def read_index(directory: str | Path) -> Index:
    """The index of a recording's directory, also while it is being written. Blocks on the disk.

    A directory without audio gives an empty index. Cache it by the playlist's size and mtime.
    """
    folder = Path(directory)
    try:
        text = read_bytes(folder / PLAYLIST).decode("ascii", errors="replace")
        file_bytes = stat_of(folder / PROGRAMME).st_size
    except FileNotFoundError:
        return EMPTY_INDEX
    return parse_index(text, file_bytes=file_bytes)


def first_fragment_at(index: Index, start_ms: int) -> int:
    """The fragment that holds a position; the number of fragments when it is at or past the end."""
    if start_ms <= 0:
        return 0
    ends = accumulate(fragment.frames for fragment in index.fragments)
    for number, frames in enumerate(ends):
        if frames * FRAME_SAMPLES * 1000 > start_ms * TIMESCALE_HZ:
            return number
    return len(index.fragments)


def render(
    index: Index,
    *,
    first_fragment: int = 0,
    uri: str = PROGRAMME,
    ended: bool | None = None,
    kind: str | None = None,
    start_s: float | None = None,
    edge: Edge | None = None,
    skip: bool = False,
) -> str:
    """The playlist from one fragment on: VOD when ended, else EVENT, if no `kind` is asked for.

    `first_fragment` is also the media sequence, so a fragment keeps its number when a trim moves.
    `start_s` asks players to begin there (`EXT-X-START`), negative from the end. `edge` adds what players
    with low latency read; `skip` leaves out what those have that asked for the changes alone.
    """
    over = index.ended if ended is None else ended
    skipped = frames_to_ms(sum(fragment.frames for fragment in index.fragments[:first_fragment]))
    started = index.started_at_ms + skipped if index.started_at_ms is not None else None
    head = header(
        init_bytes=index.init_bytes,
        started_at_ms=started,
        kind=kind or ("VOD" if over else "EVENT"),
        first=first_fragment,
        uri=uri,
    )
    start = f"#EXT-X-START:TIME-OFFSET={start_s:.3f}\n" if start_s is not None else ""
    if over or edge is None:
        entries = [entry(fragment, uri=uri) for fragment in index.fragments[first_fragment:]]
        return "".join([head, start, *entries, ENDLIST if over else ""])
    skipped_fragments = skippable(len(index.fragments) - first_fragment) if skip else 0
    if skipped_fragments:
        # A segment's tags are left out with it; the client has them (RFC 8216bis, section 4.4.5.2).
        head = re.sub(r"#EXT-X-(MAP|PROGRAM-DATE-TIME):.*\n", "", head)
        start = f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped_fragments}\n"
    listed_from = first_fragment + skipped_fragments
    entries = [
        edge.parts_of(number) + entry(fragment, uri=uri)
        for number, fragment in enumerate(index.fragments[listed_from:], listed_from)
    ]
    return "".join([low_latency(head), start, *entries, edge.tail()])


def render_live_window(
    window: LiveWindow,
    *,
    since: int = 0,
    init_uri: str = "init-{generation}.mp4",
    fragment_uri: str = "live-{sequence}.m4s",
    ended: bool = False,
) -> str:
    """The sliding window. `{generation}` and `{sequence}` are put into the URIs.

    A window of another generation follows without a break for players: they see a discontinuity. Its number counts
    from the generation `since`: it must stay small, as players keep lists that are as long (hls.js 1.7 walks them
    at each reload).
    """
    edge = edge_of(window)
    # Before its first fragment it says which that will be: players count from here to what comes.
    first = window.fragments[0].sequence if window.fragments else edge.next_fragment
    longest_ms = max((fragment.duration_ms for fragment in window.fragments), default=0.0)
    target = max(TARGET_DURATION_S, round(longest_ms / 1000))
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", f"#EXT-X-TARGETDURATION:{target}"]
    breaks = max(0, window.generation - since)
    lines += [f"#EXT-X-MEDIA-SEQUENCE:{first}", f"#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}"]
    lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    lines.append(f'#EXT-X-MAP:URI="{init_uri.format(generation=window.generation)}"')
    for fragment in window.fragments:
        lines += edge.parts_of(fragment.sequence).splitlines()
        lines.append(f"#EXTINF:{fragment.duration_ms / 1000:.6f},")
        lines.append(fragment_uri.format(sequence=fragment.sequence))
    text = "\n".join(lines) + "\n"
    return text + ENDLIST if ended else low_latency(text) + edge.tail()


def edge_of(window: LiveWindow) -> Edge:
    """The newest parts of a window."""
    growing = window.growing or LiveFragment(
        sequence=window.fragments[-1].sequence + 1 if window.fragments else 0, duration_ms=0.0
    )
    told = [*window.fragments, growing]
    parts = {fragment.sequence: tuple(ms / 1000 for ms in fragment.parts_ms) for fragment in told}
    return Edge(next_fragment=growing.sequence, parts_s=parts)


def render_index(
    fragments: Sequence[Fragment], *, init_bytes: int, started_at_ms: int | None, ended: bool
) -> str:
    """The recording's own playlist, as the recorder would have appended it."""
    head = header(init_bytes=init_bytes, started_at_ms=started_at_ms, uri=PROGRAMME)
    return "".join([head, *(entry(fragment) for fragment in fragments), ENDLIST if ended else ""])


def _date_time(unix_ms: int) -> str:
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parse_date_time(text: str) -> int | None:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None
