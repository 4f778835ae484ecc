"""Reads of SQLite wait for no writer, and a long one holds nobody else up."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tortoise.connection import get_connection
from tortoise.exceptions import OperationalError

from models import quick_reads
from tests.product.town import open_town

pytestmark = pytest.mark.sqlite_file

# Some 100 ms of SQLite's time.
_LONG = """SELECT max(i) AS most FROM (
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000) SELECT i FROM n)"""


async def test_people_read_while_a_change_waits_for_another_process_that_writes(tmp_path: Path) -> None:
    async with open_town(tmp_path / "data", quiet=True) as town:
        host = await town.person()
        space_id = (await host.new_space(title="Before"))["id"]
        database = tmp_path / "data" / "spaces.sqlite3"
        with closing(sqlite3.connect(database, isolation_level=None, check_same_thread=False)) as other:
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            waiting = asyncio.create_task(host.do("updateSpace", spaceId=space_id, title="After"))
            for _ in range(3):
                assert (await host.space(space_id, "title"))["title"] == "Before"
            assert not waiting.done()
            other.execute("ROLLBACK")
        await waiting
        assert (await host.space(space_id, "title"))["title"] == "After"


async def test_a_long_read_is_done_elsewhere_and_the_loop_goes_on(tmp_path: Path) -> None:
    async with open_town(tmp_path / "data", quiet=True):
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        for _ in range(2):
            before = turns
            rows = await get_connection("default").execute_query_dict(_LONG)
            assert rows == [{"most": 500_000}]
            assert turns > before + 10
        counting.cancel()


@pytest.mark.parametrize("query", ["SELECT * FROM nowhere", "SELECT json('{')", "SELECT ?"])
async def test_what_is_wrong_with_a_read_is_told_as_ever(tmp_path: Path, query: str) -> None:
    async with open_town(tmp_path / "data", quiet=True):
        with pytest.raises((OperationalError, sqlite3.ProgrammingError)):
            await get_connection("default").execute_query(query)


async def test_only_so_many_long_reads_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_reads, "_MOST_SHUNNED", 2)
    with closing(quick_reads.QuickReads(str(tmp_path / "any.sqlite3"))) as reads:
        for number in range(5):
            assert await reads.rows(f"{_LONG} LIMIT {number + 1}", None) is None
        assert await reads.rows("SELECT 1", None) is not None
        assert len(reads._shunned) <= 2


async def test_a_read_that_only_the_machine_kept_waiting_is_done_at_once_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_steps = _LONG.replace("500000", "500")
    with closing(quick_reads.QuickReads(str(tmp_path / "any.sqlite3"))) as reads:
        monkeypatch.setattr(quick_reads, "_AT_MOST_S", -1.0)
        assert await reads.rows(some_steps, None) is None
        monkeypatch.undo()
        assert await reads.rows(some_steps, None) is not None
