"""How a Space ends: by its host, by a moderator, or by one of its clocks."""

import asyncio
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import structlog
from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from media.elapsed import this_moment
from media.engine import EngineError, RecordingFacts, RoomNotFound
from media.repair import finish
from models.columns import Columns
from models.fields import to_ms
from models.participant import Participant
from models.recording import ICON_ON, Recording, RecordingStatus
from models.space import Space, SpaceState
from models.space_event import SpaceEventKind
from models.together import Part, fetch, part_of
from services import attendance, cards, entering, invitations, recordings, reports, spaces
from services.changes import Change, change
from services.deadline import ends_at, lapses_at, notice_at
from services.errors import Forbidden
from services.house import House
from services.rules import Rules
from services.states import move_space
from services.viewers import Viewer
from services.visibility import visible_space

log = structlog.get_logger(__name__)


async def end(house: House, viewer: Viewer, space_id: UUID) -> Space:
    """End a live Space. When this returns, its recording can be played."""
    account = viewer.signed_in()
    seen = await visible_space(viewer, space_id)
    if account.id != seen.host_id and not viewer.is_moderator:
        raise Forbidden("Only the host of the Space or a moderator can end it.")
    return await end_at(house, space_id, at=house.clock.now(), actor_id=account.id)


async def end_at(house: House, space_id: UUID, *, at: datetime, actor_id: UUID | None = None) -> Space:
    """End a live Space as of `at` and finish its recording."""
    async with change(house) as made:
        space = await made.space(space_id)
        recording = await _end(house, made, space, at=at)
        if actor_id not in {None, space.host_id}:
            await reports.close_reports(space.id, made.now)
            await made.audit("space.ended", "space", space.id, actor_id=actor_id)
    return await _after(house, space, recording)


async def _end(house: House, made: Change, space: Space, *, at: datetime) -> Recording | None:
    """LIVE to ENDED in the rows of a locked Space."""
    # A clock that was set back must not end a Space before it began.
    at = max(at, space.started_at or at)
    move_space(space, SpaceState.ENDED, at)
    await Participant.filter(space_id=space.id, left_at=None).update(
        left_at=at, is_connected=False, is_speaking=False, hand_raised=False
    )
    space.participant_count = space.audience_count = 0
    space.host_lost_at = space.alone_since = None
    await space.save()
    await invitations.lapse(space_id=space.id)
    await attendance.forget(space)
    recording = await Recording.select_for_update().get_or_none(space_id=space.id)
    if recording is not None and recording.status in ICON_ON:
        await recordings.begin_finalising(made, space, recording)
    else:
        if recording is not None:
            await recordings.end_what_is_gone(house, space, recording)
        await made.tell_space(space, SpaceEventKind.ENDED)
    await cards.news(made, space, recording)
    return recording


async def _after(house: House, space: Space, recording: Recording | None) -> Space:
    house.presence.forget_space(space.id)
    await _close(house, space, recording)
    await space.refresh_from_db()
    return space


async def _close(house: House, space: Space, recording: Recording | None) -> None:
    """Close the room and, if it was recorded, make the recording available."""
    try:
        facts = await house.engine.close_room(str(space.id))
    except RoomNotFound:
        facts = None
    except EngineError:
        return  # it may still be writing: a later round finishes the recording
    if recording is None or recording.status is not RecordingStatus.FINALIZING:
        return
    try:
        facts = facts or await _facts_on_disk(house, space, recording)
    except OSError:
        log.exception("a recording waits to be finished", recording=str(recording.id))
        return  # the disk is full, or somebody still writes: a later round tries again
    await recordings.finalise(house, recording.id, facts)


async def _facts_on_disk(house: House, space: Space, recording: Recording) -> RecordingFacts:
    """Finish a recording that no room writes any more."""
    directory = house.recording_dir(recording.id)
    ended_at = space.ended_at or house.clock.now()
    return await asyncio.to_thread(
        finish,
        directory,
        recording_id=str(recording.id),
        ended_at_ms=to_ms(ended_at),
        now=this_moment(wall_ms=to_ms(house.clock.now())),
    )


