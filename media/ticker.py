"""The one clock of a media process: every room's ticks, one for every 20 ms.

A wake-up costs more than a tick. So a room at a slow pace gets several ticks at once, and rooms of one pace
get theirs in the same wake-up. Nothing is lost by that: packets wait at least as long in their sockets and
jitter buffers. Where somebody listens in real time, that time counts for more than the CPU.
"""

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from media.engine import LATE_BOUNDS_MS
from media.voice import MAX_TICKS, TICK_NS

log = logging.getLogger(__name__)

# Beyond this the machine was asleep; the recorders fill the hole with silence.
MAX_CATCH_UP_NS = 2_000_000_000
# A room that fails does so 50 times a second.
LOG_EVERY_FAILURES = 500


class OnTick(Protocol):
    """Hears of so many ticks at once, the first at `tick_ns`."""

    def __call__(self, tick_ns: int, /, *, ticks: int) -> None: ...


def _slowly() -> int:
    return MAX_TICKS


@dataclass(slots=True, eq=False)
class _Listener:
    on_tick: OnTick
    pace: Callable[[], int]
    next_ns: int


class Ticker:
    """Calls every listener with the nominal time of its ticks. Late ticks are made up for, in order."""

    def __init__(self, *, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._listeners: list[_Listener] = []
        self._wanted = asyncio.Event()
        self._begun_ns = 0
        self._next_ns = 0
        self.worst_lateness_ns = 0
        self.late = [0] * (len(LATE_BOUNDS_MS) + 1)
        self.failures = 0

    @property
    def ticks_a_wake_up(self) -> int:
        """How many ticks pass until the next wake-up: as many as the quickest listener bears."""
        return min((listener.pace() for listener in self._listeners), default=MAX_TICKS)

    def add(self, on_tick: OnTick, *, pace: Callable[[], int] = _slowly) -> None:
        """Tick from now on. `pace` is how many ticks at once are wanted now: 1 to `MAX_TICKS`."""
        self._listeners.append(_Listener(on_tick, pace, 0))
        self._wanted.set()

    def remove(self, on_tick: OnTick) -> None:
        self._listeners = [listener for listener in self._listeners if listener.on_tick != on_tick]

    async def run(self) -> None:
        """Tick until cancelled; sleeps while nobody listens."""
        while True:
            if not self._listeners:
                self._wanted.clear()
                await self._wanted.wait()
                self._begun_ns = self._next_ns = self._monotonic_ns()
            self._catch_up(self._monotonic_ns())
            # Whole milliseconds, rounded up: uvloop's timers round down and would fire too early.
            wait_ms = ceil((self._wake_up_ns() - self._monotonic_ns()) / 1_000_000)
            await asyncio.sleep(max(0, wait_ms) / 1000)

    def _wake_up_ns(self) -> int:
        """The last tick of the next block, counted from the begin, so that rooms wake up together."""
        pace = self.ticks_a_wake_up
        made = (self._next_ns - self._begun_ns) // TICK_NS
        return self._next_ns + (pace - 1 - made % pace) * TICK_NS

    def _catch_up(self, now_ns: int) -> None:
        """Make the ticks that are due, for everyone whose block is complete."""
        if now_ns - self._next_ns > MAX_CATCH_UP_NS:
            self._begun_ns = self._next_ns = now_ns
            for listener in self._listeners:
                listener.next_ns = max(listener.next_ns, now_ns)
        due = (now_ns - self._next_ns) // TICK_NS + 1
        if due <= 0:
            return
        late_ns = now_ns - self._wake_up_ns()
        self.worst_lateness_ns = max(self.worst_lateness_ns, late_ns)
        self.late[bisect_left(LATE_BOUNDS_MS, late_ns / 1_000_000)] += 1
        begun_ns, self._next_ns = self._next_ns, self._next_ns + due * TICK_NS
        for listener in tuple(self._listeners):
            listener.next_ns = listener.next_ns or begun_ns
            self._tick(listener)

    def _tick(self, listener: _Listener) -> None:
        pace = listener.pace()
        made = (self._next_ns - self._begun_ns) // TICK_NS
        until_ns = self._next_ns - made % pace * TICK_NS
        while listener.next_ns < until_ns:
            ticks = min(pace, (until_ns - listener.next_ns) // TICK_NS)
            tick_ns, listener.next_ns = listener.next_ns, listener.next_ns + ticks * TICK_NS
            try:
                listener.on_tick(tick_ns, ticks=ticks)
            except Exception:  # one room's fault must not silence the others
                self.failures += 1
                if self.failures % LOG_EVERY_FAILURES == 1:
                    log.exception("a room's tick failed, %s in all", self.failures)
