"""People: users and the viewer."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from models.account import Account
from models.block import Block
from models.follow import Follow
from models.invitation import Invitation as InvitationRow
from models.invitation import InvitationState
from models.recording import Recording as RecordingRow
from models.space import Platform
from models.space import Space as SpaceRow
from models.ticket import Ticket as TicketRow
from schema import notifications
from schema.connections import After, Connection, Edge, First, page_info
from schema.context import Context, Info
from schema.nodes import Node, RowType
from schema.rows import Connected, Wanted
from schema.sources import column, computed, exists, newest_first, page_of, relation
from services import avatars, rollout, tokens, webhooks

if TYPE_CHECKING:
    from schema.integrations import AccessToken
    from schema.notifications import Notification
    from schema.recordings import Recording
    from schema.spaces import Invitation, Space
    from schema.tickets import Ticket
    from schema.webhooks import Webhook

_FOLLOWERS = newest_first(Follow, "followee_id")
_FOLLOWING = newest_first(Follow, "follower_id")
_SPACES = newest_first(SpaceRow, "host_id")
_TICKETS = newest_first(TicketRow, "account_id")
_INVITATIONS = newest_first(InvitationRow, "account_id")
_RECORDINGS = newest_first(RecordingRow, "host_id")


async def _people(info: Info, connected: Connected, root: Any, wanted: Wanted, other: str) -> Connection[Any]:
    """The people at the other end of a page of follows."""
    page = await info.context.rows.page(connected, root.id, wanted)
    people = await asyncio.gather(
        *(info.context.rows.by_id(Account, getattr(row, other)) for row in page.rows)
    )
    edges = [
        Edge[Any](cursor=cursor, node=person) for cursor, person in zip(page.cursors, people, strict=True)
    ]
    return Connection(edges=edges, page_info=page_info(page))


def _handle(row: Account, _context: Context) -> str:
    return row.handle if row.deleted_at is None else "deleted"


def _name(row: Account, _context: Context) -> str:
    return row.name if row.deleted_at is None else "Deleted account"


def _bio(row: Account, _context: Context) -> str | None:
    return row.bio if row.deleted_at is None else None


@strawberry.type(description="A person with an account. A deleted account stays as a nameless user.")
class User(RowType, Node):
    """A person with an account."""

    model = Account

    handle: str = computed(
        _handle, "The public name after the @, unique without regard to case.", reads=("handle", "deleted_at")
    )
    name: str = computed(_name, "The name to show.", reads=("name", "deleted_at"))
    bio: str | None = computed(_bio, "What the person says of themselves.", reads=("bio", "deleted_at"))
    avatar_url: str | None = computed(
        lambda row, context: avatars.url(context.house, row),
        "The person's picture, a square JPEG; put it with `PUT /account/avatar`.",
        reads=("id", "avatar_digest", "deleted_at"),
    )
    follower_count: int = column("follower_count", "How many people follow this person.")
    following_count: int = column("following_count", "How many people this person follows.")
    viewer_follows: bool = exists(
        Follow, "Whether the viewer follows this person.", column="followee_id", mine="follower_id"
    )
    viewer_blocks: bool = exists(
        Block, "Whether the viewer has blocked this person.", column="blocked_id", mine="blocker_id"
    )

    @strawberry.field(description="Who follows this person, the newest first.")
    async def followers(
        root: Any, info: Info, first: First = 20, after: After = strawberry.UNSET
    ) -> Connection["User"]:
        wanted = Wanted.of(first, after)
        return await _people(info, _FOLLOWERS, root, wanted, "follower_id")

    @strawberry.field(description="Whom this person follows, the newest first.")
    async def following(
        root: Any, info: Info, first: First = 20, after: After = strawberry.UNSET
    ) -> Connection["User"]:
        wanted = Wanted.of(first, after)
        return await _people(info, _FOLLOWING, root, wanted, "followee_id")

    @strawberry.field(description="The Spaces this person hosts or hosted, the newest first.")
    async def spaces(
        root: Any, info: Info, first: First = 20, after: After = strawberry.UNSET
    ) -> Connection[Annotated["Space", strawberry.lazy("schema.spaces")]]:
        return await page_of(info, _SPACES, root.id, first=first, after=after)


@strawberry.type(description="Whether an account may record, and why or why not.")
class RecordingEligibility:
    """Whether an account may record, and why or why not."""

    allowed: bool = strawberry.field(description="Whether the 'Record Space' toggle may be set.")
    reason: str = strawberry.field(description="The rule that decided and what it looked at, in words.")


@strawberry.type(description="The account that asks, and what is its alone.")
class Viewer:
    """The account that asks. Its row is the account's."""

    user: User = relation(Account, "The viewer as others see them.", key="id")
    is_moderator: bool = column("is_moderator", "Whether the viewer moderates this server.")
    records_by_default: bool = column(
        "records_by_default", "The account's default for the 'Record Space' toggle."
    )

    @strawberry.field(description="May this account record, from this platform, and why or why not.")
    async def recording_eligibility(
        root: Any,
        info: Info,
        platform: Annotated[
            Platform, strawberry.argument(description="Where the toggle would be set.")
        ] = Platform.WEB,
    ) -> RecordingEligibility:
        answer = await rollout.eligibility(root, platform, info.context.now)
        return RecordingEligibility(allowed=answer.allowed, reason=answer.reason)

    @strawberry.field(description="The viewer's access tokens, the newest first.")
    async def access_tokens(
        root: Any,
    ) -> list[Annotated["AccessToken", strawberry.lazy("schema.integrations")]]:
        return await tokens.all_of(root.id)  # type: ignore[return-value]

    @strawberry.field(description="The viewer's webhooks, the newest first.")
    async def webhooks(root: Any) -> list[Annotated["Webhook", strawberry.lazy("schema.webhooks")]]:
        return await webhooks.all_of(root.id)  # type: ignore[return-value]

    @strawberry.field(description="The viewer's tickets, the newest first.")
    async def tickets(
        root: Any, info: Info, first: First = 20, after: After = strawberry.UNSET
    ) -> Connection[Annotated["Ticket", strawberry.lazy("schema.tickets")]]:
        return await page_of(info, _TICKETS, root.id, first=first, after=after)

    @strawberry.field(description="Invitations that the viewer can answer, the newest first.")
    async def invitations(
        root: Any, info: Info, first: First = 20, after: After = strawberry.UNSET
    ) -> Connection[Annotated["Invitation", strawberry.lazy("schema.spaces")]]:
        open_ones = InvitationState.OPEN
        return await page_of(info, _INVITATIONS, root.id, first=first, after=after, state=open_ones)

    @strawberry.field(description="The viewer's own recordings, the newest first.")
    async def recordings(
        root: Any, info: Info, first: First = 20, after: After = strawberry.UNSET
    ) -> Connection[Annotated["Recording", strawberry.lazy("schema.recordings")]]:
        return await page_of(info, _RECORDINGS, root.id, first=first, after=after)

    @strawberry.field(
        description="What the viewer is told, the newest first. Cursors are those of the subscription, which goes"
        " on from here."
    )
    async def notifications(
        root: Any, info: Info, first: First = 20, after: After = strawberry.UNSET
    ) -> Connection[Annotated["Notification", strawberry.lazy("schema.notifications")]]:
        return await notifications.connection(info.context, root.id, first=first, after=after or None)
