"""Being in a Space: joining, leaving, acknowledging, hands, roles and muting."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from media.engine import EngineError
from models.follow import Follow
from models.participant import MANAGING_ROLES, PUBLISHING_ROLES, Participant, ParticipantRole
from models.space import Platform, Space, SpaceState, SpeakerPolicy
from models.space_event import SpaceEventKind
from services.changes import Change, change, new_id
from services.errors import (
    AlreadyEnded,
    CapacityReached,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    NotLive,
    TicketRequired,
)
from services.house import House
from services.links import Link, LinkKind
from services.viewers import Viewer
from services.visibility import is_admitted, visible_space

_ROLE = ParticipantRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A participation, and where to publish and to hear the others; the latter None for listeners."""

    space: Space
    participant: Participant
    whip_url: str | None
    whep_url: str | None
    media_token: str | None


async def _live_space(made: Change, viewer: Viewer, space_id: UUID) -> Space:
    await visible_space(viewer, space_id)
    space = await made.space(space_id)
    if space.state is SpaceState.SCHEDULED:
        raise NotLive
    if space.state is not SpaceState.LIVE:
        raise AlreadyEnded
    return space


async def _present(space: Space, account_id: UUID) -> Participant:
    found = await Participant.select_for_update().get_or_none(
        space_id=space.id, account_id=account_id, left_at=None
    )
    if found is None:
        raise Conflict("You are not in this Space. Join it first with joinSpace.")
    return found


async def join(house: House, viewer: Viewer, space_id: UUID, *, platform: Platform) -> Joined:
    """Enter a live Space. Joining again is the same participation and writes no event."""
    account = viewer.signed_in()
    async with change(house) as made:
        space = await _live_space(made, viewer, space_id)
        found = await Participant.select_for_update().get_or_none(space_id=space.id, account_id=account.id)
        if found is not None and found.removed_at is not None:
            raise Forbidden("You were removed from this Space and cannot come back into it.")
        if not await is_admitted(viewer, space):
            raise TicketRequired
        if found is None or found.left_at is not None:
            if found is not None and found.role is _ROLE.SPEAKER and await _is_full(house, space):
                found.role = _ROLE.LISTENER  # the place was given away meanwhile
            found = await _enter(made, space, found, account_id=account.id, platform=platform)
            if not _is_quiet(house, space, found):
                await made.tell_space(
                    space,
                    SpaceEventKind.PARTICIPANT_JOINED,
                    participant=found,
                    facts={"toRole": found.role.value},
                )
    return _places(house, space, found)


async def _enter(
    made: Change, space: Space, found: Participant | None, *, account_id: UUID, platform: Platform
) -> Participant:
    space.participant_count += 1
    space.peak_listener_count = max(space.peak_listener_count, space.participant_count)
    if found is None:
        space.total_listener_count += 1
        found = Participant(
            id=new_id(),
            space_id=space.id,
            account_id=account_id,
            role=_ROLE.LISTENER,
            joined_at=made.now,
            platform=platform,
        )
        await found.save(force_create=True)
    else:
        found.left_at, found.joined_at, found.platform = None, made.now, platform
        await found.save()
        if found.role is _ROLE.HOST:
            space.host_lost_at = None
    await space.save()
    return found


def _is_quiet(house: House, space: Space, participant: Participant) -> bool:
    """In a crowd, listeners coming and going change the counts and write no event."""
    return participant.role is _ROLE.LISTENER and space.participant_count > house.rules.quiet_above_people


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
        space = await _live_space(made, viewer, space_id)
        found = await Participant.select_for_update().get_or_none(
            space_id=space.id, account_id=account.id, left_at=None
        )
        if found is None:
            return space
        quiet = _is_quiet(house, space, found)
        found.left_at = made.now
        found.hand_raised = found.is_speaking = found.is_connected = False
        await found.save()
        space.participant_count -= 1
        if found.role is _ROLE.HOST:
            space.host_lost_at = made.now
        await space.save()
        if not quiet:
            await made.tell_space(
                space,
                SpaceEventKind.PARTICIPANT_LEFT,
                participant=found,
                facts={"fromRole": found.role.value},
            )
    await _cut_audio(house, space, found)
    return space


async def _cut_audio(house: House, space: Space, participant: Participant) -> None:
    try:
        await house.engine.remove_participant(str(space.id), str(participant.account_id))
    except EngineError:
        return  # the room is gone, and its audio with it


