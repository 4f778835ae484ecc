"""The subscription root."""

from collections.abc import AsyncGenerator
from typing import Annotated, Any

import strawberry

from schema import ids
from schema.connections import After, Edge
from schema.context import Info
from schema.events import RecordingStatusEvent, SpaceEvent, TimelineEvent
from schema.following import following
from schema.notifications import Notification, edge_of
from services import notifications
from services.live import RecordingStream, SpaceStream, TimelineStream

_SpaceId = Annotated[strawberry.ID, strawberry.argument(description="Id of a Space that the viewer may see.")]


@strawberry.type(description="Everything that is pushed.")
class Subscription:
    """The subscription root. Rows are read anew for each event."""

    @strawberry.subscription(
        description="The live state of a Space's recording: the state now, at once, and then every change; while"
        " RECORDING, at least once a second."
    )
    def recording_status(
        root: Any, info: Info, space_id: _SpaceId, after: After = strawberry.UNSET
    ) -> AsyncGenerator[RecordingStatusEvent, None]:
        return following(
            info.context, lambda: RecordingStream(ids.read(space_id, "Space", path="spaceId")), after
        )

    @strawberry.subscription(description="Everything that changes in a Space.")
    def space_updates(
        root: Any, info: Info, space_id: _SpaceId, after: After = strawberry.UNSET
    ) -> AsyncGenerator[SpaceEvent, None]:
        return following(
            info.context, lambda: SpaceStream(ids.read(space_id, "Space", path="spaceId")), after
        )

    @strawberry.subscription(
        description="New, changed and removed cards on the viewer's timeline (anonymous: the public one)."
    )
    def timeline_updates(
        root: Any, info: Info, after: After = strawberry.UNSET
    ) -> AsyncGenerator[TimelineEvent, None]:
        return following(info.context, TimelineStream, after)

    @strawberry.subscription(
        description="The viewer's notifications as they come; with `after`, every one since that cursor first."
    )
    async def notifications(
        root: Any, info: Info, after: After = strawberry.UNSET
    ) -> AsyncGenerator[Edge[Notification], None]:
        context = info.context
        async for row in notifications.follow(context.house, context.viewer, after or None):
            context.refresh()
            yield edge_of(row)
