"""The one clock of a media process: every room's tick, for every 20 ms.

It wakes up every 60 ms and makes three ticks at once, for a wake-up costs more than a tick. Nothing is
lost by that: packets wait at least as long in their jitter buffers. Where somebody listens in real time,
40 ms count for more than the CPU, and it wakes up for every tick.
"""

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable
from math import ceil

from media.engine import LATE_BOUNDS_MS
from media.room import TICK_NS

log = logging.getLogger(__name__)

TICKS_A_WAKE_UP = 3
TICKS_A_WAKE_UP_IN_CONVERSATION = 1
# Beyond this the machine was asleep; the recorders fill the hole with silence.
MAX_CATCH_UP_NS = 2_000_000_000
# A room that fails does so 50 times a second.
LOG_EVERY_FAILURES = 500


class Ticker:
    """Calls every listener with the tick's nominal time. Late ticks are made up for, in order."""

    def __init__(self, *, monotonic_ns: Callable[[], int], ticks_a_wake_up: int = TICKS_A_WAKE_UP) -> None:
        self._monotonic_ns = monotonic_ns
        self.ticks_a_wake_up = ticks_a_wake_up
        self._listeners: list[Callable[[int], None]] = []
        self._wanted = asyncio.Event()
        self.worst_lateness_ns = 0
        self.late = [0] * (len(LATE_BOUNDS_MS) + 1)
        self.failures = 0

    @property
    def _ahead_ns(self) -> int:
        return (self.ticks_a_wake_up - 1) * TICK_NS

    def add(self, listener: Callable[[int], None]) -> None:
        self._listeners.append(listener)
        self._wanted.set()

    def remove(self, listener: Callable[[int], None]) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def run(self) -> None:
        """Tick until cancelled; sleeps while nobody listens."""
        next_ns = self._monotonic_ns()
        while True:
            if not self._listeners:
                self._wanted.clear()
                await self._wanted.wait()
                next_ns = self._monotonic_ns()
            next_ns = self._catch_up(next_ns, now_ns=self._monotonic_ns())
            # Whole milliseconds, rounded up: uvloop's timers round down and would fire too early.
            wait_ms = ceil((next_ns + self._ahead_ns - self._monotonic_ns()) / 1_000_000)
            await asyncio.sleep(max(0, wait_ms) / 1000)

    def _catch_up(self, next_ns: int, *, now_ns: int) -> int:
        """Make every tick that is due; the time of the next one."""
        late_ns = now_ns - next_ns - self._ahead_ns
        self.worst_lateness_ns = max(self.worst_lateness_ns, late_ns)
        self.late[bisect_left(LATE_BOUNDS_MS, late_ns / 1_000_000)] += 1
        if now_ns - next_ns > MAX_CATCH_UP_NS:
            next_ns = now_ns
        while next_ns <= now_ns:
            self._tick(next_ns)
            next_ns += TICK_NS
        return next_ns

    def _tick(self, tick_ns: int) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(tick_ns)
            except Exception:  # one room's fault must not silence the others
                self.failures += 1
                if self.failures % LOG_EVERY_FAILURES == 1:
                    log.exception("a room's tick failed, %s in all", self.failures)
