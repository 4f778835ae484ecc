"""What runs when. Each job loads by id, calls one service, and a failed one does not stop the others."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from secrets import token_hex
from typing import Any
from uuid import UUID

import structlog

from media.plain import StoreAway
from models.recording import Recording, RecordingStatus
from services import (
    accounts,
    audit,
    callbacks,
    deadlines,
    endings,
    farewell,
    history,
    idempotency,
    purge,
    reconcile,
    recordings,
    rooms,
)
from services.bus import DEADLINES
from services.changes import again
from services.clock import VouchedClock
from services.house import House
from services.reconcile import Finding
from workers.payments import pay

log = structlog.get_logger(__name__)

# So many recordings are leased at a time: few enough to be done before the lease runs out.
_BATCH = 20
_SHORTEST_PAUSE_S = 0.02


class Timetable:
    """One worker. `owns_rooms`: it stands beside the audio plane and may end and finish Spaces."""

    def __init__(self, house: House, *, interval_s: float, owns_rooms: bool) -> None:
        self._house = house
        self._interval_s = interval_s
        self._owns_rooms = owns_rooms
        self._owner = token_hex(8)
        self._time = VouchedClock(house.clock, believed_after=house.rules.leap_believed_after)
        self._reconciled_at_s: float | None = None
        self._lost: set[UUID] = set()

    async def run(self) -> None:
        """A round now and every `interval_s`; between them, whatever becomes due of Spaces. Until cancelled.

        Two tasks: what a slow store or thousands of purges take must not hold up the end of a Space.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(), name="keeping")
            if self._owns_rooms:
                group.create_task(self._attend(), name="attending")

    async def _keep(self) -> None:
        while True:
            await self._kept_round()
            await asyncio.sleep(self._interval_s)

    async def _attend(self) -> None:
        with self._house.bus.listen(DEADLINES) as ear:
            while True:
                await self._rooms_round()
                until_s = self._house.clock.monotonic() + self._interval_s
                while (left_s := until_s - self._house.clock.monotonic()) > 0:
                    if await ear.wait(min(left_s, self._until_due_s())):
                        await self._attempt(lambda: deadlines.look_ahead(self._house))
                    else:
                        await self._attempt(lambda: deadlines.settle(self._house))

    async def round(self) -> None:
        """Do everything that is due."""
        if self._owns_rooms:
            await self._rooms_round()
        await self._kept_round()

    async def _rooms_round(self) -> None:
        """What live Spaces wait for."""
        await self._attempt(lambda: deadlines.run(self._house))
        await self._attempt(self._unfinished)
        await self._attempt(lambda: rooms.sign_of_life(self._house))

    async def _kept_round(self) -> None:
        """What is kept, and what is forgotten."""
        await self._attempt(self._house.policies.refresh)
        await self.clocks()
        if self._lost:
            await self._attempt(self._look_again)
        await self._attempt(self._reconcile)
        await self._attempt(lambda: pay(self._house))
        await self._attempt(lambda: farewell.finish_all(self._house))
        await self._attempt(lambda: audit.seal(self._house.audit_head))
        await self._attempt(lambda: accounts.forget_expired_sessions(self._house.clock.now()))
        await self._attempt(lambda: recordings.forget_listenings(self._house))
        await self._attempt(lambda: history.forget_old_events(self._house))
        await self._attempt(lambda: callbacks.forget_old(self._house))
        await self._attempt(lambda: idempotency.forget_old_answers(self._house))

    async def clocks(self) -> None:
        """Both clocks of recordings: expire, then purge, whatever is due."""
        await self._attempt(self._expiries)
        await self._attempt(self._purges)

    def _until_due_s(self) -> float:
        left = deadlines.next_at(self._house) - self._house.clock.now()
        return max(left.total_seconds(), _SHORTEST_PAUSE_S)

    async def _unfinished(self) -> None:
        stuck = await Recording.filter(status=RecordingStatus.FINALIZING).values_list("id", flat=True)
        await self._each(stuck, lambda one: endings.finalise_stuck(self._house, one))

    async def _expiries(self) -> None:
        now = self._vouched()
        due = await Recording.expiring(now).values_list("id", flat=True)
        await self._each(due, lambda one: recordings.expire(self._house, one, now=now))

    async def _purges(self) -> None:
        """After an outage also what has only just expired."""
        now = self._vouched()
        while leased := await purge.claim(self._house, self._owner, now=now, most=_BATCH):
            for one in leased:
                if not await self._purge(one, now=now):
                    return

    async def _purge(self, one: UUID, *, now: datetime) -> bool:
        """False while the store is away: the next round tries again, and every other job of this one has its turn."""
        try:
            await again(lambda: purge.purge(self._house, one, self._owner, now=now))
        except StoreAway as error:
            log.warning("the store is away: purges wait", subject=str(one), reason=str(error))
            return False
        except Exception:
            log.exception("job failed", subject=str(one))
        return True

    def _vouched(self) -> datetime:
        """The time by which something is destroyed; a leap of the wall clock is told."""
        now = self._time.now()
        if self._time.leap:
            log.warning("the wall clock has leapt: deadlines wait", seconds=self._time.leap.total_seconds())
        return now

    async def _reconcile(self) -> None:
        """At the start and then once a day."""
        now_s = self._house.clock.monotonic()
        every_s = self._house.rules.reconcile_every.total_seconds()
        if self._reconciled_at_s is not None and now_s - self._reconciled_at_s < every_s:
            return
        self._reconciled_at_s = now_s
        findings = await reconcile.reconcile(self._house)
        if any(one.kind == reconcile.STORE_AWAY for one in findings):
            self._reconciled_at_s = None
        self._lost = {UUID(one.subject) for one in findings if one.kind == reconcile.WITHOUT_BYTES}
        self._tell(findings)

    async def _look_again(self) -> None:
        """A disk that is back gives its recordings back in the next round, not the next day."""
        found = await reconcile.look_again(self._house, self._lost)
        self._lost -= {UUID(one.subject) for one in found}
        self._tell(found)

    def _tell(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            log.warning("reconciled", kind=finding.kind, subject=finding.subject, mended=finding.mended)

    async def _each(self, ids: Iterable[Any], job: Callable[[UUID], Awaitable[Any]]) -> None:
        for one in ids:
            await self._attempt(lambda one=one: job(one), subject=one)  # type: ignore[misc]

    async def _attempt(self, job: Callable[[], Awaitable[Any]], subject: UUID | None = None) -> None:
        try:
            await again(job)
        except StoreAway as error:
            log.warning("the store is away: a job waits", reason=str(error))
        except Exception:
            log.exception("job failed", subject=str(subject) if subject else None)