async def acknowledge(house: House, viewer: Viewer, space_id: UUID, *, version: str) -> Participant:
    """Keep that the viewer was told that the Space is recorded, with the version of the text they saw."""
    account = viewer.signed_in()
    async with change(house) as made:
        space = await _live_space(made, viewer, space_id)
        if not space.recording_enabled:
            raise Conflict("This Space is not recorded. There is nothing to acknowledge.")
        if version != house.rules.consent_version:
            raise InvalidInput(
                f"The consent text is version '{house.rules.consent_version}', got '{version[:20]}'."
                " Show the current text and acknowledge that.",
                path=["consentVersion"],
            )
        found = await _present(space, account.id)
        if found.acknowledged_version != version:
            found.acknowledged_at, found.acknowledged_version = made.now, version
            await found.save(update_fields=["acknowledged_at", "acknowledged_version"])
    return found


def has_consented(house: House, space: Space, participant: Participant) -> bool:
    """Whether this participant's packets may be taken. A host consents by toggling."""
    if not space.recording_enabled or participant.role is _ROLE.HOST:
        return True
    return participant.acknowledged_version == house.rules.consent_version


async def raise_hand(house: House, viewer: Viewer, space_id: UUID, *, raised: bool) -> Participant:
    """Ask to speak, or take it back."""
    account = viewer.signed_in()
    async with change(house) as made:
        space = await _live_space(made, viewer, space_id)
        found = await _present(space, account.id)
        if found.role is not _ROLE.LISTENER:
            raise Conflict("You can speak already. Only listeners raise a hand.")
        if raised:
            await _may_ask_to_speak(space, account.id)
        if found.hand_raised != raised:
            found.hand_raised = raised
            await found.save(update_fields=["hand_raised"])
            await made.tell_space(space, SpaceEventKind.HAND_CHANGED, participant=found)
    return found


async def _may_ask_to_speak(space: Space, account_id: UUID) -> None:
    if space.speaker_policy is SpeakerPolicy.INVITED:
        raise Forbidden("Only invited people speak in this Space. Ask its host for an invitation.")
    follows = Follow.filter(follower_id=space.host_id, followee_id=account_id)
    if space.speaker_policy is SpeakerPolicy.FOLLOWED and not await follows.exists():
        raise Forbidden("Only people whom the host follows can ask to speak in this Space.")


async def set_role(
    house: House, viewer: Viewer, space_id: UUID, account_id: UUID, role: ParticipantRole
) -> Participant:
    """A raised hand becomes a speaker, or a speaker a listener again. Host and co-hosts; oneself to step back."""
    me = viewer.signed_in()
    async with change(house) as made:
        space = await _live_space(made, viewer, space_id)
        found = await Participant.select_for_update().get_or_none(
            space_id=space.id, account_id=account_id, left_at=None
        )
        await _may_set_role(space, me.id, found, role)
        if found is None:
            raise NotFound("This person is not in the Space.", path=["userId"])
        before = found.role
        if before is not role:
            await _check_promotion(house, space, found, role)
            found.role, found.hand_raised = role, False
            await found.save()
            await made.tell_space(
                space,
                SpaceEventKind.ROLE_CHANGED,
                participant=found,
                facts={"fromRole": before.value, "toRole": role.value},
            )
    if role not in PUBLISHING_ROLES:
        await _cut_audio(house, space, found)
    return found


async def _may_set_role(space: Space, me_id: UUID, target: Participant | None, role: ParticipantRole) -> None:
    mine = await Participant.select_for_update().get_or_none(
        space_id=space.id, account_id=me_id, left_at=None
    )
    manages = me_id == space.host_id or (mine is not None and mine.role in MANAGING_ROLES)
    steps_back = target is not None and target.account_id == me_id and role is _ROLE.LISTENER
    if not manages and not steps_back:
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
    if await _is_full(house, space):
        raise CapacityReached(
            f"The Space has {house.rules.speakers} speakers already. Ask one to step back first."
        )


async def _is_full(house: House, space: Space) -> bool:
    """Whether every speaker's place is taken."""
    speakers = Participant.filter(space_id=space.id, role=_ROLE.SPEAKER, left_at=None)
    return await speakers.count() >= house.rules.speakers


async def set_muted(
    house: House, viewer: Viewer, space_id: UUID, account_id: UUID, *, muted: bool
) -> Participant:
    """Mute oneself or, as host or co-host, others. Only the person unmutes. Dropped on the server, at once."""
    me = viewer.signed_in()
    async with change(house) as made:
        space = await _live_space(made, viewer, space_id)
        mine = await _present(space, me.id)
        if account_id != me.id and not muted:
            raise Forbidden("Only the person can unmute themselves.")
        if account_id != me.id and mine.role not in MANAGING_ROLES:
            raise Forbidden("Only the host and co-hosts of the Space can mute others.")
        found = await Participant.select_for_update().get_or_none(
            space_id=space.id, account_id=account_id, left_at=None
        )
        if found is None:
            raise NotFound
        if found.role not in PUBLISHING_ROLES:
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
