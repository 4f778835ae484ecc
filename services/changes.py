"""A change: rows and what others hear of them, in one transaction; told after the commit."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

from tortoise.exceptions import IntegrityError
from tortoise.transactions import in_transaction

from models.audit_entry import AuditEntry
from models.dialect import Clash, Lock, alone
from models.participant import Participant
from models.recording import ICON_ON, Recording, RecordingStatus
from models.space import Space
from models.space_event import SpaceEvent, SpaceEventKind
from models.timeline_event import TimelineEvent, TimelineEventKind
from models.timeline_item import TimelineItem
from services import wakes
from services.bus import DEADLINES, HOOKS, TIMELINE, space_topic
from services.deadline import NEVER, next_of
from services.errors import NotFound
from services.house import House
from services.links import LinkSigner
from services.outbox import Outbox
from services.removals import Removal, journal
from services.rules import Rules

T = TypeVar("T")

_ATTEMPTS = 4


class Change:
    """What one transaction writes for others: events, card events, calls of webhooks, audit entries, wake-ups."""

    def __init__(self, now: datetime, rules: Rules, links: LinkSigner) -> None:
        self.now = now
        self.outbox = Outbox(now, rules, links)
        self.topics: set[str] = set()
        self.removed: list[Removal] = []
        self._cards: list[TimelineEvent] = []
        self.due_at = NEVER
        self._rules = rules

    def mind(self, space: Space) -> None:
        """The Space may be due earlier than was thought."""
        due_at = next_of(space, self._rules)
        if due_at < NEVER:
            self.due_at = min(self.due_at, due_at)
            self.topics.add(DEADLINES)

    async def space(self, space_id: UUID) -> Space:
        """The Space, locked until the commit. Raises NotFound."""
        space = await Space.select_for_update().get_or_none(id=space_id)
        if space is None:
            raise NotFound(path=["spaceId"])
        return space

    async def recording(self, recording_id: UUID) -> tuple[Space, Recording] | None:
        """A recording after its Space, both locked until the commit; None when there is none."""
        seen = await Recording.get_or_none(id=recording_id)
        if seen is None:
            return None
        space = await self.space(seen.space_id)
        recording = await Recording.select_for_update().get_or_none(id=recording_id)
        return None if recording is None else (space, recording)

    async def tell_space(
        self,
        space: Space,
        kind: SpaceEventKind,
        *,
        participant: Participant | None = None,
        recording: Recording | None = None,
        of_recording: bool = False,
        facts: dict[str, Any] | None = None,
    ) -> SpaceEvent:
        """Write the next event of a locked Space. `of_recording`: status or icon changed with it."""
        space.event_sequence += 1
        await Space.filter(id=space.id).update(event_sequence=space.event_sequence)
        kept = dict(facts or {})
        if of_recording:
            kept["recording"] = recording_facts(recording)
        self.topics.add(space_topic(space.id))
        await self.outbox.heard(space, kind, recording, kept)
        return await SpaceEvent.create(
            space_id=space.id,
            sequence=space.event_sequence,
            kind=kind,
            at=self.now,
            participant_id=participant.id if participant else None,
            of_recording=of_recording,
            facts=kept,
        )

    async def tell_timeline(
        self, item: TimelineItem, kind: TimelineEventKind, *, public_kind: TimelineEventKind | None = None
    ) -> None:
        """Tell what happened to a card, and what of it anonymous timelines hear."""
        self.topics.add(TIMELINE)
        self._cards.append(
            TimelineEvent(
                at=self.now,
                kind=kind,
                item_id=item.id,
                author_id=item.author_id,
                host_id=item.host_id,
                public_kind=public_kind,
            )
        )

    async def tell_viewer(
        self, viewer_id: UUID, items: Sequence[TimelineItem], kind: TimelineEventKind
    ) -> None:
        """Write that cards came onto one person's timeline, or went from it."""
        self.topics.add(TIMELINE)
        self._cards += [
            TimelineEvent(
                at=self.now,
                kind=kind,
                item_id=item.id,
                author_id=item.author_id,
                host_id=item.host_id,
                viewer_id=viewer_id,
            )
            for item in items
        ]

    async def number_cards(self) -> None:
        """Write the events of cards, as the last of the transaction: so their ids come in the order of commits."""
        if self._cards:
            await alone(Lock.CARD_EVENTS)
            await TimelineEvent.bulk_create(self._cards)

    async def audit(
        self,
        action: str,
        subject_kind: str,
        subject_id: UUID,
        *,
        actor_id: UUID | None = None,
        outcome: str = "done",
    ) -> None:
        """Write one entry of the audit log."""
        await AuditEntry.create(
            at=self.now,
            actor_id=actor_id,
            action=action,
            subject_kind=subject_kind,
            subject_id=subject_id,
            outcome=outcome,
        )


def recording_facts(recording: Recording | None) -> dict[str, Any]:
    """What an event keeps of a recording as it was then; `{}` stands for 'the toggle is off'."""
    if recording is None:
        return {}
    return {
        "status": RecordingStatus.FAILED.value if recording.is_lost else recording.status.value,
        "isRecording": recording.status in ICON_ON,
        "durationMs": recording.duration_ms,
        "sizeBytes": recording.size_bytes,
    }


@dataclass(slots=True)
class _Attempt:
    has_committed: bool = False


_attempts: ContextVar[tuple[_Attempt, ...]] = ContextVar("attempts", default=())


@asynccontextmanager
async def change(house: House) -> AsyncIterator[Change]:
    """One transaction. After its commit everyone concerned is woken; on an error nothing has happened.

    Raises Clash when another one got in its way: see `again`.
    """
    async with in_transaction():
        made = Change(house.clock.now(), house.rules, house.links)
        yield made
        if made.outbox.is_full:
            made.topics.add(HOOKS)
        await wakes.send(house.bus, made.topics)
        if made.removed:
            await journal(house.removals, made.removed)
        await made.number_cards()
    for attempt in _attempts.get():
        attempt.has_committed = True
    if made.due_at < NEVER:
        house.deadlines.bring_forward(made.due_at)
    house.bus.wake(made.topics)


async def again(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work`, and once more whenever a race with another transaction has undone it before it changed anything.

    A row that breaks a constraint is such a race too: at the next attempt the rules see the row that was quicker.
    """
    for _ in range(_ATTEMPTS - 1):
        attempt = _Attempt()
        before = _attempts.set((*_attempts.get(), attempt))
        try:
            return await work()
        except (Clash, IntegrityError):
            if attempt.has_committed:
                raise
        finally:
            _attempts.reset(before)
    return await work()


def new_id() -> UUID:
    """An id for a new row."""
    return uuid4()
