"""The one place that reads the clock."""

import time
from datetime import UTC, datetime
from typing import Protocol


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
