"""Reads of SQLite on the event loop itself: the way to the connection's thread and back costs more than most of them.

A connection of its own, which only reads: it sees what is committed, waits for no writer, and no writer for it. What is
not done at once is given up here, and left to the thread.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from time import perf_counter, thread_time
from typing import Any

# A read is given up after so much processor time, or so long: by the clock alone, a busy machine would end them all.
_AT_MOST_CPU_S, _AT_MOST_S = 0.002, 0.02
_LOOKS_EVERY = 1000  # steps of SQLite's machine, some 50 µs
# The loop turns when reads one after the other have held it for so long.
_TURN_S = 0.001
_SHUNNED_S = 10.0
_MOST_SHUNNED = 500


class QuickReads:
    """One connection for reads of at most 2 ms of processor time. Of one event loop."""

    def __init__(self, file_path: str) -> None:
        self._connection = sqlite3.connect(
            file_path, isolation_level=None, check_same_thread=False, timeout=0, cached_statements=512
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA query_only=ON")
        self._connection.set_progress_handler(self._is_late, _LOOKS_EVERY)
        self._until_cpu = self._until = 0.0
        self._turn_began: float | None = None
        # Statements that took too long, and until when they go to the thread at once.
        self._shunned: dict[str, float] = {}

    async def rows(self, query: str, values: Sequence[Any] | None) -> list[sqlite3.Row] | None:
        """What a SELECT gives; None when it is the thread's, be it too long or an error that it shall tell."""
        began = perf_counter()
        if self._shunned and self._is_shunned(query, began):
            return None
        if await self._took_turn(began):
            began = perf_counter()
        self._until_cpu, self._until = thread_time() + _AT_MOST_CPU_S, began + _AT_MOST_S
        try:
            return self._connection.execute(query, values or ()).fetchall()
        except sqlite3.Error as error:
            # One that was only kept waiting by others on the machine is as quick as ever the next time.
            is_slow = thread_time() > self._until_cpu
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT and is_slow:
                self._shun(query)
            return None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    async def _took_turn(self, now: float) -> bool:
        """Let others have theirs when reads that never wait have held the loop for long."""
        if self._turn_began is None:
            self._turn_began = now
            asyncio.get_running_loop().call_soon(self._end_turn)
        elif now - self._turn_began > _TURN_S:
            await asyncio.sleep(0)
            return True
        return False

    def _end_turn(self) -> None:
        self._turn_began = None

    def _is_late(self) -> bool:
        return thread_time() > self._until_cpu or perf_counter() > self._until

    def _is_shunned(self, query: str, now: float) -> bool:
        return self._shunned.get(query, 0.0) > now

    def _shun(self, query: str) -> None:
        if len(self._shunned) >= _MOST_SHUNNED:
            self._shunned.clear()
        self._shunned[query] = perf_counter() + _SHUNNED_S
