"""The courier: calls webhooks, many at once, so that a slow receiver holds up nobody but itself."""

import asyncio
from collections import Counter
from secrets import token_hex
from uuid import UUID

import structlog
from tortoise.expressions import Q

from models.webhook_delivery import WebhookDelivery
from services import callbacks, leases
from services.bus import HOOKS, Ear
from services.house import House

log = structlog.get_logger(__name__)

# Calls under way at once, and of these for one webhook.
_MOST = 40
_MOST_EACH = 4
_SOONEST_S = 0.05


class Courier:
    """One worker beside the timetable and the postman."""

    def __init__(self, house: House, *, interval_s: float) -> None:
        self._house = house
        self._interval_s = interval_s
        self._owner = token_hex(8)
        self._calls: dict[asyncio.Task[None], UUID] = {}

    async def run(self) -> None:
        """Whatever is due, now and whenever it becomes so. Until cancelled."""
        with self._house.bus.listen(HOOKS) as ear:
            try:
                while True:
                    await self._begin(ear)
                    await ear.wait(await self._pause_s())
            finally:
                await self._abandon()

    async def round(self) -> None:
        """Do everything that is due, and what becomes so by it."""
        ear = Ear()
        try:
            while await self._begin(ear) or self._calls:
                if self._calls:
                    await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._abandon()

    async def _begin(self, ear: Ear) -> bool:
        """Begin as many calls as may be under way; whether there was anything to do."""
        begun = False
        try:
            while room := _MOST - len(self._calls):
                leased = await callbacks.claim(
                    self._house,
                    self._owner,
                    most=room,
                    busy=Counter(self._calls.values()),
                    most_each=_MOST_EACH,
                )
                for delivery_id, webhook_id in leased:
                    call = asyncio.create_task(self._call(delivery_id), name="webhook")
                    self._calls[call] = webhook_id
                    call.add_done_callback(lambda done: self._ended(done, ear))
                    begun = True
                if not leased:
                    break
        except Exception:
            log.exception("the outbox could not be read")
        return begun

    def _ended(self, call: asyncio.Task[None], ear: Ear) -> None:
        self._calls.pop(call, None)
        ear.wake()

    async def _call(self, delivery_id: UUID) -> None:
        try:
            await callbacks.call(self._house, delivery_id, self._owner)
        except Exception:
            log.exception("a webhook could not be called", subject=str(delivery_id))

    async def _abandon(self) -> None:
        """What is under way is tried again after its lease."""
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def _pause_s(self) -> float:
        """Until the next call is due, at most an interval. The end of a call wakes it too."""
        if len(self._calls) >= _MOST:
            return self._interval_s
        full = [one for one, calls in Counter(self._calls.values()).items() if calls >= _MOST_EACH]
        try:
            due = await leases.next_due(WebhookDelivery, ~Q(webhook_id__in=full) if full else Q())
        except Exception:  # noqa: BLE001 (the database is away: the next round will tell)
            return self._interval_s
        if due is None:
            return self._interval_s
        left_s = (due - self._house.clock.now()).total_seconds()
        return min(self._interval_s, max(left_s, _SOONEST_S))
