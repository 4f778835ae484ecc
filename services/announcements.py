"""News for many: planned with the change, and told in batches at their moment, once each, across any crash."""

from datetime import datetime
from uuid import UUID

from models.account import Account, Suspension
from models.announcement import Announcement
from models.block import Block
from models.fields import to_ms
from models.notification import NotificationKind
from models.recording import Recording, RecordingStatus
from models.reminder import Reminder
from models.space import Space, SpaceState
from services.bus import POST
from services.changes import Change, change, new_id
from services.house import House
from services.notifications import About, of_recording, tell
from services.retention import status_at

_KIND = NotificationKind
_BATCH = 200


async def plan(house: House, made: Change, space: Space) -> None:
    """After a Space was created, moved, launched or called off: what its people are to be told, and when."""
    if space.state is SpaceState.SCHEDULED and space.scheduled_start is not None:
        await _put(made, _KIND.REMINDER, space.id, space.scheduled_start - house.rules.reminder_ahead)
        return
    await Announcement.filter(space_id=space.id, kind=_KIND.REMINDER).delete()
    if space.state is SpaceState.LIVE and space.reminder_count:
        await _put(made, _KIND.SPACE_STARTED, space.id, made.now)


async def plan_expiry(house: House, made: Change, recording: Recording) -> None:
    """A word to the host before the recording expires."""
    if recording.expires_at is not None:
        at = recording.expires_at - house.rules.expiring_ahead
        await _put(made, _KIND.RECORDING_EXPIRING, recording.space_id, at)


async def _put(made: Change, kind: NotificationKind, space_id: UUID, due_at: datetime) -> None:
    """Plan it, or move it. What would have been due before now is not planned: nobody can have asked for it."""
    found = await Announcement.get_or_none(space_id=space_id, kind=kind)
    if found is not None and found.due_at == due_at:
        return
    if found is not None:
        await found.delete()
    if due_at >= made.now:
        await Announcement.create(id=new_id(), kind=kind, space_id=space_id, due_at=due_at)
        made.topics.add(POST)


async def announce(house: House, announcement_id: UUID, owner: str) -> None:
    """Tell everyone, a batch a transaction; whoever goes on after a crash begins where it came to."""
    while await _announce_some(house, announcement_id, owner):
        pass


async def _announce_some(house: House, announcement_id: UUID, owner: str) -> bool:
    """Whether there are more to tell."""
    async with change(house) as made:
        found = await Announcement.select_for_update().get_or_none(id=announcement_id, lease_owner=owner)
        if found is None:
            return False
        space = await made.space(found.space_id)
        more = False
        if found.kind is _KIND.RECORDING_EXPIRING:
            await _tell_host(house, made, space)
        elif _is_true(house, found, space):
            more = await _tell_reminded(house, made, found, space)
        if more:
            found.lease_until = made.now + house.rules.lease_for
            await found.save()
        else:
            await found.delete()
    return more


def _is_true(house: House, found: Announcement, space: Space) -> bool:
    """Whether the news still is as it was planned: nobody is reminded of what is live, over or called off."""
    if found.kind is _KIND.SPACE_STARTED:
        return space.state is SpaceState.LIVE
    planned_for = found.due_at + house.rules.reminder_ahead
    return space.state is SpaceState.SCHEDULED and space.scheduled_start == planned_for


async def _tell_host(house: House, made: Change, space: Space) -> None:
    recording = await Recording.get_or_none(space_id=space.id)
    if recording is not None and status_at(recording, made.now) is RecordingStatus.AVAILABLE:
        await of_recording(house, made, _KIND.RECORDING_EXPIRING, recording, [recording.host_id])


async def _tell_reminded(house: House, made: Change, found: Announcement, space: Space) -> bool:
    rows = Reminder.filter(space_id=space.id)
    if found.reached is not None:
        rows = rows.filter(account_id__gt=found.reached)
    ids: list[UUID] = list(
        await rows.order_by("account_id").limit(_BATCH).values_list("account_id", flat=True)  # type: ignore[arg-type]
    )
    if not ids:
        return False
    found.reached = ids[-1]
    start = space.scheduled_start if found.kind is _KIND.REMINDER else None
    occasion = f"{found.kind.value}:{space.id}" + (f":{to_ms(start)}" if start else "")
    told = await _welcome(space, ids, made.now)
    await tell(house, made, found.kind, told, occasion=occasion, about=About(space_id=space.id))
    return len(ids) == _BATCH


async def _welcome(space: Space, ids: list[UUID], now: datetime) -> list[UUID]:
    """Those who may still see the Space: neither suspended nor hidden from its host by a block."""
    theirs = Block.filter(blocker_id=space.host_id, blocked_id__in=ids).values_list("blocked_id", flat=True)
    mine = Block.filter(blocked_id=space.host_id, blocker_id__in=ids).values_list("blocker_id", flat=True)
    hidden = {*await theirs, *await mine}
    people = await Account.filter(id__in=ids)
    suspended = {one.id for one in people if one.suspended_at(now) is Suspension.ACCOUNT}
    return [one for one in ids if one not in hidden | suspended]
