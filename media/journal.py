"""The recording's own memory, one JSON object a line: when it began, where it has gaps, who spoke.

Append-only. A line that is torn or is none of ours is skipped: the sound never depends on it.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from media.elapsed import Anchor, Moment
from media.engine import Gap, GapCause

JOURNAL = "journal.jsonl"
MAX_LINE_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGap:
    """A gap that nobody has ended yet."""

    start_ms: int
    cause: GapCause


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoke:
    """A stretch in which a participant spoke, in ms since the first audio."""

    participant_id: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackFile:
    """A speaker's own track: a file in the recording's directory."""

    participant_id: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What the lines add up to."""

    started_at_ms: int | None = None
    anchor: Anchor | None = None
    gaps: tuple[Gap, ...] = ()
    open_gap: OpenGap | None = None
    spoke: tuple[Spoke, ...] = ()
    tracks: tuple[TrackFile, ...] = ()
    ended: bool = False


def started(*, at_ms: int) -> bytes:
    """The first audio came at this Unix time."""
    return _line(type="start", at_ms=at_ms)


def gap_started(*, position_ms: int, cause: GapCause, at_ms: int) -> bytes:
    """No audio from here on."""
    return _line(type="gap_start", position_ms=position_ms, cause=cause.value, at_ms=at_ms)


def gap_ended(*, position_ms: int, at_ms: int) -> bytes:
    """Audio again."""
    return _line(type="gap_end", position_ms=position_ms, at_ms=at_ms)


def clocks(anchor: Anchor) -> bytes:
    """What the clocks showed at a position: by that the next process knows how long nobody wrote."""
    at = anchor.at
    return _line(
        type="clocks",
        position_ms=anchor.position_ms,
        at_ms=at.wall_ms,
        boot=at.boot,
        since_boot_ms=at.since_boot_ms,
    )


def restarted(*, at_ms: int) -> bytes:
    """Another process goes on with this recording."""
    return _line(type="restart", at_ms=at_ms)


def spoke(stretch: Spoke) -> bytes:
    """Somebody spoke."""
    return _line(
        type="spoke",
        participant_id=stretch.participant_id,
        start_ms=stretch.start_ms,
        end_ms=stretch.end_ms,
    )


def track_begun(*, participant_id: str, file: str) -> bytes:
    """A speaker's first packet: from here on they have a track."""
    return _line(type="track", participant_id=participant_id, file=file)


def ended(*, duration_ms: int, at_ms: int) -> bytes:
    """Nothing will be added any more."""
    return _line(type="end", duration_ms=duration_ms, at_ms=at_ms)


def parse(data: bytes) -> Journal:
    """Read a journal that may be cut off anywhere."""
    reader = _Reader()
    for line in data.split(b"\n"):
        if not 0 < len(line) <= MAX_LINE_BYTES:
            continue
        try:
            fields = orjson.loads(line)
            reader.read(fields)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            continue
    return Journal(
        started_at_ms=reader.started_at_ms,
        anchor=reader.anchor,
        gaps=tuple(reader.gaps),
        open_gap=reader.open_gap,
        spoke=tuple(reader.spoke),
        tracks=tuple(reader.tracks),
        ended=reader.ended,
    )


class _Reader:
    def __init__(self) -> None:
        self.started_at_ms: int | None = None
        self.anchor: Anchor | None = None
        self.gaps: list[Gap] = []
        self.open_gap: OpenGap | None = None
        self.spoke: list[Spoke] = []
        self.tracks: list[TrackFile] = []
        self.ended = False

    def read(self, fields: dict[str, Any]) -> None:
        match fields["type"]:
            case "start" if self.started_at_ms is None:
                self.started_at_ms = int(fields["at_ms"])
            case "gap_start" if self.open_gap is None:
                cause = GapCause(fields["cause"])
                self.open_gap = OpenGap(start_ms=int(fields["position_ms"]), cause=cause)
            case "gap_end":
                self._close_gap(int(fields["position_ms"]))
            case "clocks":
                self.anchor = _anchor(fields)
            case "restart":
                self.ended = False
            case "end":
                self.ended = True
            case "track":
                self.tracks.append(
                    TrackFile(participant_id=str(fields["participant_id"]), file=str(fields["file"]))
                )
            case "spoke":
                self.spoke.append(
                    Spoke(
                        participant_id=str(fields["participant_id"]),
                        start_ms=int(fields["start_ms"]),
                        end_ms=int(fields["end_ms"]),
                    )
                )

    def _close_gap(self, end_ms: int) -> None:
        gap, self.open_gap = self.open_gap, None
        if gap is not None and end_ms > gap.start_ms:
            self.gaps.append(Gap(start_ms=gap.start_ms, end_ms=end_ms, cause=gap.cause))


def _anchor(fields: dict[str, Any]) -> Anchor:
    at = Moment(
        wall_ms=int(fields["at_ms"]),
        boot=str(fields["boot"]),
        since_boot_ms=int(fields["since_boot_ms"]),
    )
    return Anchor(position_ms=int(fields["position_ms"]), at=at)


def _line(**fields: str | int) -> bytes:
    return orjson.dumps(fields) + b"\n"
