"""The purge: cut off anywhere, raced, with the clock astray; what comes of it is the same."""

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.audit_entry import AuditEntry
from models.recording import Recording, RecordingStatus
from services import purge
from services.clock import VouchedClock
from services.house import House
from services.inventory import Folders, Inventory, left_of, take_inventory
from services.purge import Border
from services.retention import deadlines
from tests.product.court import ROOT
from tests.product.purger import CRASHED, make_deleted, opened
from tests.product.town import MovableClock
from workers.timetable import Timetable

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


async def purger(*arguments: str, program: str = "purger") -> Any:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"tests.product.{program}", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(printed.splitlines()[-1])


@pytest.mark.long
async def test_a_worker_killed_at_any_border_changes_nothing_in_the_end(tmp_path: Path) -> None:
    found = await purger(str(tmp_path), "crash")

    uncrashed = found.pop("")
    assert (uncrashed["purged"], uncrashed["files"], uncrashed["kept"]) == (2, 0, True)
    assert uncrashed.pop("status") == 0
    assert {name: one.pop("status") for name, one in found.items()} == dict.fromkeys(Border, CRASHED)
    assert found == dict.fromkeys(Border, uncrashed)


@pytest.mark.starts_processes
@pytest.mark.needs_strace
@pytest.mark.sqlite_file
@pytest.mark.long
@pytest.mark.parametrize("how_many", ["few", "all"])
async def test_a_worker_killed_at_any_call_that_reaches_the_disk_changes_nothing_in_the_end(
    tmp_path: Path, how_many: str
) -> None:
    found = await purger(str(tmp_path), how_many, program="stracer")

    assert len(found["crashed"]) == 2 if how_many == "few" else len(found["crashed"]) > 15
    for where, was_killed, left in found["crashed"]:
        assert was_killed, where
        assert left == found["uncrashed"], where


@pytest.mark.starts_processes
@pytest.mark.parametrize("count", [30, pytest.param(2000, marks=pytest.mark.long)])
async def test_workers_share_a_database_without_double_work_and_take_over_from_a_killed_one(
    tmp_path: Path, count: int
) -> None:
    found = await purger(str(tmp_path), "race", str(count))

    assert found["status"] == CRASHED
    assert [found[name] for name in ("purged", "entries", "receipts", "events")] == [count] * 4
    assert (found["entries of one"], found["leases"], found["files"], found["kept"]) == (1, 0, 0, True)


