"""An embedded installation moves to PostgreSQL and an object store, and nobody who uses it loses anything."""

import asyncio
import hashlib
import io
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from rich.console import Console

from api.move_command import FILE, MOVED, move
from models import moving
from models.moving import BATCH
from services.moving import AT_ONCE
from tests.product.court import ROOT
from tests.product.databases import databases
from tests.product.s3 import ObjectStore
from tests.product.stored import make_recordings
from tests.product.town import Person, open_town, settings_for

# Four files of a recording and what says that they are whole.
OBJECTS = 5


def rows_of(file: Path, table: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as rows:
        return rows.execute(f'SELECT * FROM "{table}"').fetchall()


async def played(person: Person, space_id: str) -> bytes:
    made = await person.recording(space_id, "playback { url }")
    whole = await person.town.fetch(made["playback"]["url"].replace("index.m3u8", "programme.mp4"))
    assert whole.status_code == 200
    return whole.content


@pytest.mark.sqlite_file
@pytest.mark.long
async def test_an_installation_that_moved_knows_its_people_and_plays_its_recordings(
    tmp_path: Path, store: ObjectStore
) -> None:
    folder = tmp_path / "data"
    bucket = store.bucket()
    async with open_town(folder, quiet=True) as town:
        host, guest = await town.person("host"), await town.person("guest")
        await guest.do("follow", userId=host.id)
        space_id = await host.live_space(record=True)
        await host.do("endSpace", spaceId=space_id)
        await guest.do("shareSpace", spaceId=space_id, comment='"quoted" \\ and ünïcode')
        await town.round()
        before = await played(host, space_id)
    tables = {table.name: len(rows_of(folder / FILE, table.name)) for table in await moving.tables()}
    assert tables["follow"] == 1

    with databases.on("postgres"):
        settings = settings_for(folder, 1, database_url=databases.url(folder), **store.settings(bucket))
        assert await move(settings, Console(file=io.StringIO()))
        assert not (folder / FILE).exists()
        moved = {name: databases.read(folder, f"SELECT count(*) FROM {name}")[0][0] for name in tables}
        assert moved == tables

        async with open_town(folder, quiet=True, **store.settings(bucket)) as town:
            again = Person(town, token=host.token, id=host.id, handle="host")
            assert await played(again, space_id) == before
            other = await again.live_space(record=True)
            await again.do("endSpace", spaceId=other)
            seen = await Person(town, token=guest.token).read(
                "query { timeline(first: 10) { edges { node { comment } } } }"
            )
            assert len(seen["timeline"]["edges"]) == 3


async def moving_process(folder: Path, environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api.cli", "move"),
        env={**os.environ, **environment, "SPACES_DATA_DIR": str(folder), "PYTHONWARNINGS": "error"},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


def plain(row: tuple[Any, ...]) -> list[Any]:
    """A row of either database: ids as text, truth as a number, JSON in one order."""
    return [
        json.dumps(json.loads(value), sort_keys=True)
        if isinstance(value, str) and value[:1] in {"[", "{"}
        else str(value)
        if isinstance(value, UUID)
        else int(value)
        if isinstance(value, bool)
        else value
        for value in row
    ]


async def assert_every_row_is_the_same(folder: Path) -> None:
    """Every column of every table, read past the command."""
    for table in await moving.tables():
        columns = ", ".join(f'"{column}"' for column in table.columns)
        query = f'SELECT {columns} FROM "{table.name}"'
        with closing(sqlite3.connect(folder / MOVED)) as old:
            ours = [plain(tuple(row)) for row in old.execute(query)]
        theirs = [plain(row) for row in databases.read(folder, query)]
        assert sorted(map(repr, ours)) == sorted(map(repr, theirs)), table.name


def assert_every_byte_is_there(folder: Path, store: ObjectStore, bucket: str, ids: list[str]) -> None:
    """Every file of the spool is an object, and besides there are manifests alone."""
    kept = {
        page["Key"].removeprefix("talks/"): page["ETag"].strip('"')
        for found in store.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for page in found["Contents"]
    }
    spool = folder / "recordings"
    local = {
        path.relative_to(spool).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in spool.rglob("*")
        if path.is_file()
    }
    manifests = {name for name in kept if name.endswith("/manifest.json")}
    assert {name: digest for name, digest in kept.items() if name not in manifests} == local
    assert sorted(name.partition("/")[0] for name in manifests) == ids


def rows_there(folder: Path) -> int:
    """How many recordings the new database knows; none before its tables are made."""
    try:
        return int(databases.read(folder, "SELECT count(*) FROM recording")[0][0])
    except asyncpg.UndefinedTableError:
        return 0


async def killed_once(process: asyncio.subprocess.Process, condition: Callable[[], bool]) -> None:
    """SIGKILL, as soon as it has come so far."""
    while not await asyncio.to_thread(condition):
        assert process.returncode is None
        await asyncio.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    await process.communicate()


@pytest.mark.sqlite_file
@pytest.mark.starts_processes
@pytest.mark.long
@pytest.mark.parametrize("count", [200, 10_000])
@pytest.mark.usefixtures("patience")
async def test_a_move_that_is_killed_goes_on_where_it_was_and_brings_every_row_and_byte(
    tmp_path: Path, store: ObjectStore, count: int
) -> None:
    folder, bucket = tmp_path / "data", store.bucket()
    # The first start binds rows and folder to each other.
    async with open_town(folder, quiet=True):
        pass
    await make_recordings(folder, count)
    with databases.on("postgres"):
        settings = settings_for(folder, 1, database_url=databases.url(folder), **store.settings(bucket))
        environment = {
            "SPACES_DATABASE_URL": settings.database,
            "SPACES_STORE_URL": settings.store_url,
            "SPACES_STORE_ENDPOINT": settings.store_endpoint,
            "SPACES_STORE_KEY_ID": "test",
            "SPACES_STORE_SECRET": "secret",
        }
        store.tell("puts")
        await killed_once(await moving_process(folder, environment), lambda: rows_there(folder) > 0)
        puts = int(store.tell("puts"))

        def is_half_way() -> bool:
            nonlocal puts
            puts += int(store.tell("puts"))
            return puts > count * OBJECTS // 2

        await killed_once(await moving_process(folder, environment), is_half_way)
        last = await moving_process(folder, environment)
        printed, _ = await last.communicate()
        assert last.returncode == 0, printed.decode()
        puts += int(store.tell("puts"))

        await assert_every_row_is_the_same(folder)
        ids = sorted(str(row[0]) for row in databases.read(folder, "SELECT id FROM recording"))
        [(copied,)] = databases.read(
            folder, "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'recording'"
        )
    assert len(ids) == count
    assert_every_byte_is_there(folder, store, bucket, ids)
    # What was on its way when it was killed is all that was done again.
    assert copied <= count + BATCH
    assert puts <= (count + 2 * AT_ONCE) * OBJECTS
