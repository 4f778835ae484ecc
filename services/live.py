"""Following what happens: the state now, then every change, from any cursor, none lost and none twice."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise.expressions import Q, Subquery

from models.participant import Participant
from models.recording import Recording, RecordingStatus
from models.space import Space
from models.space_event import SpaceEvent, SpaceEventKind
from models.timeline_event import TimelineEvent, TimelineEventKind
from services.bus import TIMELINE, space_topic
from services.cards import on_timeline_of
from services.changes import recording_facts
from services.cursors import EventCursor
from services.errors import InvalidInput
from services.house import House
from services.viewers import Viewer
from services.visibility import visible_space

# Each who follows and does not read holds so many.
_BATCH = 20
# Rows are looked at this often even if a wake-up was lost.
_POLL_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One event of a Space as it is sent: its place, its kind, and facts as they were then."""

    cursor: str
    at: datetime
    kind: SpaceEventKind
    space_id: UUID
    participant_id: UUID | None
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardHeard:
    """One event of a card as it is sent."""

    cursor: str
    at: datetime
    kind: TimelineEventKind
    item_id: UUID | None


def heard(event: SpaceEvent) -> Heard:
    """An event row as it is sent."""
    return Heard(
        cursor=EventCursor(stream=event.space_id, sequence=event.sequence, at=event.at).pack(),
        at=event.at,
        kind=event.kind,
        space_id=event.space_id,
        participant_id=event.participant_id,
        facts=event.facts,
    )


def place_in_space(house: House, space: Space, after: str) -> int:
    """The sequence number a cursor stands for. Raises InvalidInput or CursorExpired."""
    cursor = EventCursor.read(after, stream=space.id, now=house.clock.now(), kept=house.rules.events_kept)
    if cursor.sequence > space.event_sequence:
        raise InvalidInput("This cursor lies ahead of the Space's last event.", path=["after"])
    return cursor.sequence


async def events_after(
    viewer: Viewer, space_id: UUID, sequence: int, *, most: int, of_recording: bool = False
) -> list[SpaceEvent]:
    """The next events of a Space, oldest first, without those of people hidden from the viewer."""
    found = SpaceEvent.filter(space_id=space_id, sequence__gt=sequence)
    if hidden := await viewer.hidden():
        unseen = Participant.filter(space_id=space_id, account_id__in=hidden).values("id")
        found = found.filter(Q(participant_id=None) | ~Q(participant_id__in=Subquery(unseen)))
    if of_recording:
        found = found.filter(of_recording=True)
    return await found.order_by("sequence").limit(most)


async def _snapshot(house: House, space: Space, recording: Recording | None) -> Heard:
    last = await SpaceEvent.get_or_none(space_id=space.id, sequence=space.event_sequence)
    now = house.clock.now()
    place = EventCursor(stream=space.id, sequence=space.event_sequence, at=max(last.at, now) if last else now)
    return Heard(
        cursor=place.pack(),
        at=now,
        kind=SpaceEventKind.SNAPSHOT,
        space_id=space.id,
        participant_id=None,
        facts={"recording": recording_facts(recording)},
    )


async def follow_space(
    house: House, viewer: Viewer, space_id: UUID, after: str | None
) -> AsyncIterator[Heard]:
    """Everything that changes in a Space; who follows is present in it.

    Raises NotFound, also later when the viewer is blocked.
    """
    space = await visible_space(viewer, space_id)
    presence = house.presence.subscribed(space_id, account_id=viewer.id, address=viewer.address)
    with house.bus.listen(space_topic(space_id)) as ear, presence:
        if after is None:
            space = await visible_space(viewer, space_id)
            sequence = space.event_sequence
            yield await _snapshot(house, space, await Recording.get_or_none(space_id=space_id))
        else:
            sequence = place_in_space(house, space, after)
        while True:
            found = await events_after(viewer, space_id, sequence, most=_BATCH)
            for event in found:
                sequence = event.sequence
                yield heard(event)
            if not found:
                await ear.wait(_POLL_S)
            viewer = Viewer(account=viewer.account)
            await visible_space(viewer, space_id)


