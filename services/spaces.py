"""Creating, changing, launching and canceling Spaces."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from media.disk import free_bytes
from media.engine import EngineDraining, EngineError, EngineFull, RecordingSpec, RoomSpec
from models.account import Account
from models.participant import Participant, ParticipantRole
from models.recording import Recording, RecordingStatus
from models.search_word import WordKind
from models.space import Platform, Space, SpaceState, SpeakerPolicy
from models.space_event import SpaceEventKind
from services import announcements, cards, invitations, rollout, search, text, tickets
from services.changes import Change, change, new_id
from services.deadline import lapses_at
from services.errors import (
    AlreadyEnded,
    AlreadyLive,
    CapacityReached,
    Conflict,
    DiskFull,
    Forbidden,
    InvalidInput,
    RecordingNotRolledOut,
    SpacesError,
    Unavailable,
)
from services.house import House
from services.states import move_recording, move_space
from services.viewers import Viewer
from services.visibility import locked_space

# Fields of an update that clients call otherwise.
_FIELDS = {"speaker_policy": "speakerPolicy", "clips_allowed": "clipsAllowed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSpace:
    """What a host asks for. `record` None takes the account's default."""

    title: str
    description: str | None = None
    language: str | None = None
    topics: tuple[str, ...] = ()
    scheduled_start: datetime | None = None
    record: bool | None = None
    platform: Platform = Platform.WEB
    speaker_policy: SpeakerPolicy = SpeakerPolicy.RAISED_HAND
    ticketing: tickets.NewTicketing | None = None
    cohost_handles: tuple[str, ...] = ()


async def hosted(change: Change, viewer: Viewer, space_id: UUID) -> Space:
    """The Space, locked, of a viewer who must be its host. Raises NotFound or Forbidden."""
    account = viewer.signed_in()
    space = await locked_space(change, viewer, space_id)
    if space.host_id != account.id:
        raise Forbidden("Only the host of the Space can do this.")
    return space


async def create(house: House, viewer: Viewer, wish: NewSpace) -> Space:
    """A new Space with its card, toggle set as asked."""
    host = viewer.signed_in()
    async with change(house) as made:
        space = Space(
            id=new_id(),
            host_id=host.id,
            title=text.line(wish.title, "title", most=200),
            description=text.optional(wish.description, "description", most=5000),
            language=text.language(wish.language),
            topics=text.topics(list(wish.topics)),
            scheduled_start=_start(house, wish.scheduled_start, made.now),
            speaker_policy=wish.speaker_policy,
            created_at=made.now,
            recording_enabled=await _records(host, wish, made.now),
            **tickets.terms(house, wish.ticketing),
        )
        await space.save(force_create=True)
        recording = await _arm(house, space, made.now) if space.recording_enabled else None
        await made.tell_space(
            space, SpaceEventKind.CREATED, recording=recording, of_recording=recording is not None
        )
        await cards.create(made, space, recording)
        await announcements.plan(house, made, space)
        await invitations.invite_cohosts(house, made, viewer, space, list(wish.cohost_handles))
        await search.index(WordKind.SPACE, space.id, space.title, host.handle)
        await search.index_topics(space.id, space.topics)
        made.mind(space)
    return space


async def _records(host: Account, wish: NewSpace, now: datetime) -> bool:
    """An explicit wish is granted or refused; a default that is not allowed falls back to off."""
    if wish.record:
        await rollout.require(host, wish.platform, now, field="record")
        return True
    if wish.record is None and host.records_by_default:
        return (await rollout.eligibility(host, wish.platform, now)).allowed
    return False


def _start(house: House, wanted: datetime | None, now: datetime) -> datetime | None:
    if wanted is None:
        return None
    if wanted <= now:
        raise InvalidInput("scheduledStart must lie in the future.", path=["scheduledStart"])
    if wanted > now + house.rules.schedule_ahead:
        days = house.rules.schedule_ahead.days
        raise InvalidInput(f"scheduledStart must lie at most {days} days ahead.", path=["scheduledStart"])
    return wanted


async def _arm(house: House, space: Space, now: datetime) -> Recording:
    return await Recording.create(
        id=new_id(),
        space_id=space.id,
        host_id=space.host_id,
        created_at=now,
        is_ticketed=space.is_ticketed,
        policy_version=house.policies.current.version,
    )


def _not_yet_live(space: Space) -> None:
    if space.state is SpaceState.LIVE:
        raise AlreadyLive
    if space.state is not SpaceState.SCHEDULED:
        raise AlreadyEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceEdit:
    """What a host changes; `None` in `changes` clears, an absent key stays."""

    changes: dict[str, object]


# Clips are cut from what has ended.
_AFTERWARDS = frozenset({"clips_allowed"})


