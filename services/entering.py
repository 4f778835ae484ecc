"""Going into a Space and out of it: one row a person, the counters, and the event."""

from datetime import datetime
from uuid import UUID

from media.engine import EngineError
from models.attendance import Attendance
from models.participant import PUBLISHING_ROLES, Participant, ParticipantRole
from models.space import Platform, Space, SpaceState
from models.space_event import SpaceEventKind
from services.changes import Change, new_id
from services.house import House
from services.presence import account_key

_ROLE = ParticipantRole


def is_quiet(house: House, space: Space, participant: Participant) -> bool:
    """In a crowd, listeners coming and going change the counts and write no event."""
    return participant.role is _ROLE.LISTENER and space.participant_count > house.rules.quiet_above_people


async def has_room(house: House, space: Space, role: ParticipantRole) -> bool:
    """Whether one more may have the role. A co-host keeps it until the host takes it; a speaker's place is free
    while they are out, unless they have accepted and not come in yet.
    """
    holders = Participant.filter(space_id=space.id, role=role)
    if role is _ROLE.COHOST:
        return await holders.count() < house.rules.cohosts
    if role is _ROLE.SPEAKER:
        out = await holders.filter(left_at__isnull=False, has_entered=True).count()
        return await holders.count() - out < house.rules.speakers
    return True


def newcomer(made: Change, space: Space, account_id: UUID, *, role: ParticipantRole) -> Participant:
    """The row, not saved yet, of somebody who has never been in the Space."""
    return Participant(
        id=new_id(),
        space_id=space.id,
        account_id=account_id,
        role=role,
        joined_at=made.now,
        left_at=made.now,
    )


async def enter(
    house: House,
    made: Change,
    space: Space,
    found: Participant,
    *,
    platform: Platform | None = None,
    is_new: bool = False,
) -> None:
    """Into a locked, live Space, with PARTICIPANT_JOINED. A speaker whose place was given away comes as listener."""
    if found.role is _ROLE.SPEAKER and found.has_entered and not await has_room(house, space, _ROLE.SPEAKER):
        found.role = _ROLE.LISTENER
    if await house.presence.takes_from_audience(space.id, found.account_id):
        space.audience_count -= 1
        space.participant_count -= 1
    if not found.has_entered and not await _was_in_audience(space.id, found.account_id):
        space.total_listener_count += 1
    space.participant_count += 1
    space.peak_listener_count = max(space.peak_listener_count, space.participant_count)
    found.has_entered, found.has_lapsed, found.was_connected = True, False, False
    found.left_at, found.joined_at = None, made.now
    found.platform = platform or found.platform
    if found.role is _ROLE.HOST:
        space.host_lost_at = None
    await found.save(force_create=is_new)
    await space.save()
    house.presence.seen(space.id, found.account_id)
    if not is_quiet(house, space, found):
        await made.tell_space(
            space, SpaceEventKind.PARTICIPANT_JOINED, participant=found, facts={"toRole": found.role.value}
        )


async def _was_in_audience(space_id: UUID, account_id: UUID) -> bool:
    return await Attendance.exists(space_id=space_id, key=account_key(account_id))


async def go_out(
    house: House,
    made: Change,
    space: Space,
    found: Participant,
    *,
    kind: SpaceEventKind = SpaceEventKind.PARTICIPANT_LEFT,
    at: datetime | None = None,
) -> None:
    """Out of a locked Space as of `at`, with its event. Whoever was removed is a listener who cannot come back."""
    role, was_in = found.role, found.left_at is None
    quiet = is_quiet(house, space, found)
    found.left_at = (at or made.now) if was_in else found.left_at
    found.hand_raised = found.is_speaking = found.is_connected = False
    if kind is SpaceEventKind.PARTICIPANT_REMOVED:
        found.removed_at, found.role, found.has_lapsed = made.now, _ROLE.LISTENER, False
    await found.save()
    if role is _ROLE.COHOST and found.role is not role:
        await note_cohosts(space)
    if was_in:
        space.participant_count -= 1
        await mind_the_host(made, space, found, role)
        await space.save()
    house.presence.forget_account(space.id, found.account_id)
    if kind is SpaceEventKind.PARTICIPANT_REMOVED or not quiet:
        await made.tell_space(space, kind, participant=found, facts={"fromRole": role.value})


async def mind_the_host(made: Change, space: Space, gone: Participant, role: ParticipantRole) -> None:
    """A host who leaves, and the last co-host who stood in for one, have a minute to come back."""
    if space.state is not SpaceState.LIVE or role not in {_ROLE.HOST, _ROLE.COHOST}:
        return
    if role is _ROLE.HOST and not gone.has_lapsed:
        space.host_lost_at = made.now
    elif role is _ROLE.COHOST:
        await stands_in_no_more(made, space)
    made.mind(space)


async def stands_in_no_more(made: Change, space: Space) -> None:
    """After a co-host is gone: with the host away too and no other co-host there, the minute begins anew."""
    if space.host_lost_at is not None or await cohost_is_there(space):
        return
    host = await Participant.select_for_update().get_or_none(space_id=space.id, role=_ROLE.HOST)
    if host is None or not is_away(host):
        return
    space.host_lost_at = made.now
    made.mind(space)


def is_away(host: Participant) -> bool:
    """Whether a host has left, or lost the connection that they had."""
    if host.left_at is not None:
        return not host.has_lapsed or host.was_connected
    return host.was_connected and not host.is_connected


async def note_cohosts(space: Space) -> None:
    """Keep with a locked Space who its co-hosts are now."""
    holders = Participant.filter(space_id=space.id, role=_ROLE.COHOST).order_by("joined_at", "id")
    space.cohost_ids = [str(one) for one in await holders.values_list("account_id", flat=True)]
    await space.save(update_fields=["cohost_ids"])


async def cohost_is_there(space: Space) -> bool:
    """Whether a co-host is in the Space and can go on without its host."""
    return await Participant.exists(space_id=space.id, role=_ROLE.COHOST, left_at=None)


async def cut_audio(house: House, space_id: UUID, account_id: UUID) -> None:
    """End every media session of a person in a room; nothing is sent or taken after this returns."""
    try:
        await house.engine.remove_participant(str(space_id), str(account_id))
    except EngineError:
        return  # the room is gone, and its audio with it


def may_publish(found: Participant) -> bool:
    """Whether this person is in the Space with a role that publishes."""
    return found.left_at is None and found.role in PUBLISHING_ROLES


async def manages(space: Space, account_id: UUID) -> bool:
    """Whether this person is the host, or a co-host who is in the Space or has not been in it yet."""
    if account_id == space.host_id:
        return True
    mine = await Participant.select_for_update().get_or_none(
        space_id=space.id, account_id=account_id, role=_ROLE.COHOST
    )
    return mine is not None and (mine.left_at is None or mine.has_lapsed or not mine.has_entered)
