"""Clips."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from models.account import Account
from models.clip import Clip as ClipRow
from models.recording import Recording as RecordingRow
from schema.context import Context
from schema.links import MediaLink, media_link
from schema.nodes import Node, RowType
from schema.people import User
from schema.sources import column, computed, relation
from services import clips, playback

if TYPE_CHECKING:
    from schema.recordings import Recording


async def _playback(row: ClipRow, context: Context) -> MediaLink | None:
    recording = await context.rows.by_id(RecordingRow, row.recording_id)
    admitted = recording is not None and (
        not recording.is_ticketed or await context.rows.admitted(recording.space_id)
    )
    if not clips.may_play(row, recording, context.now, admitted=admitted):
        return None
    return media_link(context.house, playback.clip_link(context.house, row, context.viewer, context.now))


@strawberry.type(
    description="A stretch of a recording, of at most 30 s. It plays for as long as its recording does."
)
class Clip(RowType, Node):
    """A stretch of a recording."""

    model = ClipRow

    recording: Annotated["Recording", strawberry.lazy("schema.recordings")] = relation(
        RecordingRow, "What it was cut from.", key="recording_id"
    )
    author: User = relation(Account, "Who cut it.", key="author_id")
    start_ms: int = column("start_ms", "From here, in ms since the recording's first audio.")
    end_ms: int = column("end_ms", "Up to here.")
    title: str = column("title", "1 to 200 characters.")
    created_at: datetime = column("created_at", "When it was cut.")
    playback: MediaLink | None = computed(
        _playback, "HLS of this stretch, to the fragment; null once its recording cannot be played."
    )
