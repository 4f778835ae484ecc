"""The query root."""

import asyncio
from typing import Annotated, Any

import strawberry
from tortoise.expressions import Q
from tortoise.models import Model

from models.access_token import AccessToken as AccessTokenRow
from models.account import Account
from models.audit_entry import AuditEntry as AuditRow
from models.clip import Clip as ClipRow
from models.invitation import Invitation as InvitationRow
from models.notification import Notification as NotificationRow
from models.paging import Order
from models.participant import Participant as ParticipantRow
from models.recording import Recording as RecordingRow
from models.report import Report as ReportRow
from models.search_word import WordKind
from models.space import Space as SpaceRow
from models.space import SpaceState
from models.ticket import Ticket as TicketRow
from models.timeline_item import TimelineItem as TimelineItemRow
from models.webhook import Webhook as WebhookRow
from models.webhook_delivery import WebhookDelivery as WebhookDeliveryRow
from schema import ids
from schema.connections import After, Connection, Edge, First, PageInfo, connection_of
from schema.context import Context, Info
from schema.events import SpaceEvent
from schema.moderation import Moderation
from schema.nodes import Node
from schema.people import User, Viewer
from schema.recordings import Recording
from schema.rollout import RecordingRollout, rollout_of
from schema.rows import Wanted
from schema.spaces import Space
from schema.timeline import TimelineConnection, timeline_connection
from services import live, rollout, search, text, visibility
from services.errors import InvalidInput, NotFound

_NODES: dict[str, type[Model]] = {
    "User": Account,
    "Space": SpaceRow,
    "Participant": ParticipantRow,
    "Recording": RecordingRow,
    "Clip": ClipRow,
    "TimelineItem": TimelineItemRow,
    "Report": ReportRow,
    "Ticket": TicketRow,
    "Notification": NotificationRow,
    "Invitation": InvitationRow,
    "AuditEntry": AuditRow,
    "AccessToken": AccessTokenRow,
    "Webhook": WebhookRow,
    "WebhookDelivery": WebhookDeliveryRow,
}
_NOTHING = Q(id__isnull=True)
_BY_CREATION = Order(column="created_at")
_BY_ACTIVITY = Order(column="activity_at")
_Id = Annotated[strawberry.ID, strawberry.argument(description="A global id.")]


async def _node(context: Context, global_id: str) -> Any:
    """The object behind an id, or None when there is none that the viewer may see."""
    try:
        type_name, key = ids.read_any(global_id)
        row_id = ids.number(key) if type_name == "AuditEntry" else ids.unique(key)
        return await context.rows.by_id(_NODES[type_name], row_id)
    except (NotFound, KeyError, ValueError):
        return None


async def _of_type(context: Context, global_id: str, type_name: str) -> Any:
    try:
        return await context.rows.by_id(_NODES[type_name], ids.read(global_id, type_name))
    except NotFound:
        return None


