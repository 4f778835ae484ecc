"""Workers in processes of their own, which can be cut off at any border of a purge.

`python -m tests.product.purger FOLDER crash|race [COUNT]` prints what came of it as JSON. One process imports
everything and forks for each worker, for a start takes longer than what is tested.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from api.engine import WatchedEngine
from api.running import build_house
from api.work import no_engine
from models import database
from models.fields import to_ms
from models.recording import Recording, RecordingStatus
from models.space import Space, SpaceState
from services import audit
from services.changes import new_id
from services.house import House
from services.purge import Border
from services.retention import begin_review
from tests.product.databases import databases
from tests.product.quiet_engine import write_recording
from tests.product.town import MovableClock, settings_for
from workers.timetable import Timetable

LEASE = timedelta(seconds=1)
CRASHED = 9


@asynccontextmanager
async def opened(data_dir: Path, clock: MovableClock, border: Callable[[str], None]) -> AsyncIterator[House]:
    """A house with its database, without a server."""
    settings = settings_for(data_dir, 1)
    house = build_house(settings, clock=clock, engine=WatchedEngine(no_engine))
    house = replace(house, border=border, rules=replace(house.rules, lease_for=LEASE))
    await database.connect(settings.database)
    await house.policies.adopt(clock.now())
    try:
        yield house
    finally:
        await database.close()


async def make_deleted(house: House) -> Recording:
    """A recording that its host has deleted just now, with its files."""
    now = house.clock.now()
    space = Space(
        id=new_id(), host_id=new_id(), title="A talk", state=SpaceState.ENDED, created_at=now, ended_at=now
    )
    await space.save(force_create=True)
    recording = Recording(
        id=new_id(), space_id=space.id, host_id=space.host_id, status=RecordingStatus.DELETED,
        created_at=now, ended_at=now, expires_at=now + timedelta(days=30), policy_version=1,
    )  # fmt: skip
    facts = write_recording(house.recording_dir(recording.id), at_ms=to_ms(now))
    recording.size_bytes, recording.duration_ms = facts.size_bytes, facts.duration_ms
    begin_review(recording, house.policies.of(recording), now)
    await recording.save(force_create=True)
    return recording


def in_a_process(work: Coroutine[Any, Any, None]) -> int:
    """Fork a process that does the work; its id."""
    child = os.fork()
    if not child:
        try:
            asyncio.run(work)
        except BaseException:  # noqa: BLE001 (a fork must never return into its parent's code)
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    work.close()
    return child


def ended(process: int) -> int:
    """The exit status of a process of ours."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


async def prepare(data_dir: Path, count: int) -> None:
    """So many deleted recordings, and the key that their receipts will be signed with."""
    async with opened(data_dir, MovableClock(), lambda _border: None) as house:
        house.signer.jwks()
        for _ in range(count):
            await make_deleted(house)


async def work(
    data_dir: Path,
    *,
    die_at: str = "",
    die_after: int = 1,
    until_done: bool = False,
    under_way: Callable[[], None] = lambda: None,
) -> None:
    """A worker 31 days later: one round, or rounds until nothing is due. `under_way` hears of each border."""
    left = die_after

    def border(name: str) -> None:
        nonlocal left
        under_way()
        if name == die_at:
            left -= 1
            if not left:
                os._exit(CRASHED)

    clock = MovableClock()
    clock.move(timedelta(days=31))
    async with opened(data_dir, clock, border) as house:
        while True:
            await Timetable(house, interval_s=1, owns_rooms=False).round()
            if not until_done or not await Recording.due(clock.now()).exists():
                break
            await asyncio.sleep(0.1)
        verdict = await audit.verify(house.audit_head)
        assert verdict.problem is None, verdict


def outcome(data_dir: Path) -> dict[str, Any]:
    """What is left in database, store and journal."""

    def read(query: str) -> list[Any]:
        return databases.read(data_dir, query)

    found = {
        "purged": read("SELECT count(*) FROM recording WHERE status = 'PURGED' AND purge_at IS NULL")[0][0],
        "entries": read("SELECT count(*) FROM audit_entry WHERE action = 'recording.purged'")[0][0],
        "entries of one": read(
            "SELECT max(n) FROM (SELECT count(*) n FROM audit_entry WHERE action = 'recording.purged'"
            " GROUP BY subject_id)"
        )[0][0],
        "receipts": read("SELECT count(*) FROM purge_receipt")[0][0],
        "bytes": sorted({row[0] for row in read("SELECT size_bytes FROM purge_receipt")}),
        "leases": read("SELECT count(*) FROM recording WHERE lease_owner IS NOT NULL")[0][0],
        "events": read("SELECT count(*) FROM space_event")[0][0],
    }
    documents = {row[0] for row in read("SELECT document FROM purge_receipt")}
    found["kept"] = set((data_dir / "receipts.jws").read_text().split()) == documents
    found["files"] = len(list((data_dir / "recordings").rglob("*")))
    return found


def crash(folder: Path) -> dict[str, Any]:
    """For each border, a worker that is cut off there and one that comes after it; and one that is not cut off."""
    found = {}
    for die_at in ["", *Border]:
        data_dir = folder / (die_at or "uncrashed").replace(" ", "-")
        assert ended(in_a_process(prepare(data_dir, 2))) == 0
        status = ended(in_a_process(work(data_dir, die_at=die_at)))
        assert ended(in_a_process(work(data_dir, until_done=True))) == 0
        found[str(die_at)] = {"status": status, **outcome(data_dir)}
    return found


def race(folder: Path, count: int) -> dict[str, Any]:
    """Three workers over one database; one is cut off half-way with what it had leased."""
    data_dir = folder / "race"
    assert ended(in_a_process(prepare(data_dir, count))) == 0
    started_s = time.monotonic()
    begun = folder / "begun"
    killed = in_a_process(work(data_dir, die_at=Border.EMPTIED, die_after=count // 10, under_way=begun.touch))
    # Were all to start at once, the other two might leave the one nothing to be cut off in.
    while not begun.exists() and time.monotonic() < started_s + 60:
        time.sleep(0.005)
    others = [in_a_process(work(data_dir, until_done=True)) for _ in range(2)]
    status = ended(killed)
    assert [ended(one) for one in others] == [0, 0]
    return {"status": status, "seconds": time.monotonic() - started_s, **outcome(data_dir)}


if __name__ == "__main__":
    _, where, what, *rest = sys.argv
    print(json.dumps(crash(Path(where)) if what == "crash" else race(Path(where), int(rest[0]))))
