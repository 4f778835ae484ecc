"""How long ago a recording began, across processes: by the machine's own count where it holds, else by the wall clock.

The wall clock may be set back or ahead while nobody writes. The kernel's count since boot is not set by
anybody, goes on in every process and while the machine sleeps, and is good for as long as the boot's id is
the same.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One instant on both clocks. `boot` is empty where the machine does not tell its boots apart."""

    wall_ms: int
    boot: str = ""
    since_boot_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A position of the programme, and when sound reached it."""

    position_ms: int
    at: Moment


def this_moment(*, wall_ms: int) -> Moment:
    """Now, by this machine."""
    boot = _boot_id()
    since_boot_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000 if boot else 0
    return Moment(wall_ms=wall_ms, boot=boot, since_boot_ms=since_boot_ms)


@cache
def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def elapsed_ms(anchor: Anchor | None, *, started_at_ms: int, written_ms: int, now: Moment) -> int:
    """The position of now: time since the first audio, never before what is written.

    After a reboot the wall clock tells, but no less has passed than the machine has been up.
    """
    if anchor is None or not now.boot:
        return max(now.wall_ms - started_at_ms, written_ms)
    if anchor.at.boot == now.boot:
        return max(anchor.position_ms + now.since_boot_ms - anchor.at.since_boot_ms, written_ms)
    return max(now.wall_ms - started_at_ms, written_ms + now.since_boot_ms)


class Timekeeper:
    """Turns ticks of the monotonic clock into time since a recording's first audio."""

    def __init__(self, moment: Callable[[], Moment]) -> None:
        self._moment = moment
        self._origin_ns: int | None = None
        self.anchor: Anchor | None = None

    def begin(self, tick_ns: int) -> None:
        """The first audio is here."""
        self._origin_ns = tick_ns

    def mark(self, position_ms: int) -> Anchor:
        """What the next process will go by."""
        self.anchor = Anchor(position_ms=position_ms, at=self._moment())
        return self.anchor

    def passed_ns(self, tick_ns: int, *, started_at_ms: int | None, written_ms: int) -> int:
        """Time since the first audio. Ticks are whole multiples of 20 ms apart, so this does not drift."""
        if self._origin_ns is None:
            assert started_at_ms is not None, "expected a recording that has begun"
            now = self._moment()
            since_ms = elapsed_ms(self.anchor, started_at_ms=started_at_ms, written_ms=written_ms, now=now)
            self._origin_ns = tick_ns - since_ms * 1_000_000
        return tick_ns - self._origin_ns