async def update(house: House, viewer: Viewer, space_id: UUID, edit: SpaceEdit) -> Space:
    """Change a Space: its start before launch only, and once it has ended whether clips are allowed.

    Setting what is set already changes nothing, and is no event.
    """
    async with change(house) as made:
        space = await hosted(made, viewer, space_id)
        if space.state is SpaceState.CANCELED or (
            space.state is SpaceState.ENDED and edit.changes.keys() - _AFTERWARDS
        ):
            raise AlreadyEnded
        if "scheduled_start" in edit.changes and space.state is SpaceState.LIVE:
            raise AlreadyLive("The Space is live already. Its start can only change before launch.")
        if _reschedules(space, edit) and await tickets.is_sold(space.id, made.now):
            raise Conflict(
                "Tickets are sold for this time. Cancel the Space, which refunds them, and create another one.",
                path=["scheduledStart"],
            )
        wanted = {name: _checked(house, name, value, made.now) for name, value in edit.changes.items()}
        changes = {name: value for name, value in wanted.items() if getattr(space, name) != value}
        if not changes:
            return space
        await _write(space, changes, viewer.signed_in().handle)
        await made.tell_space(space, SpaceEventKind.UPDATED)
        await cards.changed(made, space, await Recording.get_or_none(space_id=space.id))
        if "scheduled_start" in changes:
            made.mind(space)
            await announcements.plan(house, made, space)
    return space


async def _write(space: Space, changes: dict[str, object], host_handle: str) -> None:
    for name, value in changes.items():
        setattr(space, name, value)
    await space.save(update_fields=list(changes))
    if "title" in changes:
        await search.index(WordKind.SPACE, space.id, space.title, host_handle)
    if "topics" in changes:
        await search.index_topics(space.id, space.topics)


def _reschedules(space: Space, edit: SpaceEdit) -> bool:
    return edit.changes.get("scheduled_start", space.scheduled_start) != space.scheduled_start


def _checked(house: House, name: str, value: object, now: datetime) -> object:
    """One changed value, by the rules of creation."""
    match name, value:
        case "title", str():
            return text.line(value, "title", most=200)
        case "description", str() | None:
            return text.optional(value, "description", most=5000)
        case "language", str() | None:
            return text.language(value)
        case "topics", list():
            return text.topics(value)
        case "scheduled_start", datetime() | None:
            return _start(house, value, now)
        case "speaker_policy", SpeakerPolicy():
            return value
        case "clips_allowed", bool():
            return value
    field = _FIELDS.get(name, name)
    raise InvalidInput(f"{field} cannot be null. Leave it out to keep it.", path=[field])


async def toggle_recording(
    house: House, viewer: Viewer, space_id: UUID, *, enabled: bool, platform: Platform
) -> Space:
    """The 'Record Space' toggle, before launch alone. Setting what is set already changes nothing."""
    async with change(house) as made:
        space = await hosted(made, viewer, space_id)
        _not_yet_live(space)
        if space.recording_enabled == enabled:
            return space
        if enabled:
            await rollout.require(viewer.signed_in(), platform, made.now, field="enabled")
        await set_toggle(house, made, space, enabled=enabled)
    return space


async def set_toggle(house: House, made: Change, space: Space, *, enabled: bool) -> None:
    """Arm or disarm a Space that has not launched, and tell so in one event."""
    space.recording_enabled = enabled
    await space.save(update_fields=["recording_enabled"])
    recording = await _arm(house, space, made.now) if enabled else None
    if recording is None:
        await Recording.filter(space_id=space.id, status=RecordingStatus.ARMED).delete()
    await made.tell_space(
        space,
        SpaceEventKind.RECORDING_TOGGLED,
        recording=recording,
        of_recording=True,
        facts={"enabled": enabled},
    )
    await cards.changed(made, space, recording)


async def cancel(house: House, viewer: Viewer, space_id: UUID) -> Space:
    """Call a Space off before launch; its armed recording goes with it."""
    async with change(house) as made:
        space = await hosted(made, viewer, space_id)
        await call_off(house, made, space)
    return space


async def call_off(house: House, made: Change, space: Space, *, at: datetime | None = None) -> None:
    """SCHEDULED to CANCELED, for a host or for the clock: as of `at`, or else now."""
    if space.state is SpaceState.LIVE:
        raise AlreadyLive("The Space is live already. End it with endSpace.")
    move_space(space, SpaceState.CANCELED, at or made.now)
    had_recording = space.recording_enabled
    space.recording_enabled = False
    await space.save()
    await Recording.filter(space_id=space.id, status=RecordingStatus.ARMED).delete()
    await invitations.lapse(space_id=space.id)
    await made.tell_space(space, SpaceEventKind.CANCELED, of_recording=had_recording)
    await tickets.refund_all(house, made, space)
    await cards.changed(made, space, None)
    await announcements.plan(house, made, space)


