"""What runs when. Each job loads by id, calls one service, and a failed one does not stop the others."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from secrets import token_hex
from typing import Any
from uuid import UUID

import structlog

from models.recording import Recording, RecordingStatus
from services import accounts, audit, endings, history, purge, recordings, rooms
from services.house import House

log = structlog.get_logger(__name__)

_MOST_A_ROUND = 500


class Timetable:
    """One worker. `owns_rooms`: it stands beside the audio plane and may end and finish Spaces."""

    def __init__(self, house: House, *, interval_s: float, owns_rooms: bool) -> None:
        self._house = house
        self._interval_s = interval_s
        self._owns_rooms = owns_rooms
        self._owner = token_hex(8)

    async def run(self) -> None:
        """A round now and every `interval_s`; between them, whatever becomes due. Until cancelled."""
        while True:
            await self.round()
            await asyncio.sleep(await self._pause_s())

    async def round(self) -> None:
        """Do everything that is due."""
        if self._owns_rooms:
            await self._attempt(self._spaces)
            await self._attempt(self._unfinished)
            await self._attempt(lambda: rooms.sign_of_life(self._house))
        await self._attempt(self._clocks)
        await self._attempt(audit.seal)
        await self._attempt(lambda: accounts.forget_expired_sessions(self._house.clock.now()))
        await self._attempt(lambda: recordings.forget_listenings(self._house))
        await self._attempt(lambda: history.forget_old_events(self._house))

    async def _pause_s(self) -> float:
        """Until the next round, or until a lost host's window closes, whichever is first."""
        if not self._owns_rooms:
            return self._interval_s
        try:
            deadline: datetime | None = await endings.next_deadline(self._house.rules)
        except Exception:  # noqa: BLE001 (the database is away: the next round will tell)
            return self._interval_s
        if deadline is None:
            return self._interval_s
        left = (deadline - self._house.clock.now()).total_seconds()
        return min(self._interval_s, max(left, 0.05))

    async def _spaces(self) -> None:
        due = await endings.due_spaces(self._house.rules, self._house.clock.now())
        await self._each(due, lambda one: endings.end_due(self._house, one))

    async def _unfinished(self) -> None:
        stuck = await Recording.filter(status=RecordingStatus.FINALIZING).values_list("id", flat=True)
        await self._each(stuck, lambda one: endings.finalise_stuck(self._house, one))

    async def _clocks(self) -> None:
        now = self._house.clock.now()
        for recording in await Recording.due(now).limit(_MOST_A_ROUND):
            await self._each([recording.id], self._clock)

    async def _clock(self, recording_id: UUID) -> None:
        """Whichever clock has run out; after an outage both may have."""
        await recordings.expire(self._house, recording_id)
        await purge.purge(self._house, recording_id, self._owner)

    async def _each(self, ids: Iterable[Any], job: Callable[[UUID], Awaitable[Any]]) -> None:
        for one in ids:
            await self._attempt(lambda one=one: job(one), subject=one)  # type: ignore[misc]

    async def _attempt(self, job: Callable[[], Awaitable[Any]], subject: UUID | None = None) -> None:
        try:
            await job()
        except Exception:
            log.exception("job failed", subject=str(subject) if subject else None)
