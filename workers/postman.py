"""The postman: tells what has become due, and carries it out of the house, at its moment."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from secrets import token_hex
from uuid import UUID

import structlog
from tortoise.models import Model

from models.announcement import Announcement
from models.delivery import Delivery
from services import announcements, deliveries, leases
from services.bus import POST
from services.house import House

log = structlog.get_logger(__name__)

# So many are on their way at once: few enough to be done before the lease runs out.
_BATCH = 20
_SOONEST_S = 0.05


class Postman:
    """One worker beside the timetable: a slow mail server must not hold up the end of a Space."""

    def __init__(self, house: House, *, interval_s: float) -> None:
        self._house = house
        self._interval_s = interval_s
        self._owner = token_hex(8)

    async def run(self) -> None:
        """Whatever is due, now and whenever it becomes so. Until cancelled."""
        with self._house.bus.listen(POST) as ear:
            while True:
                await self.round()
                await ear.wait(await self._pause_s())

    async def round(self) -> None:
        """Do everything that is due."""
        await self._all(Announcement, announcements.announce)
        await self._all(Delivery, deliveries.deliver)

    async def _all(self, model: type[Model], job: Callable[[House, UUID, str], Awaitable[None]]) -> None:
        try:
            while leased := await leases.claim(self._house, model, self._owner, most=_BATCH):
                await asyncio.gather(*(self._attempt(job, one) for one in leased))
        except Exception:
            log.exception("the post could not be sorted")

    async def _attempt(self, job: Callable[[House, UUID, str], Awaitable[None]], one: UUID) -> None:
        try:
            await job(self._house, one, self._owner)
        except Exception:
            log.exception("a notification failed", subject=str(one))

    async def _pause_s(self) -> float:
        """Until the next one is due, at most an interval: another process may have written something."""
        try:
            moments: Sequence[datetime | None] = [
                await leases.next_due(Announcement),
                await leases.next_due(Delivery),
            ]
        except Exception:  # noqa: BLE001 (the database is away: the next round will tell)
            return self._interval_s
        due = min((moment for moment in moments if moment is not None), default=None)
        if due is None:
            return self._interval_s
        left_s = (due - self._house.clock.now()).total_seconds()
        return min(self._interval_s, max(left_s, _SOONEST_S))
