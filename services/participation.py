"""Being in a Space: joining, leaving, acknowledging, raising a hand."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from models.follow import Follow
from models.participant import PUBLISHING_ROLES, Participant, ParticipantRole
from models.recording import GONE, Recording, RecordingStatus
from models.space import Platform, Space, SpaceState, SpeakerPolicy
from models.space_event import SpaceEventKind
from services.changes import Change, change
from services.entering import cut_audio, enter, go_out, mind_the_host, newcomer
from services.errors import AlreadyEnded, Conflict, Forbidden, InvalidInput, NotLive, TicketRequired
from services.house import House
from services.links import Link, LinkKind
from services.retention import status_at
from services.viewers import Viewer
from services.visibility import is_admitted, locked_space

_ROLE = ParticipantRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A participation, and where to publish and to hear the others; the latter None for listeners."""

    space: Space
    participant: Participant
    whip_url: str | None
    whep_url: str | None
    media_token: str | None


async def live_space(made: Change, viewer: Viewer, space_id: UUID) -> Space:
    """The Space, locked, live and visible to the viewer. Raises NotFound, NotLive or AlreadyEnded."""
    space = await locked_space(made, viewer, space_id)
    if space.state is SpaceState.SCHEDULED:
        raise NotLive
    if space.state is not SpaceState.LIVE:
        raise AlreadyEnded
    return space


async def present(house: House, made: Change, space: Space, account_id: UUID) -> Participant:
    """The row of somebody who is in the Space; who had only fallen silent is in again. Raises Conflict."""
    found = await Participant.select_for_update().get_or_none(space_id=space.id, account_id=account_id)
    if found is not None and found.left_at is not None and found.has_lapsed:
        await enter(house, made, space, found)
    if found is None or found.left_at is not None:
        raise Conflict("You are not in this Space. Join it first with joinSpace.")
    house.presence.seen(space.id, account_id)
    return found


async def come_back(house: House, space_id: UUID, account_id: UUID) -> None:
    """In again, if they had only fallen silent."""
    async with change(house) as made:
        space = await made.space(space_id)
        if space.state is SpaceState.LIVE:
            await present(house, made, space, account_id)


async def join(house: House, viewer: Viewer, space_id: UUID, *, platform: Platform) -> Joined:
    """Enter a live Space. Joining again is the same participation and writes no event."""
    account = viewer.signed_in()
    async with change(house) as made:
        space = await live_space(made, viewer, space_id)
        found = await Participant.select_for_update().get_or_none(space_id=space.id, account_id=account.id)
        if found is not None and found.removed_at is not None:
            raise Forbidden("You were removed from this Space and cannot come back into it.")
        if not await is_admitted(viewer, space):
            raise TicketRequired
        if found is None:
            found = newcomer(made, space, account.id, role=_ROLE.LISTENER)
            await enter(house, made, space, found, platform=platform, is_new=True)
        elif found.left_at is not None:
            await enter(house, made, space, found, platform=platform)
            # A speaker whose place was given away comes back as a listener, who needs a ticket.
            if not await is_admitted(viewer, space):
                raise TicketRequired
        elif found.platform is not platform:
            # From another device, or for the first time since an invitation was accepted.
            found.platform = platform
            await found.save(update_fields=["platform"])
        house.presence.seen(space.id, account.id)
    return _places(house, space, found)


def _places(house: House, space: Space, participant: Participant) -> Joined:
    """Where this participant publishes and listens. Each device that joins gets a token of its own."""
    if participant.role not in PUBLISHING_ROLES:
        return Joined(space=space, participant=participant, whip_url=None, whep_url=None, media_token=None)
    token = house.links.sign(
        Link(
            kind=LinkKind.PUBLISH,
            subject_id=space.id,
            viewer_id=participant.account_id,
            expires_at=house.clock.now() + house.rules.longest_space + timedelta(minutes=15),
        )
    )
    return Joined(
        space=space,
        participant=participant,
        whip_url=house.links.url(f"/media/whip/{space.id}"),
        whep_url=house.links.url(f"/media/whep/{space.id}"),
        media_token=token,
    )


async def leave(house: House, viewer: Viewer, space_id: UUID) -> Space:
    """Go out; leaving when one is not in it changes nothing. A host who leaves has a minute to come back."""
    account = viewer.signed_in()
    async with change(house) as made:
        space = await live_space(made, viewer, space_id)
        found = await Participant.select_for_update().get_or_none(space_id=space.id, account_id=account.id)
        if found is None or (found.left_at is not None and not found.has_lapsed):
            return space
        if found.left_at is not None:
            # Out already, and from now on by their own word.
            found.has_lapsed = False
            await found.save(update_fields=["has_lapsed"])
            await mind_the_host(made, space, found, found.role)
            await space.save()
            return space
        await go_out(house, made, space, found)
    await cut_audio(house, space.id, account.id)
    return space


async def acknowledge(house: House, viewer: Viewer, space_id: UUID, *, version: str) -> Participant:
    """Keep that the viewer was told that the Space is recorded, with the version of the text they saw."""
    account = viewer.signed_in()
    async with change(house) as made:
        space = await live_space(made, viewer, space_id)
        if not asks_consent(await Recording.get_or_none(space_id=space.id), made.now):
            raise Conflict("This Space is not recorded. There is nothing to acknowledge.")
        if version != house.rules.consent_version:
            raise InvalidInput(
                f"The consent text is version '{house.rules.consent_version}', got '{version[:20]}'."
                " Show the current text and acknowledge that.",
                path=["consentVersion"],
            )
        found = await present(house, made, space, account.id)
        if found.acknowledged_version != version:
            found.acknowledged_at, found.acknowledged_version = made.now, version
            await found.save(update_fields=["acknowledged_at", "acknowledged_version"])
    return found


def asks_consent(recording: Recording | None, now: datetime) -> bool:
    """Whether speakers of a Space with this recording, if any, must acknowledge it: not once it is gone. Pure."""
    return recording is not None and status_at(recording, now) not in {*GONE, RecordingStatus.PURGED}


async def has_consented(house: House, space: Space, participant: Participant) -> bool:
    """Whether this participant's packets may be taken. A host consents by toggling."""
    if participant.role is _ROLE.HOST or participant.acknowledged_version == house.rules.consent_version:
        return True
    return not asks_consent(await Recording.get_or_none(space_id=space.id), house.clock.now())


async def raise_hand(house: House, viewer: Viewer, space_id: UUID, *, raised: bool) -> Participant:
    """Ask to speak, or take it back."""
    account = viewer.signed_in()
    async with change(house) as made:
        space = await live_space(made, viewer, space_id)
        found = await present(house, made, space, account.id)
        if found.role is not _ROLE.LISTENER:
            raise Conflict("You can speak already. Only listeners raise a hand.")
        if raised and (refused := await no_way_to_speak(space, account.id)) is not None:
            raise Forbidden(refused)
        if found.hand_raised != raised:
            found.hand_raised = raised
            await found.save(update_fields=["hand_raised"])
            await made.tell_space(space, SpaceEventKind.HAND_CHANGED, participant=found)
    return found


async def no_way_to_speak(space: Space, account_id: UUID) -> str | None:
    """Why the speaker policy keeps this person from speaking by raised hand; None when it does not."""
    if space.speaker_policy is SpeakerPolicy.INVITED:
        return "Only invited people speak in this Space. Ask its host for an invitation."
    follows = Follow.filter(follower_id=space.host_id, followee_id=account_id)
    if space.speaker_policy is SpeakerPolicy.FOLLOWED and not await follows.exists():
        return "Only people whom the host follows can ask to speak in this Space."
    return None
