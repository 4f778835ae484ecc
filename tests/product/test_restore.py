"""The dead stay dead after a restore, and rows and store are held against each other."""

import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.audit_entry import AuditEntry
from models.purge_receipt import PurgeReceipt
from models.recording import Recording, RecordingStatus
from models.report import Report
from services import audit
from services.house import House
from services.reconcile import reconcile
from services.restore import after_restore
from tests.product.court import spaces
from tests.product.purger import make_deleted, opened
from tests.product.town import MovableClock
from workers.timetable import Timetable

DAY = timedelta(days=1)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def house(tmp_path: Path, clock: MovableClock) -> AsyncIterator[House]:
    async with opened(tmp_path / "data", clock, lambda _border: None) as made:
        yield made


async def found(house: House) -> list[tuple[str, bool]]:
    return [(finding.kind, finding.mended) for finding in await reconcile(house)]


@pytest.mark.starts_processes
@pytest.mark.parametrize(
    "before",
    [{}, {"status": "AVAILABLE", "gone_at": None, "purge_at": None}, {"is_held": True, "purge_at": None}],
)
async def test_what_a_backup_brings_back_is_purged_again_once(
    tmp_path: Path, clock: MovableClock, before: dict[str, Any]
) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    async with opened(data, clock, lambda _border: None) as house:
        recording = await make_deleted(house)
        await Recording.all().update(**before)
        await Timetable(house, interval_s=1, owns_rooms=False).round()
        with sqlite3.connect(data / "spaces.sqlite3") as live, sqlite3.connect(backup) as copy:
            live.backup(copy)
        live.close()
        copy.close()
        shutil.copytree(data / "recordings", tmp_path / "files")
        await Recording.all().update(
            status="DELETED", is_held=False, gone_at=clock.now(), purge_at=clock.now() + 30 * DAY
        )
        clock.move(30 * DAY)
        await Timetable(house, interval_s=1, owns_rooms=False).round()
        receipt = await PurgeReceipt.get()
    for name in ("spaces.sqlite3", "spaces.sqlite3-wal", "spaces.sqlite3-shm"):
        (data / name).unlink(missing_ok=True)
    shutil.copy(backup, data / "spaces.sqlite3")
    shutil.copytree(tmp_path / "files", data / "recordings", dirs_exist_ok=True)

    status, printed = await spaces(data, "retention", "after-restore")

    assert (status, "restored although purged" in printed) == (0, True), printed
    async with opened(data, clock, lambda _border: None) as house:
        row = await Recording.get(id=recording.id)
        assert (row.status, row.purge_at, row.is_held) == (RecordingStatus.PURGED, None, False)
        assert list((data / "recordings").iterdir()) == []
        assert (await PurgeReceipt.get()).document == receipt.document
        assert await AuditEntry.filter(action="recording.purged").count() == 1
        await Timetable(house, interval_s=1, owns_rooms=False).round()
        assert (await audit.verify(house.audit_head)).problem is None
        assert await after_restore(house) == []


async def test_a_torn_line_of_the_journal_is_told_and_stops_nothing(house: House, tmp_path: Path) -> None:
    (tmp_path / "data" / "receipts.jws").write_text("eyJhbGciOi\n")
    assert [finding.kind for finding in await after_restore(house)] == ["line of the journal is no receipt"]


async def test_a_house_in_order_has_no_findings(house: House, clock: MovableClock) -> None:
    await make_deleted(house)
    purged = await make_deleted(house)
    await Recording.filter(id=purged.id).update(purge_at=clock.now() - DAY, gone_at=clock.now() - 40 * DAY)
    await Timetable(house, interval_s=1, owns_rooms=False).round()
    assert await found(house) == []


async def test_bytes_without_a_recording_are_told_once_they_are_old_and_kept(house: House) -> None:
    stray = house.recordings_dir / "stray"
    stray.mkdir()
    assert await found(house) == []
    os.utime(stray, (time.time() - 600, time.time() - 600))
    assert await found(house) == [("bytes without a recording", False)]
    assert stray.exists()
    assert house.findings == {"bytes without a recording": 1}


async def test_what_is_missing_astray_or_without_a_clock_is_found(house: House, clock: MovableClock) -> None:
    bytes_gone, no_clock, leased, case = [await make_deleted(house) for _ in range(4)]
    shutil.rmtree(house.recording_dir(bytes_gone.id))
    await Recording.filter(id=no_clock.id).update(purge_at=None, gone_at=None, expires_at=None)
    await Recording.filter(id=leased.id).update(lease_owner="x", lease_until=clock.now() - DAY)
    await Recording.filter(id=case.id).update(has_open_case=True)

    assert await found(house) == [
        ("recording without bytes", False),
        ("lease ran out", True),
        ("recording without a clock", True),
        ("case without report or appeal", True),
    ]
    mended = await Recording.get(id=no_clock.id)
    assert mended.expires_at is not None
    assert mended.purge_at == mended.expires_at + 30 * DAY
    assert await found(house) == [("recording without bytes", False)]
    assert await Report.all().count() == 0


async def test_bytes_of_the_purged_and_files_of_the_failed_go(house: House, clock: MovableClock) -> None:
    purged, failed = await make_deleted(house), await make_deleted(house)
    await Recording.filter(id=purged.id).update(status="PURGED")
    await Recording.filter(id=failed.id).update(status="FAILED", started_at=None)
    assert sorted(await found(house)) == [
        ("purged recording had bytes", True),
        ("purged without a receipt", False),
        ("recording without audio had files", True),
    ]
    assert list(house.recordings_dir.iterdir()) == []


async def test_a_lost_journal_of_receipts_is_written_anew(
    house: House, clock: MovableClock, tmp_path: Path
) -> None:
    await make_deleted(house)
    clock.move(31 * DAY)
    await Timetable(house, interval_s=1, owns_rooms=False).round()
    (tmp_path / "data" / "receipts.jws").unlink()
    assert await found(house) == [("journal of receipts was missing", True)]
    assert house.receipts.kept() == [(await PurgeReceipt.get()).document]


async def test_the_worker_reconciles_at_its_start_and_once_a_day(house: House) -> None:
    class Ticking(MovableClock):
        seconds = 0.0

        def monotonic(self) -> float:
            return self.seconds

    from dataclasses import replace

    clock = Ticking()
    worker = Timetable(replace(house, clock=clock), interval_s=1, owns_rooms=False)
    stray = house.recordings_dir / "stray"
    stray.mkdir()
    os.utime(stray, (time.time() - 600, time.time() - 600))
    for seconds, times in ((0, 1), (86_399, 1), (86_400, 2)):
        clock.seconds = float(seconds)
        await worker.round()
        assert house.findings["bytes without a recording"] == times
