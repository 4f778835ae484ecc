"""Recordings."""

from datetime import datetime
from typing import Annotated, Any

import strawberry

from models.account import Account
from models.clip import Clip as ClipRow
from models.playback_position import PlaybackPosition
from models.recording import Recording as RecordingRow
from models.recording import RecordingStatus
from models.space import Space as SpaceRow
from schema.clips import Clip
from schema.connections import After, Connection, First, connection_of
from schema.context import Context, Info
from schema.links import MediaLink, media_link
from schema.nodes import Node, RowType
from schema.people import User
from schema.retention import Appeal, Retention, ReviewOpening, appeals_of, openings_of, retention_of
from schema.rows import Page, Relation
from schema.scalars import ByteCount
from schema.sources import column, computed, newest_first, page_of, relation
from schema.spaces import Space
from services import archives, cursors, playback, retention, visibility
from services.errors import InvalidInput
from services.links import LinkKind

_POSITION = Relation(model=PlaybackPosition, key="id", column="recording_id", mine="account_id")
_CLIPS = newest_first(ClipRow, "recording_id")
_POINTS = 200
_MOST_POINTS = 2000
# What decides on its status, on whether it may be played, and on its download.
_STATUS = ("status", "expires_at", "lost_at")
_PLAY = (*_STATUS, "is_ticketed", "space_id")
_WHOLE = (*_STATUS, "host_id", "id", "duration_ms")


@strawberry.type(description="A stretch of the recording in which audio was lost.")
class RecordingGap:
    """A stretch of the recording in which audio was lost."""

    start_ms: int = strawberry.field(description="From here, in ms since the first audio.")
    end_ms: int = strawberry.field(description="Up to here.")
    cause: str = strawberry.field(
        description="NO_PUBLISHER: nobody was connected. RESTART: the server was away. DISK_FULL: there was no"
        " room for more. DISK_ERROR: the disk refused."
    )


def _gaps(row: RecordingRow, _context: Context) -> list[RecordingGap]:
    return [RecordingGap(**gap) for gap in row.gaps]


def _status(row: RecordingRow, context: Context) -> RecordingStatus:
    return retention.status_at(row, context.now)


def _failure_reason(row: RecordingRow, context: Context) -> str | None:
    return retention.failure_reason(row, context.now)


async def _admitted(row: RecordingRow, context: Context) -> bool:
    return not row.is_ticketed or await context.rows.admitted(row.space_id)


async def _can_play(row: RecordingRow, context: Context) -> bool:
    return visibility.may_play(row, context.now, admitted=await _admitted(row, context))


async def _can_share(row: RecordingRow, context: Context) -> bool:
    admitted = await _admitted(row, context)
    return visibility.may_share(row, context.viewer, context.now, admitted=admitted)


async def _playback(row: RecordingRow, context: Context) -> MediaLink | None:
    if not await _can_play(row, context):
        return None
    return _link(row, context, LinkKind.PLAYBACK)


def _download(row: RecordingRow, context: Context) -> MediaLink | None:
    if not visibility.may_download(row, context.viewer, context.now):
        return None
    return _link(row, context, LinkKind.DOWNLOAD)


def _archive(row: RecordingRow, context: Context) -> MediaLink | None:
    if not visibility.may_download(row, context.viewer, context.now):
        return None
    return _link(row, context, LinkKind.ARCHIVE)


def _link(row: RecordingRow, context: Context, kind: LinkKind) -> MediaLink:
    return media_link(
        context.house, playback.recording_link(context.house, row, context.viewer, context.now, kind)
    )


async def _position(row: RecordingRow, context: Context) -> int | None:
    found = await context.rows.one(_POSITION, row.id)
    return found.position_ms if found else None


@strawberry.type(description="A stretch in which somebody spoke.")
class SpeakerTurn:
    """A stretch in which somebody spoke."""

    user: User = relation(Account, "Who spoke.", key="account_id")
    start_ms: int = column("start_ms", "From here, in ms since the first audio.")
    end_ms: int = column("end_ms", "Up to here.")


def _turn_place(after: str | None) -> tuple[int, int, str] | None:
    if not after:
        return None
    _, start_ms, end_ms, account_id = cursors.unpack(after, (str, int, int, str))
    return int(start_ms), int(end_ms), str(account_id)