async def follow_recording(
    house: House, viewer: Viewer, space_id: UUID, after: str | None
) -> AsyncIterator[Heard]:
    """The recording's state now and every change of it; while RECORDING a tick at least once a second."""
    space = await visible_space(viewer, space_id)
    with house.bus.listen(space_topic(space_id)) as ear:
        if after is None:
            space = await visible_space(viewer, space_id)
            last = await _snapshot(house, space, await Recording.get_or_none(space_id=space_id))
            sequence = space.event_sequence
            yield last
        else:
            sequence = place_in_space(house, space, after)
            last = None
        cursor = after or (last.cursor if last else "")
        tick_s = house.rules.status_tick.total_seconds()
        tick_at = house.clock.monotonic() + tick_s
        while True:
            viewer = Viewer(account=viewer.account)
            await visible_space(viewer, space_id)
            found = await events_after(viewer, space_id, sequence, most=_BATCH, of_recording=True)
            for event in found:
                told = heard(event)
                sequence, cursor = event.sequence, told.cursor
                yield told
                tick_at = house.clock.monotonic() + tick_s
            if found:
                continue
            # Wake-ups by other events of the Space must not put the tick off.
            await ear.wait(max(0.0, tick_at - house.clock.monotonic()))
            if house.clock.monotonic() >= tick_at:
                tick_at += tick_s
                if tick := await _tick(house, space_id, cursor):
                    yield tick


async def _tick(house: House, space_id: UUID, cursor: str) -> Heard | None:
    recording = await Recording.get_or_none(space_id=space_id, status=RecordingStatus.RECORDING)
    if recording is None:
        return None
    return Heard(
        cursor=cursor,
        at=house.clock.now(),
        kind=SpaceEventKind.SNAPSHOT,
        space_id=space_id,
        participant_id=None,
        facts={"recording": recording_facts(recording)},
    )


async def _concerning(viewer: Viewer) -> Q:
    """Card events that belong on the viewer's timeline."""
    if viewer.id is None:
        return Q(public_kind__isnull=False)
    mine = on_timeline_of(viewer.id) & Q(viewer_id__isnull=True)
    if hidden := await viewer.hidden():
        mine = mine & ~Q(author_id__in=hidden) & ~Q(host_id__in=hidden)
    # What a follow or a block changed is told even of those who are hidden now.
    return mine | Q(viewer_id=viewer.id)


async def follow_timeline(house: House, viewer: Viewer, after: str | None) -> AsyncIterator[CardHeard]:
    """New, changed and removed cards of the viewer's timeline."""
    now = house.clock.now()
    with house.bus.listen(TIMELINE) as ear:
        newest = await TimelineEvent.all().order_by("-id").first()
        last = newest.id if newest else 0
        if after is None:
            sequence = last
            yield CardHeard(
                cursor=_card_cursor(last, now), at=now, kind=TimelineEventKind.SNAPSHOT, item_id=None
            )
        else:
            cursor = EventCursor.read(after, stream=None, now=now, kept=house.rules.events_kept)
            if cursor.sequence > last:
                raise InvalidInput("This cursor lies ahead of the last change.", path=["after"])
            sequence = cursor.sequence
        while True:
            concerning = await _concerning(Viewer(account=viewer.account))
            found = await TimelineEvent.filter(concerning, id__gt=sequence).order_by("id").limit(_BATCH)
            for event in found:
                sequence = event.id
                kind = event.public_kind if viewer.id is None and event.public_kind else event.kind
                yield CardHeard(
                    cursor=_card_cursor(event.id, event.at), at=event.at, kind=kind, item_id=event.item_id
                )
            if not found:
                await ear.wait(_POLL_S)


def _card_cursor(sequence: int, at: datetime) -> str:
    return EventCursor(stream=None, sequence=sequence, at=at).pack()