@strawberry.type(description="Everything that can be read.")
class Query:
    """The query root."""

    @strawberry.field(description="The object with this id; null when there is none that the viewer may see.")
    async def node(root: Any, info: Info, id: _Id) -> Node | None:
        return await _node(info.context, id)  # type: ignore[no-any-return]

    @strawberry.field(description="The objects with these ids, in their order, at most 100.")
    async def nodes(
        root: Any,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="Global ids, at most 100.")],
    ) -> list[Node | None]:
        if len(ids) > 100:
            raise InvalidInput(f"ids must be at most 100, got {len(ids)}.", path=["ids"])
        return list(await asyncio.gather(*(_node(info.context, one) for one in ids)))

    @strawberry.field(description="The account that asks; null for an anonymous viewer.")
    async def viewer(root: Any, info: Info) -> Viewer | None:
        await info.context.renew()
        return info.context.viewer.account  # type: ignore[return-value]

    @strawberry.field(description="The person with this handle, in upper or lower case.")
    async def user(
        root: Any, info: Info, handle: Annotated[str, strawberry.argument(description="Without the @.")]
    ) -> User | None:
        rows = Account.filter(await visibility.accounts(info.context.viewer))
        handle_key = text.handle_key(handle)
        if handle_key is None:
            return None
        return await rows.filter(handle_key=handle_key, deleted_at=None).first()  # type: ignore[return-value]

    @strawberry.field(
        description="People whose handle or name has words that begin like those of the text, the newest first."
    )
    async def users(
        root: Any,
        info: Info,
        text: Annotated[str, strawberry.argument(description="At most 200 characters.")],
        first: First = 20,
        after: After = strawberry.UNSET,
    ) -> Connection[User]:
        found = search.by_text(WordKind.ACCOUNT, text)
        where = Q(deleted_at__isnull=True) & found if found is not None else _NOTHING
        wanted = Wanted.of(first, after)
        return connection_of(await info.context.rows.listed(Account, where, _BY_CREATION, wanted))

    @strawberry.field(description="The Space with this id.")
    async def space(root: Any, info: Info, id: _Id) -> Space | None:
        return await _of_type(info.context, id, "Space")  # type: ignore[no-any-return]

    @strawberry.field(description="The recording with this id.")
    async def recording(root: Any, info: Info, id: _Id) -> Recording | None:
        return await _of_type(info.context, id, "Recording")  # type: ignore[no-any-return]

    @strawberry.field(description="Spaces, the newest first.")
    async def spaces(
        root: Any,
        info: Info,
        *,
        state: Annotated[
            SpaceState | None, strawberry.argument(description="Only in this state.")
        ] = strawberry.UNSET,
        topic: Annotated[
            str | None, strawberry.argument(description="Only with this topic, in whatever case.")
        ] = strawberry.UNSET,
        text: Annotated[
            str | None,
            strawberry.argument(
                description="Only those whose title or host's handle has words that begin like those of the text."
            ),
        ] = strawberry.UNSET,
        first: First = 20,
        after: After = strawberry.UNSET,
    ) -> Connection[Space]:
        where = Q(state=state) if state else Q()
        if topic and topic.strip():
            where &= search.by_topic(topic)
        if text and text.strip():
            found = search.by_text(WordKind.SPACE, text)
            where &= found if found is not None else _NOTHING
        wanted = Wanted.of(first, after)
        return connection_of(await info.context.rows.listed(SpaceRow, where, _BY_CREATION, wanted))

    @strawberry.field(
        description="Cards by the viewer and the people the viewer follows, newest activity first; for an anonymous"
        " viewer, public live Spaces and recordings."
    )
    async def timeline(
        root: Any, info: Info, first: First = 20, after: After = strawberry.UNSET
    ) -> TimelineConnection:
        wanted = Wanted.of(first, after)
        rows, me = info.context.rows, info.context.viewer.id
        if me is None:
            return timeline_connection(
                await rows.listed(TimelineItemRow, Q(is_public=True), _BY_ACTIVITY, wanted)
            )
        return timeline_connection(await rows.followed(me, _BY_ACTIVITY, wanted))

    @strawberry.field(
        description="The same sequence that subscriptions push, oldest first, for those who pull."
    )
    async def space_events(
        root: Any,
        info: Info,
        space_id: Annotated[
            strawberry.ID, strawberry.argument(description="Id of a Space that the viewer may see.")
        ],
        first: First = 100,
        after: After = strawberry.UNSET,
    ) -> Connection[SpaceEvent]:
        context = info.context
        space = await visibility.visible_space(context.viewer, ids.read(space_id, "Space", path="spaceId"))
        most = 100 if first is None else first
        sequence = live.place_in_space(context.house, space, after) if after else 0
        found = await live.events_after(context.viewer, space.id, sequence, most=most + 1)
        heard = [live.heard(event) for event in found[:most]]
        edges = [Edge[Any](cursor=event.cursor, node=event) for event in heard]
        cursors = [event.cursor for event in heard]
        page_info = PageInfo(
            has_next_page=len(found) > most,
            has_previous_page=sequence > 0,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )
        return Connection(edges=edges, page_info=page_info)

    @strawberry.field(description="For moderators; null to others.")
    def moderation(root: Any, info: Info) -> Moderation | None:
        return Moderation() if info.context.viewer.is_moderator else None

    @strawberry.field(description="Who may record on this server.")
    async def rollout(root: Any) -> RecordingRollout:
        return rollout_of(await rollout.current())