@strawberry.type(description="What was said in a Space. The object stays when its bytes are gone.")
class Recording(RowType, Node):
    """What was said in a Space."""

    model = RecordingRow

    space: Space = relation(SpaceRow, "The Space that was recorded.", key="space_id")
    status: RecordingStatus = computed(_status, "Where it is in its life, as of now.", reads=_STATUS)
    failure_reason: str | None = computed(
        _failure_reason, "Null unless FAILED.", reads=(*_STATUS, "failure_reason")
    )
    started_at: datetime | None = column("started_at", "When the first audio was written.")
    ended_at: datetime | None = column("ended_at", "When the Space ended.")
    duration_ms: int = column("duration_ms", "Length of the programme in ms; grows while it is live.")
    size_bytes: ByteCount = column("size_bytes", "Bytes of the programme.")
    gaps: list[RecordingGap] = computed(
        _gaps, "Stretches in which audio was lost; empty when complete.", reads=("gaps",)
    )
    expires_at: datetime | None = column("expires_at", "30 days after the Space ended; null until then.")
    start_offset_ms: int = column("start_offset_ms", "Where playback starts, as the host trimmed it.")
    playback: MediaLink | None = computed(
        _playback,
        "HLS; null unless AVAILABLE and the viewer may hear it.",
        reads=(*_PLAY, "id", "duration_ms"),
    )
    download: MediaLink | None = computed(
        _download, "The full-length programme in one file, for the host.", reads=_WHOLE
    )
    archive: MediaLink | None = computed(
        _archive, "Programme and every speaker's track, zipped, for the host.", reads=_WHOLE
    )

    @strawberry.field(
        description="What was cut from it, the newest first. Clips stay readable when it is gone."
    )
    async def clips(
        root: Any, info: Info, first: First = 20, after: After = strawberry.UNSET
    ) -> Connection[Clip]:
        return await page_of(info, _CLIPS, root.id, first=first, after=after)

    play_count: int = column("play_count", "How many listenings there were.")
    share_count: int = column("share_count", "How many share cards there are.")
    viewer_can_play: bool = computed(_can_play, "Whether `playback` would answer.", reads=_PLAY)
    viewer_can_share: bool = computed(_can_share, "Whether the viewer may share it.", reads=_PLAY)
    viewer_can_delete: bool = computed(
        lambda row, context: visibility.may_delete(row, context.viewer, context.now),
        "Whether the viewer may delete it.",
        reads=(*_STATUS, "host_id"),
    )
    viewer_position_ms: int | None = computed(
        _position, "Where the viewer stopped; null if never played.", reads=("id",)
    )

    retention: Retention | None = computed(
        retention_of, "What becomes of the bytes; for the host and moderators; null to others."
    )
    review_openings: list[ReviewOpening] = computed(
        openings_of,
        "Openings of the review copy, the newest first: for moderators, and for the host once the case is closed.",
    )
    appeals: list[Appeal] = computed(
        appeals_of, "Appeals against the take-down, the newest first: for the host and moderators."
    )

    @strawberry.field(
        description="Who spoke when, in order. Empty once nobody can play it; while it is live, up to the last pause."
    )
    async def speaker_turns(
        root: Any, info: Info, first: First = 100, after: After = strawberry.UNSET
    ) -> Connection[SpeakerTurn]:
        context, place = info.context, _turn_place(after or None)
        with context.rows.elsewhere():
            turns = await archives.turns_of(context.house, context.viewer, root)
        seen = await context.seen_accounts({turn.account_id for turn in turns})
        most = 100 if first is None else first
        found = archives.page_of_turns(turns, seen, first=most, after=place)
        marks = [cursors.pack(["t", *turn.place]) for turn in found.turns]
        page = Page(rows=found.turns, cursors=marks, has_next=found.has_next, has_previous=place is not None)
        return connection_of(page)

    @strawberry.field(
        description="Exactly `points` peaks (1 to 2000) for drawing, 0 to 255, evenly spaced over the duration;"
        " empty when the viewer may not play."
    )
    async def waveform(
        root: Any,
        info: Info,
        points: Annotated[
            int | None, strawberry.argument(description="How many peaks, 1 to 2000.")
        ] = _POINTS,
    ) -> list[int]:
        points = _POINTS if points is None else points
        if not 1 <= points <= _MOST_POINTS:
            raise InvalidInput(f"points must be 1 to {_MOST_POINTS}, got {points}.", path=["points"])
        if not await _can_play(root, info.context):
            return []
        return await archives.waveform_of(info.context.house, root.id, points)
