"""Who follows and who blocks whom."""

from uuid import UUID

from tortoise.expressions import F

from models.account import Account
from models.block import Block
from models.follow import Follow
from models.participant import Participant, ParticipantRole
from models.space import Space, SpaceState
from models.space_event import SpaceEventKind
from models.timeline_event import TimelineEventKind
from services import cards, invitations
from services.accounts import visible_account
from services.bus import sight_topic, space_topic
from services.changes import Change, change, new_id
from services.entering import cut_audio, go_out, note_cohosts
from services.errors import InvalidInput, NotFound
from services.house import House
from services.viewers import Viewer

_OPEN = [SpaceState.SCHEDULED, SpaceState.LIVE]


def _another(me: Account, account_id: UUID, what: str) -> None:
    if account_id == me.id:
        raise InvalidInput(f"You cannot {what} yourself.", path=["userId"])


async def follow(house: House, viewer: Viewer, account_id: UUID) -> Account:
    """See somebody's cards on one's timeline; following twice is once."""
    me = viewer.signed_in()
    _another(me, account_id, "follow")
    async with change(house) as made:
        other = await visible_account(viewer, account_id)
        if other.deleted_at is not None:
            raise NotFound(path=["userId"])
        if not await Follow.exists(follower_id=me.id, followee_id=other.id):
            await Follow.create(id=new_id(), follower_id=me.id, followee_id=other.id, created_at=made.now)
            await _count_follow(me.id, other.id, 1)
            found = await cards.by_author(other.id, hidden=await viewer.hidden())
            await made.tell_viewer(me.id, found[::-1], TimelineEventKind.ADDED)
    await other.refresh_from_db()
    return other


async def unfollow(house: House, viewer: Viewer, account_id: UUID) -> Account:
    """See somebody's cards no more; doing it twice is once."""
    me = viewer.signed_in()
    async with change(house) as made:
        other = await visible_account(viewer, account_id)
        if await end_follow(me.id, other.id):
            found = await cards.by_author(other.id, hidden=await viewer.hidden())
            await made.tell_viewer(me.id, found if other.id != me.id else [], TimelineEventKind.REMOVED)
    await other.refresh_from_db()
    return other


async def end_follow(follower_id: UUID, followee_id: UUID) -> bool:
    """Take a follow away with its counts. Whether there was one."""
    ended = await Follow.filter(follower_id=follower_id, followee_id=followee_id).delete()
    if ended:
        await _count_follow(follower_id, followee_id, -1)
    return bool(ended)


async def _count_follow(follower_id: UUID, followee_id: UUID, by: int) -> None:
    counts = [(follower_id, "following_count"), (followee_id, "follower_count")]
    # In the order of ids: two who follow each other at once would else wait for one another.
    for account_id, column in sorted(counts):
        await Account.filter(id=account_id).update(**{column: F(column) + by})


async def block(house: House, viewer: Viewer, account_id: UUID) -> Account:
    """Neither sees the other from now on, and each is out of the other's Spaces. Blocking twice is once."""
    me = viewer.signed_in()
    _another(me, account_id, "block")
    cut: list[tuple[UUID, UUID]] = []
    async with change(house) as made:
        other = await _anyone(viewer, account_id)
        if not await Block.exists(blocker_id=me.id, blocked_id=other.id):
            for one, two in ((me.id, other.id), (other.id, me.id)):
                await made.tell_viewer(one, await cards.between(one, two), TimelineEventKind.REMOVED)
            await Block.create(id=new_id(), blocker_id=me.id, blocked_id=other.id, created_at=made.now)
            made.topics |= {sight_topic(me.id), sight_topic(other.id)}
            await end_follow(me.id, other.id)
            await end_follow(other.id, me.id)
            removed, left = SpaceEventKind.PARTICIPANT_REMOVED, SpaceEventKind.PARTICIPANT_LEFT
            cut = await _out_of(house, made, host_id=me.id, person_id=other.id, kind=removed)
            cut += await _out_of(house, made, host_id=other.id, person_id=me.id, kind=left)
    for space_id, person_id in cut:
        await cut_audio(house, space_id, person_id)
    await other.refresh_from_db()
    return other


async def _anyone(viewer: Viewer, account_id: UUID) -> Account:
    """Somebody the viewer sees, or has blocked."""
    mine = await Block.exists(blocker_id=viewer.id, blocked_id=account_id)
    found = await Account.get_or_none(id=account_id) if mine else await visible_account(viewer, account_id)
    if found is None or (found.deleted_at is not None and not mine):
        raise NotFound(path=["userId"])
    return found


async def _out_of(
    house: House, made: Change, *, host_id: UUID, person_id: UUID, kind: SpaceEventKind
) -> list[tuple[UUID, UUID]]:
    """Take a person out of every Space of a host that is not over. Whom to cut off, where."""
    cut: list[tuple[UUID, UUID]] = []
    # Always in this order, so that two who block each other at once do not wait for each other.
    spaces = Space.filter(host_id=host_id, state__in=_OPEN).order_by("id").select_for_update()
    for space in await spaces:
        made.topics.add(space_topic(space.id))
        await invitations.lapse(space_id=space.id, account_id=person_id)
        found = await Participant.select_for_update().get_or_none(
            space_id=space.id, account_id=person_id, removed_at=None
        )
        if found is None:
            continue
        if kind is SpaceEventKind.PARTICIPANT_REMOVED or found.left_at is None:
            await go_out(house, made, space, found, kind=kind)
        # The host cannot see who holds the role, and must be able to give it to another.
        await Participant.filter(id=found.id).update(role=ParticipantRole.LISTENER, has_lapsed=False)
        await note_cohosts(space)
        cut.append((space.id, person_id))
    return cut


async def unblock(house: House, viewer: Viewer, account_id: UUID) -> Account:
    """Each may see the other again, unless the other blocks too. What was ended by the block stays ended."""
    me = viewer.signed_in()
    async with change(house) as made:
        other = await _anyone(viewer, account_id)
        ended = await Block.filter(blocker_id=me.id, blocked_id=other.id).delete()
        if ended and not await Block.exists(blocker_id=other.id, blocked_id=me.id):
            made.topics |= {sight_topic(me.id), sight_topic(other.id)}
            for one, two in ((me.id, other.id), (other.id, me.id)):
                found = await cards.between(one, two)
                await made.tell_viewer(one, found[::-1], TimelineEventKind.ADDED)
    await other.refresh_from_db()
    return other
