"""Deleting an account: at once for everybody who looks, and finished whatever comes between."""

from datetime import datetime
from uuid import UUID

import structlog
from tortoise.expressions import F, Q

from models.access_token import AccessToken
from models.account import Account
from models.block import Block
from models.clip import Clip
from models.delivery import Delivery
from models.follow import Follow
from models.invitation import Invitation
from models.mail_address import MailAddress
from models.notification import Notification
from models.participant import Participant
from models.playback_position import PlaybackPosition
from models.push_subscription import PushSubscription
from models.recording import Recording, RecordingStatus
from models.reminder import Reminder
from models.rollout import RolloutAllowed
from models.search_word import WordKind
from models.session import Session
from models.space import Space, SpaceState
from models.timeline_item import SHARE_KINDS, TimelineItem
from services import (
    accounts,
    avatars,
    clips,
    endings,
    handles,
    identities,
    participation,
    people,
    recordings,
    search,
    shares,
    spaces,
    tickets,
    webhooks,
)
from services.bus import person_topic, sight_topic
from services.changes import Change, change
from services.errors import SpacesError, Unauthenticated
from services.house import House
from services.removals import Removal, RemovedKind
from services.viewers import Viewer

log = structlog.get_logger(__name__)


async def delete_account(house: House, viewer: Viewer, *, password: str) -> None:
    """Delete the viewer's account: nameless and signed out at once; its Spaces end and its recordings go."""
    account = viewer.signed_in()
    if account.password_hash:
        await accounts.confirm(house, account, password, field="password")
    else:
        identities.confirm(house, viewer, within=house.rules.proven_within, field="password")
    async with change(house) as made:
        row = await Account.select_for_update().get(id=account.id)
        if row.deleted_at is not None:
            raise Unauthenticated
        await erase(made, row, at=made.now)
    await finish(house, account.id)


async def erase(made: Change, row: Account, *, at: datetime) -> None:
    """Make a locked account nameless and signed out. What else goes with it is for `finish`."""
    await Session.filter(account_id=row.id).delete()
    await AccessToken.filter(account_id=row.id).delete()
    await identities.forget(row.id, made.now)
    await avatars.drop(row.id)
    await _cut_ties(made, row.id)
    _forget(row)
    row.deleted_at = at
    await row.save()
    made.removed.append(Removal(kind=RemovedKind.ACCOUNT, id=row.id, at=at))
    await made.audit("account.deleted", "user", row.id, actor_id=row.id)
    made.topics.add(person_topic(row.id))


def _forget(row: Account) -> None:
    """Everything that names the person. The handle's hash stays: nobody else may come back under it."""
    row.handle_key = handles.spent_key(row.handle_key)
    row.handle, row.name, row.bio, row.avatar_digest = "deleted", "", None, None
    row.password_hash = ""
    row.is_moderator = row.records_by_default = False
    row.follower_count = row.following_count = 0
    row.is_leaving = True


async def _cut_ties(made: Change, account_id: UUID) -> None:
    for follow in await Follow.filter(Q(follower_id=account_id) | Q(followee_id=account_id)).order_by("id"):
        await people.end_follow(follow.follower_id, follow.followee_id)
    blocks = Block.filter(Q(blocker_id=account_id) | Q(blocked_id=account_id))
    made.topics |= {sight_topic(one) for row in await blocks for one in (row.blocker_id, row.blocked_id)}
    await blocks.delete()
    await PlaybackPosition.filter(account_id=account_id).delete()
    await RolloutAllowed.filter(account_id=account_id).delete()
    await Invitation.filter(account_id=account_id).delete()
    await search.forget(account_id)
    for space in await Space.filter(host_id=account_id):
        await search.index(WordKind.SPACE, space.id, space.title)  # by its title alone, no more by the handle
    await _stop_telling(account_id)


async def _stop_telling(account_id: UUID) -> None:
    """No address is kept, and nothing leaves the house any more."""
    reminded = await Reminder.filter(account_id=account_id).values_list("space_id", flat=True)
    await Space.filter(id__in=list(reminded)).update(reminder_count=F("reminder_count") - 1)
    await Reminder.filter(account_id=account_id).delete()
    await Delivery.filter(account_id=account_id).delete()
    await PushSubscription.filter(account_id=account_id).delete()
    await MailAddress.filter(account_id=account_id).delete()
    await Notification.filter(account_id=account_id).delete()
    await webhooks.forget_all(account_id)


async def finish(house: House, account_id: UUID) -> None:
    """Do what a deletion brings with it, as far as it is not done; what fails is left to the next round."""
    try:
        await _end_spaces(house, account_id)
        await _leave_others(house, account_id)
        await tickets.give_up(house, account_id)
    except SpacesError as error:
        log.warning("a deleted account is not quite gone yet", account=str(account_id), error=error.message)
        return
    await Account.filter(id=account_id).update(is_leaving=False)


async def finish_all(house: House) -> None:
    """The deletions that were cut off."""
    for account_id in await Account.filter(is_leaving=True).values_list("id", flat=True):
        await finish(house, account_id)  # type: ignore[arg-type]


async def _end_spaces(house: House, account_id: UUID) -> None:
    hosted = Space.filter(host_id=account_id)
    for space_id in await hosted.filter(state=SpaceState.SCHEDULED).values_list("id", flat=True):
        async with change(house) as made:
            await spaces.call_off(house, made, await made.space(space_id))  # type: ignore[arg-type]
    for space_id in await hosted.filter(state=SpaceState.LIVE).values_list("id", flat=True):
        await endings.end_at(house, space_id, at=house.clock.now())  # type: ignore[arg-type]
    public = Recording.filter(
        host_id=account_id, status__in=[RecordingStatus.AVAILABLE, RecordingStatus.FINALIZING]
    )
    for recording_id in await public.values_list("id", flat=True):
        await recordings.withdraw(house, recording_id, actor_id=account_id)  # type: ignore[arg-type]


async def _leave_others(house: House, account_id: UUID) -> None:
    """Out of live Spaces, and with one's shares; who was host or speaker stays, nameless."""
    gone = Viewer(account=await Account.get(id=account_id), doing="deleteAccount")
    for space_id in await Participant.filter(account_id=account_id, left_at=None).values_list(
        "space_id", flat=True
    ):
        if await Space.exists(id=space_id, state=SpaceState.LIVE):
            await participation.leave(house, gone, space_id)  # type: ignore[arg-type]
    for clip_id in await Clip.filter(author_id=account_id).values_list("id", flat=True):
        await clips.delete(house, gone, clip_id)  # type: ignore[arg-type]
    mine = TimelineItem.filter(author_id=account_id, kind__in=list(SHARE_KINDS))
    for item_id in await mine.values_list("id", flat=True):
        await shares.delete_share(house, gone, item_id)  # type: ignore[arg-type]
