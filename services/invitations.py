"""Co-hosts and speakers by invitation: asked, answered, lapsed."""

from typing import Any
from uuid import UUID

from models.account import Account
from models.invitation import Invitation, InvitationState, InvitedRole
from models.notification import NotificationKind
from models.participant import Participant, ParticipantRole
from models.space import Space, SpaceState
from models.space_event import SpaceEventKind
from services import notifications, text
from services.changes import Change, change, new_id
from services.entering import enter, has_room, manages, newcomer, note_cohosts
from services.errors import AlreadyEnded, CapacityReached, Conflict, Forbidden, InvalidInput, NotFound
from services.house import House
from services.viewers import Viewer
from services.visibility import accounts as visible_accounts
from services.visibility import locked_space, visible_space

_ROLE = ParticipantRole
_RANK = {_ROLE.LISTENER: 0, _ROLE.SPEAKER: 1, _ROLE.COHOST: 2, _ROLE.HOST: 3}


def _full(house: House, role: InvitedRole) -> CapacityReached:
    if role is InvitedRole.COHOST:
        most, kind = house.rules.cohosts, "co-hosts"
    else:
        most, kind = house.rules.speakers, "speakers"
    return CapacityReached(f"The Space has {most} {kind} already. Ask one to step back first.")


async def _open(made: Change, viewer: Viewer, space_id: UUID) -> Space:
    space = await locked_space(made, viewer, space_id)
    if space.state in {SpaceState.ENDED, SpaceState.CANCELED}:
        raise AlreadyEnded
    return space


async def invite(
    house: House, viewer: Viewer, space_id: UUID, account_id: UUID, role: InvitedRole
) -> Invitation:
    """Ask somebody to be co-host (by the host) or speaker (co-hosts too). Asking again is the same invitation."""
    me = viewer.signed_in()
    async with change(house) as made:
        space = await _open(made, viewer, space_id)
        await _may_invite(space, me.id, role)
        guest = await _guest(viewer, account_id)
        return await _ask(house, made, space, guest, inviter_id=me.id, role=role)


async def _may_invite(space: Space, me_id: UUID, role: InvitedRole) -> None:
    if me_id == space.host_id:
        return
    if not await manages(space, me_id):
        raise Forbidden("Only the host and co-hosts of the Space can invite.")
    if role is InvitedRole.COHOST:
        raise Forbidden("Only the host can invite a co-host.")


async def _guest(viewer: Viewer, account_id: UUID) -> Account:
    guest = await Account.filter(await visible_accounts(viewer), id=account_id, deleted_at=None).first()
    if guest is None:
        raise NotFound(path=["userId"])
    return guest


async def _ask(
    house: House, made: Change, space: Space, guest: Account, *, inviter_id: UUID, role: InvitedRole
) -> Invitation:
    if guest.id == space.host_id:
        raise Conflict("The host can speak already, and stays the host.", path=["userId"])
    # The host's blocks count too when a co-host invites.
    await _may_see(guest, space)
    found = await Participant.select_for_update().get_or_none(space_id=space.id, account_id=guest.id)
    if found is not None and found.removed_at is not None:
        raise Conflict(
            "This person was removed from the Space and cannot come back into it.", path=["userId"]
        )
    if found is not None and _RANK[found.role] >= _RANK[_ROLE(role.value)] and _still_holds(found):
        raise Conflict(f"This person is {found.role.value.lower()} already.", path=["userId"])
    if not await has_room(house, space, _ROLE(role.value)):
        raise _full(house, role)
    asked = Invitation.filter(space_id=space.id, account_id=guest.id, role=role, state=InvitationState.OPEN)
    if (found_open := await asked.first()) is not None:
        return found_open
    made_now = await Invitation.create(
        id=new_id(),
        space_id=space.id,
        account_id=guest.id,
        inviter_id=inviter_id,
        role=role,
        created_at=made.now,
    )
    about = notifications.About(space_id=space.id, invitation_id=made_now.id)
    occasion = f"invited:{made_now.id}"
    await notifications.tell(
        house, made, NotificationKind.INVITED, [guest.id], occasion=occasion, about=about
    )
    return made_now


