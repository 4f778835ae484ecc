"""Cards."""

from datetime import datetime
from typing import Any

import strawberry

from models.account import Account
from models.clip import Clip as ClipRow
from models.recording import Recording as RecordingRow
from models.space import Space as SpaceRow
from models.timeline_item import SHARE_KINDS, TimelineItemKind
from models.timeline_item import TimelineItem as TimelineItemRow
from schema.clips import Clip
from schema.connections import PageInfo, page_info
from schema.context import Context
from schema.nodes import Node, RowType
from schema.people import User
from schema.recordings import Recording
from schema.rows import Page
from schema.sources import column, computed, relation
from schema.spaces import Space
from services.outward import id_text


def _url(row: TimelineItemRow, context: Context) -> str:
    return context.house.links.url(f"/cards/{id_text(row.id)}")


def _can_delete(row: TimelineItemRow, context: Context) -> bool:
    return context.viewer.is_account(row.author_id) and row.kind in SHARE_KINDS


@strawberry.type(
    description="One Spaces card. What a client needs to draw it, the 'Play Recording' button included,"
    " comes in one query."
)
class TimelineItem(RowType, Node):
    """One Spaces card."""

    model = TimelineItemRow

    kind: TimelineItemKind = column("kind", "What the card tells.")
    author: User = relation(Account, "Who put it there: the host, or who shared.", key="author_id")
    created_at: datetime = column("created_at", "When it was put there.")
    activity_at: datetime = column(
        "activity_at",
        "What the timeline is ordered by: the last change that is news (scheduled, live, ended, shared).",
    )
    comment: str | None = column("comment", "What the sharer says.")
    space: Space = relation(SpaceRow, "The Space it is about.", key="space_id")
    recording: Recording | None = relation(
        RecordingRow, "The Space's recording, also when that is gone.", key="space_id", column="space_id"
    )
    clip: Clip | None = relation(ClipRow, "The clip that was shared.", key="clip_id")
    start_ms: int = column("start_ms", "Where the sharer wants playback to start.")
    url: str = computed(_url, "The public page of this card, for sharing outside.", reads=("id",))
    viewer_can_delete: bool = computed(
        _can_delete, "Whether the viewer may take it back.", reads=("author_id", "kind")
    )


@strawberry.type(description="One place on a timeline.")
class TimelineEdge:
    """One place on a timeline."""

    cursor: str = strawberry.field(description="This place: send it as `after` to go on from here.")
    node: TimelineItem | None = strawberry.field(description="The card.")


@strawberry.type(description="A page of a timeline.")
class TimelineConnection:
    """A page of a timeline."""

    edges: list[TimelineEdge] = strawberry.field(description="The cards on this page, newest activity first.")
    page_info: PageInfo = strawberry.field(description="How to go on.")


def timeline_connection(page: Page) -> TimelineConnection:
    """A page of card rows."""
    nodes: list[Any] = list(page.rows)
    edges = [TimelineEdge(cursor=cursor, node=row) for cursor, row in zip(page.cursors, nodes, strict=True)]
    return TimelineConnection(edges=edges, page_info=page_info(page))
