"""How late the machine itself is, so that a busy one does not break a promise in the server's name."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

STEP_S = 0.01
# What a hearer of ours, which shares its machine with the server, may hold back before it plays.
HELD_BACK_S = 0.15


class Lateness:
    """`worst_s`: the longest that a sleep of 10 ms in this loop overslept."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    async def watch(self) -> None:
        """Go on until cancelled."""
        while True:
            asleep_s = time.monotonic()
            await asyncio.sleep(STEP_S)
            self.worst_s = max(self.worst_s, time.monotonic() - asleep_s - STEP_S)

    def allowing(self, limit_s: float) -> float:
        """A limit for a path with a few tasks and threads in a row, each of which may be late."""
        return limit_s + 3 * self.worst_s


@contextlib.asynccontextmanager
async def lateness() -> AsyncIterator[Lateness]:
    """Watch for as long as the block runs."""
    watched = Lateness()
    task = asyncio.create_task(watched.watch())
    try:
        yield watched
    finally:
        task.cancel()
        await asyncio.wait([task])


def cpu_seconds(pid: int) -> float:
    """What a process has computed so far, which a busy machine hardly changes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