async def finalise_stuck(house: House, recording_id: UUID) -> None:
    """Finish a recording whose Space ended while the audio service was away."""
    recording = await Recording.get_or_none(id=recording_id)
    if recording is None or recording.status is not RecordingStatus.FINALIZING:
        return
    await _close(house, await Space.get(id=recording.space_id), recording)


async def due_spaces(rules: Rules, now: datetime) -> list[UUID]:
    """Live Spaces whose time is up or must be told to be, and scheduled ones that nobody launched."""
    notice = rules.longest_space - rules.longest_space_notice
    late = Q(state=SpaceState.LIVE) & (
        Q(host_lost_at__lte=now - rules.reconnect_window)
        | Q(alone_since__lte=now - rules.empty_for)
        | Q(started_at__lte=now - rules.longest_space)
        | Q(started_at__lte=now - notice, end_told_at__isnull=True)
    )
    unlaunched = Q(state=SpaceState.SCHEDULED, scheduled_start__lte=now - rules.unlaunched_after)
    return list(await Space.filter(late | unlaunched).values_list("id", flat=True))  # type: ignore[arg-type]


async def next_deadline(rules: Rules) -> datetime | None:
    """The next moment at which a Space ends, lapses, or is told that it will."""
    live = Space.filter(state=SpaceState.LIVE)
    scheduled = Space.filter(state=SpaceState.SCHEDULED, scheduled_start__isnull=False)
    windows = (
        (live.filter(host_lost_at__isnull=False), "host_lost_at", rules.reconnect_window),
        (live.filter(alone_since__isnull=False), "alone_since", rules.empty_for),
        (live, "started_at", rules.longest_space),
        (
            live.filter(end_told_at__isnull=True),
            "started_at",
            rules.longest_space - rules.longest_space_notice,
        ),
        (scheduled, "scheduled_start", rules.unlaunched_after),
    )
    found = await fetch([_earliest(spaces, column) for spaces, column, _ in windows])
    firsts = [
        getattr(row, column) + window
        for rows, (_, column, window) in zip(found, windows, strict=True)
        for row in rows
    ]
    return min(firsts, default=None)


def _earliest(spaces: QuerySet[Space], column: str) -> Part:
    """The one of some Spaces whose column has the earliest instant."""
    only = Columns(model=Space, names=(column,), attributes=frozenset({column}))
    return replace(part_of(spaces.order_by(column).limit(1)), columns=only)


async def end_due(house: House, space_id: UUID) -> None:
    """Whatever is due of one Space: called off, ended as of when it was due, or told that it will be."""
    ended = None
    async with change(house) as made:
        space = await made.space(space_id)
        lapsed_at = lapses_at(space, house.rules)
        if space.state is SpaceState.SCHEDULED and lapsed_at <= made.now:
            await spaces.call_off(house, made, space, at=lapsed_at)
            return
        await _go_on_with_cohosts(house, made, space)
        deadline = ends_at(space, house.rules)
        if deadline is not None and deadline <= made.now:
            ended = (await _end(house, made, space, at=deadline),)
        else:
            await _give_notice(house, made, space)
    if ended is not None:
        await _after(house, space, *ended)


async def _go_on_with_cohosts(house: House, made: Change, space: Space) -> None:
    """A host's minute is over, and a co-host is there: the Space goes on, and stays the host's."""
    if space.state is not SpaceState.LIVE or space.host_lost_at is None:
        return
    if space.host_lost_at + house.rules.reconnect_window <= made.now and await entering.cohost_is_there(
        space
    ):
        space.host_lost_at = None
        await space.save(update_fields=["host_lost_at"])


async def _give_notice(house: House, made: Change, space: Space) -> None:
    due_at = notice_at(space, house.rules)
    if due_at is not None and due_at <= made.now:
        space.end_told_at = made.now
        await space.save(update_fields=["end_told_at"])
        await made.tell_space(space, SpaceEventKind.ENDING_SOON)
