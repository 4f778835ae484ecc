"""What a round of the two clocks costs, by how many recordings there are, on both databases.

`python -m benchmarks retention --json`. Rows are copied by SQL from one that the models made; the 1,000 due ones
have real files. A round over 1,000,000 recordings must cost at most 1.5 times one over 10,000: what is not due
must cost nothing. The middle one of three rounds counts.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch
from uuid import UUID

from tortoise.models import Model

from api.engine import WatchedEngine
from api.running import build_house
from api.settings import Settings
from api.work import no_engine
from models import database
from models.fields import to_ms
from models.recording import Recording, RecordingStatus
from models.space import Space, SpaceState
from services.changes import new_id
from services.clock import SystemClock
from services.house import House
from tests.product import postgres
from tests.product.postgres import Postgres
from workers.timetable import Timetable

DUE, ROUNDS = 1000, 3
SIZES = (10_000, 1_000_000)
LIMIT = 1.5
_DAY = timedelta(days=1)
_BATCH = 100_000
_FILES = {"programme.mp4": 64_000, "programme.m3u8": 2_000, "peaks.bin": 400, "journal.jsonl": 300}
_SPACE, _RECORDING = "00000000-0000-4000-9000-", "00000000-0000-4000-8000-"
# As an operator runs it: what was answered is on disk.
_DURABLE = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on"}


class Sqlite:
    """Rows in a file."""

    name = "sqlite"
    series = "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})"
    explain = "EXPLAIN QUERY PLAN"

    def __init__(self, folder: Path) -> None:
        self._file = folder / "spaces.sqlite3"
        self.url = ""

    def number(self, prefix: str) -> str:
        """The id of the row with number `i`."""
        return f"printf('{prefix}%012x', n.i)"

    def run(self, *statements: str) -> None:
        """Run statements past the models, without waiting for the disk."""
        with closing(sqlite3.connect(self._file)) as rows, rows:
            rows.execute("PRAGMA synchronous=OFF")
            for statement in statements:
                rows.execute(statement)

    def settle(self) -> None:
        """Let the planner know what there is."""
        self.run("ANALYZE")


class OnPostgres:
    """Rows in a database of a server of our own."""

    name = "postgres"
    series = "WITH n(i) AS (SELECT generate_series({first}, {last}))"
    explain = "EXPLAIN"

    def __init__(self, server: Postgres, name: str) -> None:
        self._server, self._name = server, name
        server.run(f"CREATE DATABASE {name}")
        self.url = server.url(name)

    def number(self, prefix: str) -> str:
        """The id of the row with number `i`."""
        return f"CAST('{prefix}' || lpad(to_hex(n.i), 12, '0') AS uuid)"

    def run(self, *statements: str) -> None:
        """Run statements past the models."""
        self._server.run(*statements, database=self._name)

    def settle(self) -> None:
        """Let the planner know what there is."""
        self.run("VACUUM ANALYZE recording", "VACUUM ANALYZE space", "CHECKPOINT")


Rows = Sqlite | OnPostgres


@asynccontextmanager
async def opened(folder: Path, rows: Rows, count: int) -> AsyncIterator[House]:
    """A house with so many recordings, none of them due."""
    settings = Settings(data_dir=folder, database_url=rows.url, log_level="ERROR")
    house = build_house(settings, clock=SystemClock(), engine=WatchedEngine(no_engine))
    await database.migrate(settings.database)
    await database.connect(settings.database)
    try:
        await house.policies.adopt(house.clock.now())
        await _fill(rows, count, house.clock.now())
        yield house
    finally:
        await database.close()


async def _fill(rows: Rows, count: int, now: datetime) -> None:
    """Six in ten are public, three purged, one expired and under review."""
    space = await Space.create(
        id=new_id(), host_id=new_id(), title="A talk", state=SpaceState.ENDED, created_at=now, ended_at=now
    )
    recording = await Recording.create(
        id=new_id(), space_id=space.id, host_id=space.host_id, status=RecordingStatus.PURGED, created_at=now,
        started_at=now, ended_at=now, expires_at=now + 20 * _DAY, duration_ms=60_000, size_bytes=66_700,
        policy_version=1,
    )  # fmt: skip
    gone, due = to_ms(now - 20 * _DAY), to_ms(now + 10 * _DAY)
    status = "CASE WHEN n.i % 10 < 6 THEN 'AVAILABLE' WHEN n.i % 10 < 9 THEN 'PURGED' ELSE 'EXPIRED' END"
    other = {
        "id": rows.number(_RECORDING),
        "space_id": rows.number(_SPACE),
        "status": status,
        "gone_at": f"CASE WHEN n.i % 10 = 9 THEN {gone} END",
        "purge_at": f"CASE WHEN n.i % 10 = 9 THEN {due} END",
    }
    for first in range(1, count + 1, _BATCH):
        last = min(first + _BATCH - 1, count)
        series = rows.series.format(first=first, last=last)
        spaces = _copies(Space, space.id, {"id": rows.number(_SPACE)}, series)
        await asyncio.to_thread(rows.run, spaces, _copies(Recording, recording.id, other, series))
    await asyncio.to_thread(rows.settle)


def _copies(model: type[Model], like: UUID, other: dict[str, str], series: str) -> str:
    """Copies of a row, a number each, with other values in some columns."""
    columns = list(model._meta.fields_db_projection.values())
    values = ", ".join(other.get(column, f"t.{column}") for column in columns)
    table = model._meta.db_table
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) {series}"
        f" SELECT {values} FROM {table} t, n WHERE t.id = '{like}'"
    )


async def make_due(house: House, first: int) -> None:
    """The next 1,000 recordings, deleted 40 days ago, with files."""
    ids = [UUID(f"{_RECORDING}{number:012x}") for number in range(first, first + DUE)]
    now = house.clock.now()
    await Recording.filter(id__in=ids).update(
        status=RecordingStatus.DELETED, gone_at=now - 40 * _DAY, purge_at=now - timedelta(minutes=1)
    )
    await asyncio.to_thread(_write_files, house, ids)


def _write_files(house: House, ids: Sequence[UUID]) -> None:
    for one in ids:
        folder = house.recording_dir(one)
        folder.mkdir()
        for name, size in _FILES.items():
            (folder / name).write_bytes(bytes(size))


async def measure(folder: Path, rows: Rows, recordings: int) -> dict[str, Any]:
    """The middle one of three rounds over so many recordings, 1,000 of them due each time."""
    async with opened(folder, rows, recordings) as house:
        worker = Timetable(house, interval_s=3600, owns_rooms=False)
        found = sorted([await _round(house, worker, 1 + n * DUE) for n in range(ROUNDS)])
        seconds, late_s = found[ROUNDS // 2]
        idle_ms = []
        for _ in range(5):
            started_s = time.perf_counter()
            await worker.clocks()
            idle_ms.append((time.perf_counter() - started_s) * 1000)
        return {
            "database": rows.name,
            "recordings": recordings,
            "due": DUE,
            "round_seconds": round(seconds, 3),
            "purges_per_second": round(DUE / seconds, 1),
            "lateness_of_the_last_seconds": round(late_s, 3),
            "idle_round_ms": round(median(idle_ms), 2),
            "plan": "; ".join(await _plan(house, rows)),
        }


async def _round(house: House, worker: Timetable, first: int) -> tuple[float, float]:
    """How long it took, and how long after its beginning the last one was purged, in seconds."""
    await make_due(house, first)
    began, started_s = house.clock.now(), time.perf_counter()
    await worker.clocks()
    seconds = time.perf_counter() - started_s
    assert not await Recording.due(house.clock.now()).exists()
    last = await Recording.filter(purged_at__isnull=False).order_by("-purged_at").first()
    assert last is not None
    assert last.purged_at is not None
    return seconds, (last.purged_at - began).total_seconds()


async def _plan(house: House, rows: Rows) -> list[str]:
    """How the database finds what is due."""
    connection, now = Recording._meta.db, house.clock.now()
    found: list[str] = []
    for query in (Recording.due(now), Recording.expiring(now)):
        sql = query.values_list("id").sql(params_inline=True)
        plan = await connection.execute_query_dict(f"{rows.explain} {sql}")
        found += [str(row.get("detail") or row.get("QUERY PLAN")).strip() for row in plan]
    return [line for line in found if "Scan" in line or line[:1] == "S"]


def measure_alone(kind: str, recordings: int) -> dict[str, Any]:
    """In a process that has known no other database: the ORM keeps the statements of the first."""
    with tempfile.TemporaryDirectory(prefix="spaces-bench-") as name:
        folder = Path(name)
        if kind == Sqlite.name:
            return asyncio.run(measure(folder, Sqlite(folder), recordings))
        with patch.dict(postgres._OPTIONS, _DURABLE):
            server = Postgres()
        try:
            return asyncio.run(measure(folder, OnPostgres(server, "bench"), recordings))
        finally:
            server.remove()


async def _in_a_process(kind: str, recordings: int) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.retention", kind, str(recordings)), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(printed)
    return found


async def run(
    say: Callable[[str], None] = lambda _doing: None, *, sizes: Sequence[int] = SIZES
) -> dict[str, list[dict[str, Any]]]:
    """Every size on each database, and what the largest costs in terms of the smallest."""
    rounds: list[dict[str, Any]] = []
    for kind in (Sqlite.name, OnPostgres.name):
        for size in sizes:
            say(f"{size} recordings on {kind}")
            rounds.append(await _in_a_process(kind, size))
    return {"rounds": rounds, "ratio": [_ratio(kind, rounds) for kind in (Sqlite.name, OnPostgres.name)]}


def _ratio(name: str, rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    seconds = [one["round_seconds"] for one in rounds if one["database"] == name]
    ratio = round(seconds[-1] / seconds[0], 2)
    return {"database": name, "ratio": ratio, "limit": LIMIT, "holds": ratio <= LIMIT}


if __name__ == "__main__":
    print(json.dumps(measure_alone(sys.argv[1], int(sys.argv[2]))))
