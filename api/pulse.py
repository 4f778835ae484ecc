"""Whether a process that does not answer is hung, or only has more to do than its core can.

To end one that is merely late would cost every Space that it carries a gap, in the very moment of most load.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from api.link import LinkLost
from media.engine import EngineError

_BEAT_S = 1.0
_PATIENCE_S = 1.2
# Two beats without an answer and without a sign of life: seen within 5 s.
_MISSED_BEATS = 2
# One that works, and answers nothing for so long, is caught in something that does not end.
_MISSED_BEATS_AT_WORK = 14
# What a stopped or blocked process may still be charged.
_IDLE_NS = 50_000


class Pulse:
    """Of one process, by a question that costs it little; without a pid only its answers count."""

    def __init__(self, ask: Callable[[], Awaitable[object]], pid: int | None) -> None:
        self._ask = ask
        self._pid = pid

    async def until_hung(self) -> None:
        """Return once it hangs; else run until cancelled."""
        missed = idle = 0
        while idle < _MISSED_BEATS and missed < _MISSED_BEATS_AT_WORK:
            await asyncio.sleep(_BEAT_S)
            used_ns = self._used_ns()
            if await self._answers():
                missed = idle = 0
                continue
            missed += 1
            works = self._pid is None or self._is_runnable() or self._used_ns() - used_ns > _IDLE_NS
            idle = 0 if works else idle + 1

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._ask()
        except (TimeoutError, EngineError, LinkLost):
            return False
        return True

    def _used_ns(self) -> int:
        """CPU of all its threads so far."""
        total = 0
        for thread in Path(f"/proc/{self._pid}/task").glob("*/schedstat"):
            try:
                total += int(thread.read_text("ascii").split()[0])
            except (OSError, ValueError):
                continue
        return total

    def _is_runnable(self) -> bool:
        """Whether it waits for its turn on a core."""
        try:
            return Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()[0] == "R"
        except (OSError, IndexError):
            return False
