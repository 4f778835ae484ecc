"""Following what happens: the state now, then every change, from any cursor, none lost and none twice."""

import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Protocol
from uuid import UUID

from tortoise.expressions import Q

from models.lookup import events_of
from models.recording import Recording, RecordingStatus
from models.space import Space
from models.space_event import SpaceEvent, SpaceEventKind
from models.timeline_event import TimelineEvent, TimelineEventKind
from models.together import Part, fetch
from services.bus import TIMELINE, space_topic
from services.cards import on_timeline_of
from services.changes import recording_facts
from services.cursors import EventCursor
from services.errors import InvalidInput
from services.house import House
from services.viewers import Viewer
from services.visibility import seen_with, visible_space

# Stands in a tick for the cursor of whatever its reader heard last, which differs from reader to reader.
THE_LAST = secrets.token_urlsafe(24)
# Each who follows and does not read holds so many.
_BATCH = 20
# Rows are looked at this often even if a wake-up was lost.
POLL_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One event of a Space as it is sent: its place, its kind, and facts as they were then."""

    cursor: str
    place: int
    at: datetime
    kind: SpaceEventKind
    space_id: UUID
    participant_id: UUID | None
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardHeard:
    """One event of a card as it is sent."""

    cursor: str
    place: int
    at: datetime
    kind: TimelineEventKind
    item_id: UUID | None


Event = Heard | CardHeard


def heard(event: SpaceEvent) -> Heard:
    """An event row as it is sent."""
    return Heard(
        cursor=EventCursor(stream=event.space_id, sequence=event.sequence, at=event.at).pack(),
        place=event.sequence,
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


async def events_after(viewer: Viewer, space_id: UUID, sequence: int, *, most: int) -> list[SpaceEvent]:
    """The next events of a Space, oldest first, without those of people hidden from the viewer."""
    (found,) = await fetch([await _next_events(viewer, space_id, sequence, most=most)])
    return sorted(found, key=_number)


async def _next_events(
    viewer: Viewer, space_id: UUID, sequence: int, *, most: int, of_recording: bool = False
) -> Part:
    unseen = await viewer.hidden()
    return events_of(space_id, sequence, most=most, of_recording=of_recording, unseen=unseen)


_number = attrgetter("sequence")


async def _snapshot(house: House, space: Space, recording: Recording | None) -> Heard:
    last = await SpaceEvent.get_or_none(space_id=space.id, sequence=space.event_sequence)
    now = house.clock.now()
    place = EventCursor(stream=space.id, sequence=space.event_sequence, at=max(last.at, now) if last else now)
    return Heard(
        cursor=place.pack(),
        place=space.event_sequence,
        at=now,
        kind=SpaceEventKind.SNAPSHOT,
        space_id=space.id,
        participant_id=None,
        facts={"recording": recording_facts(recording)},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a viewer hears of a stream, oldest first, the place that leads to, and whether it is all there is."""

    events: Sequence[Event]
    place: int
    is_all: bool = True


class Stream(Protocol):
    """A sequence of events that people follow from any place. Equal streams are one."""

    @property
    def topic(self) -> str:
        """Woken when there may be more."""

    async def begin(self, house: House, viewer: Viewer, after: str | None) -> Look:
        """Where to follow from: with `after` from that cursor, else the state now and all that comes.

        Raises NotFound, InvalidInput or CursorExpired.
        """

    async def look(self, house: House, viewer: Viewer, place: int) -> Look:
        """What comes next. Raises NotFound, also later when the viewer is blocked."""

    def attended(self, house: House, viewer: Viewer) -> AbstractContextManager[None]:
        """What following brings with it, for as long as it lasts."""

    def tick_s(self, house: House) -> float | None:
        """How often the state is told between events; None for never."""

    async def tick(self, house: House) -> Event | None:
        """The state now, if it is told between events. Its cursor is THE_LAST."""


@dataclass(frozen=True, slots=True)
class SpaceStream:
    """Everything that changes in a Space; who follows is present in it."""

    space_id: UUID

    @property
    def topic(self) -> str:
        """Woken by every event of the Space."""
        return space_topic(self.space_id)

    async def begin(self, house: House, viewer: Viewer, after: str | None) -> Look:
        """The Space now, or the place of a cursor."""
        space = await visible_space(viewer, self.space_id)
        if after is not None:
            return Look(events=(), place=place_in_space(house, space, after))
        recording = await Recording.get_or_none(space_id=self.space_id)
        snapshot = await _snapshot(house, space, recording)
        return Look(events=[snapshot], place=snapshot.place)

    async def look(self, house: House, viewer: Viewer, place: int) -> Look:  # noqa: ARG002 (others need it)
        """The next events."""
        return await self._look(viewer, place, of_recording=False)

    async def _look(self, viewer: Viewer, place: int, *, of_recording: bool) -> Look:
        wanted = await _next_events(viewer, self.space_id, place, most=_BATCH, of_recording=of_recording)
        space, (found,) = await seen_with(viewer, self.space_id, wanted)
        if space.event_sequence <= place:
            return Look(events=(), place=place)
        found.sort(key=_number)
        seen = found[-1].sequence if found else place
        # All up to the Space's number were committed with it, and those not found are not for this viewer.
        is_all = len(found) < _BATCH
        place = max(seen, space.event_sequence) if is_all else seen
        return Look(events=[heard(event) for event in found], place=place, is_all=is_all)

    def attended(self, house: House, viewer: Viewer) -> AbstractContextManager[None]:
        """Present."""
        return house.presence.subscribed(self.space_id, account_id=viewer.id, address=viewer.address)

    def tick_s(self, house: House) -> float | None:  # noqa: ARG002 (others have)
        """It has none."""
        return None

    async def tick(self, house: House) -> Heard | None:  # noqa: ARG002 (others have)
        """It has none."""
        return None


