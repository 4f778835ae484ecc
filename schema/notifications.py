"""What the viewer is told."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from models.account import Account
from models.invitation import Invitation as InvitationRow
from models.notification import Notification as NotificationRow
from models.notification import NotificationKind
from models.recording import Recording as RecordingRow
from models.space import Space as SpaceRow
from models.ticket import Ticket as TicketRow
from schema.connections import Connection, Edge, page_info
from schema.context import Context
from schema.nodes import Node, RowType
from schema.rows import Page
from schema.sources import column, computed, relation
from services import notifications

if TYPE_CHECKING:
    from schema.recordings import Recording
    from schema.spaces import Invitation, Space
    from schema.tickets import Ticket


async def _message(row: NotificationRow, context: Context) -> str:
    space = await context.rows.by_id(SpaceRow, row.space_id)
    host = await context.rows.by_id(Account, space.host_id) if space is not None else None
    name = "somebody"
    if host is not None:
        name = host.name if host.deleted_at is None else "Deleted account"
    return notifications.wording(row.kind, title=space.title if space is not None else "a Space", host=name)


@strawberry.type(description="Something that the viewer is told, once.")
class Notification(RowType, Node):
    """Something that the viewer is told."""

    model = NotificationRow

    kind: NotificationKind = column("kind", "What it is, for a program.")
    at: datetime = column("at", "When it was told.")
    space: Annotated["Space", strawberry.lazy("schema.spaces")] | None = relation(
        SpaceRow, "The Space it is about.", key="space_id"
    )
    recording: Annotated["Recording", strawberry.lazy("schema.recordings")] | None = relation(
        RecordingRow, "The recording it is about.", key="recording_id"
    )
    ticket: Annotated["Ticket", strawberry.lazy("schema.tickets")] | None = relation(
        TicketRow, "The viewer's ticket that it is about.", key="ticket_id"
    )
    invitation: Annotated["Invitation", strawberry.lazy("schema.spaces")] | None = relation(
        InvitationRow, "The invitation it is about.", key="invitation_id"
    )
    message: str = computed(_message, "What it is, for a person, in one line.")


def edge_of(row: NotificationRow) -> Edge[Any]:
    """A notification with its place."""
    return Edge[Any](cursor=notifications.cursor_of(row), node=row)


async def connection(
    context: Context, account_id: Any, *, first: int | None, after: str | None
) -> Connection[Any]:
    """A page of a person's notifications, the newest first; the cursors are those of the subscription."""
    most = 20 if first is None else first
    found = await notifications.newest_first(context.house, account_id, most=most + 1, after=after)
    edges = [edge_of(row) for row in found[:most]]
    page = Page(
        rows=found[:most],
        cursors=[edge.cursor for edge in edges],
        has_next=len(found) > most,
        has_previous=after is not None,
    )
    return Connection(edges=edges, page_info=page_info(page))