class Hands(MovableClock):
    """Wall and monotonic clock, both moved by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = datetime(2027, 3, 27, 12, tzinfo=UTC)
        self.passed_s = 0.0

    def monotonic(self) -> float:
        return self.passed_s

    def leap(self, by: timedelta) -> None:
        assert self.frozen is not None
        self.frozen += by

    def pass_(self, by: timedelta) -> None:
        self.leap(by)
        self.passed_s += by.total_seconds()


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
async def house(tmp_path: Path, clock: Hands) -> AsyncIterator[House]:
    async with opened(tmp_path / "data", clock, lambda _border: None) as made:
        yield made


def worker(house: House) -> Timetable:
    return Timetable(house, interval_s=1, owns_rooms=False)


async def status(recording: Recording) -> str:
    return (await Recording.get(id=recording.id)).status


@pytest.mark.parametrize("leap", [HOUR, 40 * DAY])
async def test_a_leap_of_the_clock_ahead_and_back_purges_nothing_early(
    house: House, clock: Hands, leap: timedelta
) -> None:
    recording = await make_deleted(house)
    clock.pass_(30 * DAY - HOUR + timedelta(minutes=2))
    steady = worker(house)
    for by in (leap, -leap, -leap, leap):
        clock.leap(by)
        await steady.round()
        assert await status(recording) == "DELETED"
    clock.pass_(HOUR)
    await steady.round()
    assert await status(recording) == "PURGED"


async def test_a_leap_expires_nothing_early_either(house: House, clock: Hands) -> None:
    recording = await make_deleted(house)
    await Recording.all().update(status=RecordingStatus.AVAILABLE, gone_at=None, purge_at=None)
    steady = worker(house)
    clock.leap(40 * DAY)
    await steady.round()
    assert await status(recording) == "AVAILABLE"


async def test_a_leap_that_stands_is_believed_after_an_hour(house: House, clock: Hands) -> None:
    recording = await make_deleted(house)
    steady = worker(house)
    clock.leap(40 * DAY)
    for _ in range(4):
        await steady.round()
        assert await status(recording) == "DELETED"
        clock.pass_(timedelta(minutes=15))
    await steady.round()
    assert await status(recording) == "PURGED"


def test_the_vouched_clock_follows_small_steps_and_leaps_back_at_once(clock: Hands) -> None:
    vouched = VouchedClock(clock, believed_after=HOUR)
    clock.leap(timedelta(minutes=1))
    assert (vouched.now(), vouched.leap) == (clock.now(), timedelta(0))
    clock.leap(-40 * DAY)
    assert vouched.now() == clock.now()
    clock.leap(40 * DAY + timedelta(minutes=1, milliseconds=1))
    assert vouched.now() < clock.now()
    clock.leap(timedelta(milliseconds=-1))
    assert vouched.now() == clock.now()


def test_a_change_to_summer_time_moves_no_deadline(monkeypatch: pytest.MonkeyPatch, clock: Hands) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        gone_at = datetime(2027, 3, 27, 12, tzinfo=UTC)
        row = Recording(status=RecordingStatus.DELETED, gone_at=gone_at, policy_version=1)
        from services.rules import RetentionPolicy

        due = deadlines(row, RetentionPolicy(), gone_at).purge_at
        assert due is not None
        assert due - gone_at == 720 * HOUR
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_a_lease_from_a_time_to_which_the_clock_had_leapt_stops_nobody(
    house: House, clock: Hands
) -> None:
    recording = await make_deleted(house)
    clock.pass_(30 * DAY)
    await Recording.all().update(lease_owner="astray", lease_until=clock.now() + 40 * DAY)
    await worker(house).round()
    assert await status(recording) == "PURGED"


async def test_a_lease_that_is_held_is_respected_until_it_runs_out(house: House, clock: Hands) -> None:
    recording = await make_deleted(house)
    clock.pass_(30 * DAY)
    assert await purge.claim(house, "other", now=clock.now(), most=5) == [recording.id]
    assert await purge.claim(house, "mine", now=clock.now(), most=5) == []
    assert not await purge.purge(house, recording.id, "mine", now=clock.now())
    clock.pass_(house.rules.lease_for)
    assert await purge.claim(house, "mine", now=clock.now(), most=5) == [recording.id]
    assert not await purge.purge(house, recording.id, "other", now=clock.now())
    assert await purge.purge(house, recording.id, "mine", now=clock.now())


@pytest.mark.parametrize("change", [{"is_held": True}, {"has_open_case": True}])
async def test_a_hold_or_a_case_between_claim_and_purge_saves_the_copy(
    house: House, clock: Hands, change: dict[str, Any]
) -> None:
    recording = await make_deleted(house)
    clock.pass_(30 * DAY)
    await purge.claim(house, "mine", now=clock.now(), most=5)
    await Recording.all().update(**change)
    assert not await purge.purge(house, recording.id, "mine", now=clock.now())
    assert house.recording_dir(recording.id).exists()
    row = await Recording.get(id=recording.id)
    assert (row.lease_owner, row.is_condemned) == (None, False)
    assert row.purge_at == deadlines(row, house.policies.of(row), clock.now()).purge_at


async def test_what_cannot_be_removed_is_not_told_as_purged_and_holds_up_nobody(
    house: House, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = await make_deleted(house), await make_deleted(house)
    clock.pass_(30 * DAY)
    remove = Folders.remove

    def half(self: Folders, recording_id: Any, **arguments: Any) -> None:
        if recording_id != stuck.id:
            remove(self, recording_id, **arguments)

    monkeypatch.setattr(Folders, "remove", half)
    await worker(house).round()
    assert (await status(stuck), await status(other)) == ("DELETED", "PURGED")
    monkeypatch.undo()
    clock.pass_(house.rules.lease_for)
    await worker(house).round()
    assert await status(stuck) == "PURGED"
    assert await AuditEntry.filter(action="recording.purged").count() == 2


def test_the_inventory_counts_every_file_and_follows_no_link_out_of_the_store(tmp_path: Path) -> None:
    from uuid import UUID

    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("keep me")
    one = UUID(int=1)
    folder = tmp_path / "store" / str(one)
    (folder / "tracks" / "deep").mkdir(parents=True)
    (folder / "tracks" / "deep" / "a.opus").write_bytes(b"abc")
    (folder / "link").symlink_to(outside)
    (folder / "dangling").symlink_to(tmp_path / "nowhere")
    places = [Folders(tmp_path / "store")]

    digests = "".join(sorted(hashlib.sha256(data).hexdigest() for data in (b"abc", b"", b"")))
    whole = hashlib.sha256(digests.encode()).hexdigest()
    assert take_inventory(places, one) == Inventory(size_bytes=3, sha256=whole)
    assert len(left_of(places, one)) == 3
    places[0].remove(one, step=lambda: None)
    assert left_of(places, one) == []
    assert (outside / "precious").read_text() == "keep me"
    places[0].remove(one, step=lambda: None)


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "empty folder"])
def test_anything_in_the_place_of_a_recording_is_found_and_removed(tmp_path: Path, kind: str) -> None:
    from uuid import UUID

    one, places = UUID(int=1), [Folders(tmp_path)]
    path = tmp_path / str(one)
    match kind:
        case "file":
            path.write_text("x")
        case "link":
            path.symlink_to(ROOT)
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case _:
            path.mkdir()
    assert left_of(places, one) == [str(one)]
    places[0].remove(one, step=lambda: None)
    assert not os.path.lexists(path)
