"""The one place that reads the clock."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

# What NTP corrects by itself is no leap.
_TOLERANCE = timedelta(minutes=1)


class Clock(Protocol):
    """Wall clock and monotonic clock, handed in so that tests can move them."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC, whole milliseconds."""

    def monotonic(self) -> float:
        """Seconds that only go forward, from an arbitrary start."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The wall clock, cut to milliseconds: what is told is what is kept."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        """The machine's monotonic clock."""
        return time.monotonic()


class VouchedClock:
    """The wall clock as far as the monotonic clock vouches for it: what destroys goes by this one.

    It never runs ahead of the wall clock. When that leaps ahead, this one goes on as before; once the leap
    has stood for `believed_after`, it is believed. A leap back is followed at once. It vouches for nothing
    before its own start.
    """

    def __init__(self, clock: Clock, *, believed_after: timedelta) -> None:
        self._clock = clock
        self._believed_after = believed_after
        self._leap = timedelta(0)
        self._leapt_at_s = 0.0
        self._trust(clock.now(), clock.monotonic())

    def _trust(self, wall: datetime, monotonic_s: float) -> None:
        self._wall, self._monotonic_s = wall, monotonic_s

    @property
    def leap(self) -> timedelta:
        """How far the wall clock was off when it was last read; zero when it was not."""
        return self._leap

    def now(self) -> datetime:
        """Now, at most the wall clock's."""
        wall, monotonic_s = self._clock.now(), self._clock.monotonic()
        expected = self._wall + timedelta(seconds=monotonic_s - self._monotonic_s)
        leap = wall - expected
        if abs(leap) <= _TOLERANCE:
            self._leap = timedelta(0)
            self._trust(wall, monotonic_s)
            return wall
        if abs(leap - self._leap) > _TOLERANCE:
            self._leapt_at_s = monotonic_s
        self._leap = leap
        if monotonic_s - self._leapt_at_s >= self._believed_after.total_seconds():
            self._trust(wall, monotonic_s)
            self._leap = timedelta(0)
        return wall if not self._leap else min(wall, expected)
