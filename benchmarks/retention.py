"""What a round of the two clocks costs, by how many recordings there are: `python -m benchmarks.retention --json`.

Rows are made by bulk SQL; the 1,000 due ones have real files. A round over 1,000,000 recordings must cost at
most 1.5 times one over 10,000: what is not due must cost nothing.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from api.app import build_house
from api.engine import WatchedEngine
from api.settings import Settings
from api.work import no_engine
from models import database
from models.fields import to_ms
from models.recording import Recording
from services.clock import SystemClock
from services.house import House
from workers.timetable import Timetable

DUE = 1000
SIZES = (10_000, 1_000_000)
LIMIT = 1.5
_FILES = {"programme.mp4": 64_000, "programme.m3u8": 2_000, "peaks.bin": 400, "journal.jsonl": 300}
_RECORDINGS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
INSERT INTO recording (id, space_id, host_id, status, created_at, started_at, ended_at, duration_ms, size_bytes,
    gaps, start_offset_ms, play_count, share_count, policy_version, has_open_case, is_held, expires_at, gone_at,
    purge_at)
SELECT printf('00000000-0000-4000-8000-%012x', i), printf('00000000-0000-4000-9000-%012x', i), :host,
    CASE WHEN i <= :due THEN 'DELETED' WHEN i % 10 < 6 THEN 'AVAILABLE' WHEN i % 10 < 9 THEN 'PURGED'
        ELSE 'EXPIRED' END,
    :now, :now, :now, 60000, 66700, '[]', 0, 0, 0, 1, 0, 0, :now + :day * 20,
    CASE WHEN i <= :due OR i % 10 = 9 THEN :now - :day * 40 END,
    CASE WHEN i <= :due THEN :now - 60000 + i WHEN i % 10 = 9 THEN :now + :day * 10 END
FROM n
"""
_SPACES = """
INSERT INTO space (id, host_id, title, topics, state, created_at, started_at, ended_at, speaker_policy, clips_allowed,
    recording_enabled, participant_count, total_listener_count, peak_listener_count, event_sequence)
SELECT space_id, host_id, 'A talk', '[]', 'ENDED', created_at, created_at, created_at, 'RAISED_HAND', 1, 1, 0, 0, 0, 0
FROM recording
"""


async def measure(folder: Path, recordings: int) -> dict[str, Any]:
    """One round over so many recordings, 1,000 of them due."""
    settings = Settings(data_dir=folder, log_level="ERROR")
    await asyncio.to_thread(folder.mkdir)
    house = build_house(settings, clock=SystemClock(), engine=WatchedEngine(no_engine))
    await database.migrate(settings.database)
    await asyncio.to_thread(_fill, folder / "spaces.sqlite3", recordings, to_ms(house.clock.now()))
    await asyncio.to_thread(_write_files, house)
    await database.connect(settings.database)
    try:
        await house.policies.adopt(house.clock.now())
        worker = Timetable(house, interval_s=3600, owns_rooms=False)
        began, started_s = house.clock.now(), time.perf_counter()
        await worker.clocks()
        seconds = time.perf_counter() - started_s
        purged = await Recording.filter(purged_at__isnull=False).order_by("-purged_at").limit(DUE)
        left = await Recording.due(house.clock.now()).count()
        started_s = time.perf_counter()
        await worker.clocks()
        idle_s = time.perf_counter() - started_s
        last = purged[0]
        assert last.purged_at is not None
        return {
            "recordings": recordings,
            "due": DUE,
            "left": left,
            "round_seconds": round(seconds, 3),
            "purges_per_second": round(len(purged) / seconds, 1),
            "lateness_of_the_last_seconds": (last.purged_at - began).total_seconds(),
            "idle_round_ms": round(idle_s * 1000, 2),
            "plan": "; ".join(await _plan(house)),
        }
    finally:
        await database.close()


def _fill(path: Path, count: int, now_ms: int) -> None:
    day_ms = timedelta(days=1) // timedelta(milliseconds=1)
    with sqlite3.connect(path) as rows:
        rows.execute("PRAGMA synchronous=OFF")
        host = str(UUID(int=1))
        rows.execute(_RECORDINGS, {"count": count, "due": DUE, "host": host, "now": now_ms, "day": day_ms})
        rows.execute(_SPACES)
        rows.execute("ANALYZE")
    rows.close()


def _write_files(house: House) -> None:
    for number in range(1, DUE + 1):
        folder = house.recording_dir(UUID(f"00000000-0000-4000-8000-{number:012x}"))
        folder.mkdir()
        for name, size in _FILES.items():
            (folder / name).write_bytes(bytes(size))


async def _plan(house: House) -> list[str]:
    """How SQLite finds what is due."""
    connection = Recording._meta.db
    now = house.clock.now()
    queries = (
        Recording.due(now).values_list("id").sql(params_inline=True),
        Recording.expiring(now).values_list("id").sql(params_inline=True),
    )
    found: list[str] = []
    for query in queries:
        found += [row["detail"] for row in await connection.execute_query_dict(f"EXPLAIN QUERY PLAN {query}")]
    assert all(
        "USING" in line and "INDEX" in line for line in found if line.startswith(("SCAN", "SEARCH"))
    ), found
    return found


async def run(
    say: Callable[[str], None] = lambda _doing: None, *, sizes: Sequence[int] = SIZES
) -> dict[str, list[dict[str, Any]]]:
    """Every size, and what the largest costs in terms of the smallest."""
    rounds = []
    with tempfile.TemporaryDirectory(prefix="spaces-bench-") as folder:
        for size in sizes:
            say(f"{size} recordings")
            rounds.append(await measure(Path(folder) / str(size), size))
    ratio = rounds[-1]["round_seconds"] / rounds[0]["round_seconds"]
    return {"rounds": rounds, "ratio": [{"database": "sqlite", "ratio": round(ratio, 2), "limit": LIMIT}]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 when the limit is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retention", description=__doc__)
    parser.add_argument("--json", action="store_true", help="on one line")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    wanted = parser.parse_args(arguments)
    found = asyncio.run(run(sizes=wanted.sizes))
    print(json.dumps(found, indent=None if wanted.json else 2))
    return int(found["ratio"][0]["ratio"] > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
