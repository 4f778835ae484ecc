"""An embedded installation moves to PostgreSQL and an object store, and nobody who uses it loses anything."""

import asyncio
import hashlib
import io
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from api.move_command import FILE, move
from models import moving
from tests.product.court import ROOT
from tests.product.databases import databases
from tests.product.s3 import ObjectStore
from tests.product.stored import make_recordings
from tests.product.town import Person, open_town, settings_for


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


@pytest.mark.sqlite_file
@pytest.mark.starts_processes
@pytest.mark.long
@pytest.mark.parametrize("count", [200, 10_000])
@pytest.mark.usefixtures("patience")
async def test_a_move_that_is_killed_goes_on_and_brings_every_row_and_byte(
    tmp_path: Path, store: ObjectStore, count: int
) -> None:
    folder, bucket = tmp_path / "data", store.bucket()
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
        store.tell("count")
        first = await moving_process(folder, environment)
        while int(store.tell("count")) == 0:
            assert first.returncode is None
            await asyncio.sleep(0.05)
        requests = 0
        while requests < count * 4:
            assert first.returncode is None
            await asyncio.sleep(0.05)
            requests += int(store.tell("count"))
        first.send_signal(signal.SIGKILL)
        await first.communicate()

        second = await moving_process(folder, environment)
        printed, _ = await second.communicate()
        assert second.returncode == 0, printed.decode()

        ids = sorted(str(row[0]) for row in databases.read(folder, "SELECT id FROM recording"))
        gaps = databases.read(folder, "SELECT count(DISTINCT gaps::text) FROM recording")[0][0]
    assert (len(ids), gaps) == (count, count)
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