@dataclass(frozen=True, slots=True)
class RecordingStream(SpaceStream):
    """Every change of a recording's status or icon; while RECORDING a tick at least once a second."""

    async def look(self, house: House, viewer: Viewer, place: int) -> Look:  # noqa: ARG002 (others need it)
        """The next changes."""
        return await self._look(viewer, place, of_recording=True)

    def attended(self, house: House, viewer: Viewer) -> AbstractContextManager[None]:  # noqa: ARG002 (others need it)
        """Whoever looks at the status alone is not in the Space."""
        return nullcontext()

    def tick_s(self, house: House) -> float | None:
        """Below a second, by what a busy machine may be late."""
        return house.rules.status_tick.total_seconds()

    async def tick(self, house: House) -> Heard | None:
        """The recorder's progress."""
        recording = await Recording.get_or_none(space_id=self.space_id, status=RecordingStatus.RECORDING)
        if recording is None:
            return None
        return Heard(
            cursor=THE_LAST,
            place=0,
            at=house.clock.now(),
            kind=SpaceEventKind.SNAPSHOT,
            space_id=self.space_id,
            participant_id=None,
            facts={"recording": recording_facts(recording)},
        )


@dataclass(frozen=True, slots=True)
class TimelineStream:
    """New, changed and removed cards of the viewer's timeline."""

    @property
    def topic(self) -> str:
        """Woken by every card."""
        return TIMELINE

    async def begin(self, house: House, viewer: Viewer, after: str | None) -> Look:  # noqa: ARG002 (anybody may)
        """The newest place, or that of a cursor."""
        now, last = house.clock.now(), await _newest_card()
        if after is not None:
            cursor = EventCursor.read(after, stream=None, now=now, kept=house.rules.events_kept)
            if cursor.sequence > last:
                raise InvalidInput("This cursor lies ahead of the last change.", path=["after"])
            return Look(events=(), place=cursor.sequence)
        kind = TimelineEventKind.SNAPSHOT
        snapshot = CardHeard(cursor=_card_cursor(last, now), place=last, at=now, kind=kind, item_id=None)
        return Look(events=[snapshot], place=last)

    async def look(self, house: House, viewer: Viewer, place: int) -> Look:  # noqa: ARG002 (others need it)
        """The next cards' changes."""
        newest = await _newest_card()
        if newest <= place:
            return Look(events=(), place=place)
        concerning = await _concerning(viewer)
        found = await TimelineEvent.filter(concerning, id__gt=place).order_by("id").limit(_BATCH)
        events = [_card_heard(event, viewer) for event in found]
        seen = found[-1].id if found else place
        is_all = len(found) < _BATCH
        return Look(events=events, place=max(seen, newest) if is_all else seen, is_all=is_all)

    def attended(self, house: House, viewer: Viewer) -> AbstractContextManager[None]:  # noqa: ARG002 (others need it)
        """Nothing."""
        return nullcontext()

    def tick_s(self, house: House) -> float | None:  # noqa: ARG002 (others have)
        """It has none."""
        return None

    async def tick(self, house: House) -> CardHeard | None:  # noqa: ARG002 (others have)
        """It has none."""
        return None


async def _newest_card() -> int:
    newest = await TimelineEvent.all().order_by("-id").first()
    return newest.id if newest else 0


async def _concerning(viewer: Viewer) -> Q:
    """Card events that belong on the viewer's timeline."""
    if not viewer.is_signed_in:
        return Q(public_kind__isnull=False)
    me = viewer.id
    assert me is not None
    mine = on_timeline_of(me) & Q(viewer_id__isnull=True)
    if hidden := await viewer.hidden():
        mine = mine & ~Q(author_id__in=hidden) & ~Q(host_id__in=hidden)
    # What a follow or a block changed is told even of those who are hidden now.
    return mine | Q(viewer_id=me)


def _card_heard(event: TimelineEvent, viewer: Viewer) -> CardHeard:
    public = None if viewer.is_signed_in else event.public_kind
    cursor = _card_cursor(event.id, event.at)
    return CardHeard(
        cursor=cursor, place=event.id, at=event.at, kind=public or event.kind, item_id=event.item_id
    )


def _card_cursor(sequence: int, at: datetime) -> str:
    return EventCursor(stream=None, sequence=sequence, at=at).pack()