async def start(house: House, viewer: Viewer, space_id: UUID, *, platform: Platform) -> Space:
    """Launch. The recorder is armed before anyone can see that the Space is live."""
    async with change(house) as made:
        space = await hosted(made, viewer, space_id)
        recording = await _may_launch(house, viewer.signed_in(), space, made.now)
    # Between two transactions: a slow audio plane must not hold up everybody's writes.
    await _open_room(house, space, recording)
    try:
        return await _go_live(house, viewer, space_id, platform)
    except SpacesError:
        await _close_unless_live(house, space_id)
        raise


async def _may_launch(house: House, host: Account, space: Space, now: datetime) -> Recording | None:
    """The recording, as it would start, of a Space that may be launched."""
    if lapses_at(space, house.rules) <= now:
        raise AlreadyEnded("Nobody launched the Space in time. Create another one.")
    move_space(space, SpaceState.LIVE, now)
    if await Space.exists(host_id=space.host_id, state=SpaceState.LIVE):
        raise Conflict("You host a live Space already. End it before you launch another.")
    recording = await _recording_at_launch(host, space, now)
    if recording is not None:
        await _expect_disk(house)
    return recording


async def _expect_disk(house: House) -> None:
    """A recording that starts needs room for hours, not for seconds."""
    if await asyncio.to_thread(free_bytes, house.recordings_dir) < house.rules.disk_floor_bytes:
        raise DiskFull(retry_after_ms=60_000)


async def _go_live(house: House, viewer: Viewer, space_id: UUID, platform: Platform) -> Space:
    async with change(house) as made:
        # The host's row, so that of two Spaces launched at once one loses.
        account = await Account.select_for_update().get(id=viewer.signed_in().id)
        space = await hosted(made, viewer, space_id)
        recording = await _may_launch(house, account, space, made.now)
        host = await _enter_host(space, platform, made.now)
        await space.save()
        made.mind(space)
        if recording is not None:
            await recording.save()
        await made.tell_space(
            space,
            SpaceEventKind.STARTED,
            participant=host,
            recording=recording,
            of_recording=recording is not None,
        )
        await cards.news(made, space, recording)
        await announcements.plan(house, made, space)
    house.presence.opened(space.id, host_id=space.host_id)
    return space


async def _close_unless_live(house: House, space_id: UUID) -> None:
    """Two launches may race: the loser must not close the winner's room."""
    if not await Space.exists(id=space_id, state=SpaceState.LIVE):
        with suppress(EngineError):
            await house.engine.close_room(str(space_id))


async def _recording_at_launch(host: Account, space: Space, now: datetime) -> Recording | None:
    recording = await Recording.select_for_update().get_or_none(space_id=space.id)
    if recording is None:
        return None
    if (reason := await rollout.refusal_at_launch(host, now)) is not None:
        raise RecordingNotRolledOut(f"{reason} Toggle it off with toggleRecording, then launch.")
    move_recording(recording, RecordingStatus.STARTING)
    return recording


async def _enter_host(space: Space, platform: Platform, now: datetime) -> Participant:
    host = await Participant.create(
        id=new_id(),
        space_id=space.id,
        account_id=space.host_id,
        role=ParticipantRole.HOST,
        platform=platform,
        joined_at=now,
        has_entered=True,
        # A host consents by toggling.
        acknowledged_at=now if space.recording_enabled else None,
    )
    space.participant_count = space.total_listener_count = space.peak_listener_count = 1
    space.alone_since = now
    return host


async def _open_room(house: House, space: Space, recording: Recording | None) -> None:
    try:
        await house.engine.open_room(room_spec(house, space, recording))
    except EngineDraining as error:
        raise Unavailable(
            "This server is about to be restarted and takes no new Spaces. Launch again in a few minutes.",
            retry_after_ms=60_000,
        ) from error
    except EngineFull as error:
        raise CapacityReached(
            "This server carries as many live Spaces as it can. Launch again when one of them has ended.",
            retry_after_ms=60_000,
        ) from error
    except EngineError as error:
        raise Unavailable(
            "The audio service cannot be reached. Launch again shortly.", retry_after_ms=1000
        ) from error


def room_spec(house: House, space: Space, recording: Recording | None) -> RoomSpec:
    """What the audio plane must know of a live Space."""
    spec = None
    if recording is not None:
        spec = RecordingSpec(recording_id=str(recording.id), directory=str(house.recording_dir(recording.id)))
    return RoomSpec(space_id=str(space.id), recording=spec)