def _still_holds(found: Participant) -> bool:
    """A speaker who went out has given the place away."""
    return found.role is not _ROLE.SPEAKER or found.left_at is None or not found.has_entered


async def _may_see(guest: Account, space: Space) -> None:
    try:
        await visible_space(Viewer(account=guest), space.id)
    except NotFound:
        raise NotFound(path=["userId"]) from None


async def invite_cohosts(
    house: House, made: Change, viewer: Viewer, space: Space, handles: list[str]
) -> None:
    """The co-hosts that a new Space asks for, by handle."""
    wanted = dict.fromkeys(handles)
    if len(wanted) > house.rules.cohosts:
        raise CapacityReached(
            f"A Space has at most {house.rules.cohosts} co-hosts, got {len(wanted)}.", path=["cohostHandles"]
        )
    for handle in wanted:
        key = text.handle_key(handle)
        visible = Account.filter(await visible_accounts(viewer), deleted_at=None)
        guest = await visible.filter(handle_key=key).first() if key else None
        if guest is None:
            raise NotFound("Nobody you may see has one of these handles.", path=["cohostHandles"])
        if guest.id == space.host_id:
            raise InvalidInput("You are the host. Name others as co-hosts.", path=["cohostHandles"])
        await _ask(house, made, space, guest, inviter_id=space.host_id, role=InvitedRole.COHOST)


async def respond(house: House, viewer: Viewer, invitation_id: UUID, *, accept: bool) -> Participant | None:
    """Answer one's invitation, once. Accepting in a live Space enters it; declining answers None."""
    me = viewer.signed_in()
    async with change(house) as made:
        seen = await Invitation.get_or_none(id=invitation_id, account_id=me.id)
        if seen is None:
            raise NotFound(path=["invitationId"])
        try:
            space = await _open(made, viewer, seen.space_id)
        except NotFound:
            raise NotFound(path=["invitationId"]) from None
        asked = await Invitation.select_for_update().get(id=invitation_id)
        if asked.state is not InvitationState.OPEN:
            raise Conflict("This invitation was answered already, or has lapsed.", path=["invitationId"])
        asked.state = InvitationState.ACCEPTED if accept else InvitationState.DECLINED
        asked.answered_at = made.now
        await asked.save(update_fields=["state", "answered_at"])
        return await _accept(house, made, space, me.id, asked.role) if accept else None


async def _accept(
    house: House, made: Change, space: Space, account_id: UUID, invited: InvitedRole
) -> Participant:
    role = _ROLE(invited.value)
    found = await Participant.select_for_update().get_or_none(space_id=space.id, account_id=account_id)
    if found is not None and _RANK[found.role] >= _RANK[role] and _still_holds(found):
        raise Conflict(f"You are {found.role.value.lower()} already.", path=["invitationId"])
    if not await has_room(house, space, role):
        raise _full(house, invited)
    is_new = found is None
    found = found or newcomer(made, space, account_id, role=role)
    before = None if is_new else found.role.value
    found.role, found.hand_raised = role, False
    if space.state is SpaceState.LIVE and found.left_at is not None:
        # The place is theirs: nobody can have taken it under the lock.
        await enter(house, made, space, found, is_new=is_new)
    else:
        await found.save(force_create=is_new)
        facts = {"fromRole": before, "toRole": role.value}
        await made.tell_space(space, SpaceEventKind.ROLE_CHANGED, participant=found, facts=facts)
    if role is _ROLE.COHOST:
        await note_cohosts(space)
    return found


async def lapse(**of: Any) -> None:
    """Open invitations that nobody can accept any more."""
    await Invitation.filter(state=InvitationState.OPEN, **of).update(state=InvitationState.LAPSED)
