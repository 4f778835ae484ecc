"""Who may speak: roles given and taken, microphones turned off, people removed."""

from contextlib import suppress
from uuid import UUID

from media.engine import EngineError
from models.participant import PUBLISHING_ROLES, Participant, ParticipantRole
from models.space import Space, SpaceState
from models.space_event import SpaceEventKind
from services import invitations
from services.changes import Change, change
from services.entering import cut_audio, go_out, has_room, manages, note_cohosts, stands_in_no_more
from services.errors import (
    AlreadyEnded,
    CapacityReached,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    NotLive,
)
from services.house import House
from services.participation import live_space, no_way_to_speak, present
from services.viewers import Viewer
from services.visibility import locked_space

_ROLE = ParticipantRole


async def set_role(
    house: House, viewer: Viewer, space_id: UUID, account_id: UUID, role: ParticipantRole
) -> Participant:
    """A raised hand becomes a speaker, or a speaker a listener again. Host and co-hosts; oneself to step back."""
    me = viewer.signed_in()
    async with change(house) as made:
        space = await _open_space(made, viewer, space_id, role)
        found = await Participant.select_for_update().get_or_none(space_id=space.id, account_id=account_id)
        if found is not None and found.left_at is not None and not _holds_out(found):
            found = None
        if space.state is SpaceState.SCHEDULED and found is None:
            raise NotLive
        await _may_set_role(space, me.id, found, role)
        if found is None:
            raise NotFound("This person is not in the Space.", path=["userId"])
        if found.role is not role:
            await _check_promotion(house, space, found, role)
            await change_role(made, space, found, role)
    if role not in PUBLISHING_ROLES:
        await cut_audio(house, space.id, account_id)
    return found


def _holds_out(found: Participant) -> bool:
    """Whether somebody who is not in the Space holds a role in it all the same."""
    return found.role is _ROLE.COHOST or (found.role is _ROLE.SPEAKER and not found.has_entered)


async def _open_space(made: Change, viewer: Viewer, space_id: UUID, role: ParticipantRole) -> Space:
    """A live Space, or to take a role away one that has not been launched."""
    if role is _ROLE.SPEAKER:
        return await live_space(made, viewer, space_id)
    space = await locked_space(made, viewer, space_id)
    if space.state in {SpaceState.ENDED, SpaceState.CANCELED}:
        raise AlreadyEnded
    return space


async def change_role(made: Change, space: Space, found: Participant, role: ParticipantRole) -> None:
    """Give a locked Space's participant another role, with ROLE_CHANGED."""
    before = found.role
    found.role, found.hand_raised = role, False
    if role not in PUBLISHING_ROLES:
        found.is_speaking = False
    await found.save()
    if before is _ROLE.COHOST:
        await note_cohosts(space)
        if space.state is SpaceState.LIVE:
            await stands_in_no_more(made, space)
            await space.save()
    await made.tell_space(
        space,
        SpaceEventKind.ROLE_CHANGED,
        participant=found,
        facts={"fromRole": before.value, "toRole": role.value},
    )


async def _may_set_role(space: Space, me_id: UUID, target: Participant | None, role: ParticipantRole) -> None:
    steps_back = target is not None and target.account_id == me_id and role is _ROLE.LISTENER
    if not steps_back and not await manages(space, me_id):
        raise Forbidden("Only the host and co-hosts of the Space can change roles.")
    if target is None:
        return
    if target.role is _ROLE.HOST:
        raise Forbidden("The host stays the host.")
    if target.role is _ROLE.COHOST and me_id not in {space.host_id, target.account_id}:
        raise Forbidden("Only the host can change the role of a co-host.")


async def _check_promotion(house: House, space: Space, target: Participant, role: ParticipantRole) -> None:
    if role is not _ROLE.SPEAKER:
        return
    if target.role is _ROLE.COHOST:
        raise Conflict("A co-host can speak already. Set LISTENER to send them back to listening.")
    if not target.hand_raised:
        raise Conflict("This person has not raised a hand. Invite them instead.")
    if await no_way_to_speak(space, target.account_id) is not None:
        raise Conflict(
            "The speaker policy has changed since this hand was raised. Invite the person instead."
        )
    if not await has_room(house, space, role):
        raise full_of_speakers(house)


def full_of_speakers(house: House) -> CapacityReached:
    """Every speaker's place is taken."""
    return CapacityReached(
        f"The Space has {house.rules.speakers} speakers already. Ask one to step back first."
    )


async def set_muted(
    house: House, viewer: Viewer, space_id: UUID, account_id: UUID, *, muted: bool
) -> Participant:
    """Mute oneself or, as host or co-host, others. Only the person unmutes. Dropped on the server, at once."""
    me = viewer.signed_in()
    async with change(house) as made:
        space = await live_space(made, viewer, space_id)
        if account_id == me.id:
            await present(house, made, space, me.id)
        else:
            await _may_mute_others(house, made, space, me.id, muted=muted)
        found = await Participant.select_for_update().get_or_none(
            space_id=space.id, account_id=account_id, left_at=None
        )
        if found is None:
            raise NotFound("This person is not in the Space.", path=["userId"])
        if account_id != me.id and found.role not in PUBLISHING_ROLES:
            raise Conflict("A listener has no microphone in the Space that could be muted.")
        if found.is_muted != muted:
            found.is_muted, found.is_speaking = muted, found.is_speaking and not muted
            await found.save(update_fields=["is_muted", "is_speaking"])
            await made.tell_space(
                space, SpaceEventKind.MUTED_CHANGED, participant=found, facts={"muted": muted}
            )
    # Without a room there is no audio, and the next session begins as the row says.
    with suppress(EngineError):
        await house.engine.set_muted(str(space.id), str(account_id), muted)
    return found


async def _may_mute_others(house: House, made: Change, space: Space, me_id: UUID, *, muted: bool) -> None:
    """Host and co-hosts, as with all that they manage: also a co-host who has accepted and not joined yet."""
    if not await manages(space, me_id):
        await present(house, made, space, me_id)
        raise Forbidden("Only the host and co-hosts of the Space can mute others.")
    with suppress(Conflict):
        await present(house, made, space, me_id)  # who had only fallen silent is in again
    if not muted:
        raise Forbidden("Only the person can unmute themselves.")


async def remove(house: House, viewer: Viewer, space_id: UUID, account_id: UUID) -> Space:
    """Put somebody out of a live Space for good. Host and co-hosts; co-hosts by the host alone."""
    me = viewer.signed_in()
    async with change(house) as made:
        space = await live_space(made, viewer, space_id)
        if not await manages(space, me.id):
            raise Forbidden("Only the host and co-hosts of the Space can remove people.")
        if account_id == me.id:
            raise InvalidInput("You cannot remove yourself. Leave with leaveSpace.", path=["userId"])
        if account_id == space.host_id:
            raise Forbidden("The host cannot be removed from the Space.")
        found = await Participant.select_for_update().get_or_none(
            space_id=space.id, account_id=account_id, removed_at=None
        )
        if found is None:
            raise NotFound("This person is not in the Space.", path=["userId"])
        if found.role is _ROLE.COHOST and me.id != space.host_id:
            raise Forbidden("Only the host can remove a co-host.")
        await go_out(house, made, space, found, kind=SpaceEventKind.PARTICIPANT_REMOVED)
        await invitations.lapse(space_id=space.id, account_id=account_id)
    await cut_audio(house, space.id, account_id)
    return space
