"""Whoever gives up while waiting for the database leaves it free for the next."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.changes import change
from tests.product.town import open_town

pytestmark = pytest.mark.sqlite_file


async def test_a_change_that_is_given_up_while_another_process_writes_holds_nobody_up(tmp_path: Path) -> None:
    async with open_town(tmp_path / "data", quiet=True) as town:
        host = await town.person()
        begun = asyncio.Event()

        async def waits() -> None:
            begun.set()
            async with change(town.built.house):
                raise AssertionError("the other process has the lock")

        database = tmp_path / "data" / "spaces.sqlite3"
        with closing(sqlite3.connect(database, isolation_level=None, check_same_thread=False)) as other:
            # In a thread: the worker's round may be writing, and ends on this loop.
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            waiting = asyncio.create_task(waits())
            await begun.wait()
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.sleep(0)
            other.execute("ROLLBACK")
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        await host.new_space()
