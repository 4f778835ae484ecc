"""The dead stay dead after a restore, and rows and store are held against each other."""

import os
import shutil
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
from models.space_event import SpaceEvent
from services import audit
from services.house import House
from services.reconcile import Finding, reconcile
from services.restore import after_restore
from tests.product.court import spaces
from tests.product.databases import databases
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


async def purged_since(
    data: Path, clock: MovableClock, before: dict[str, Any], *, brings: str
) -> tuple[Recording, PurgeReceipt]:
    """A recording that was purged after a backup, and the backup put back: `rows`, `files`, both or `older` rows."""
    backup, files = data.parent / "backup", data.parent / "files"
    async with opened(data, clock, lambda _border: None) as house:
        if "older" in brings:
            databases.back_up(data, backup)
        recording = await make_deleted(house)
        await Recording.all().update(**before)
        await Timetable(house, interval_s=1, owns_rooms=False).round()
        if "older" not in brings:
            databases.back_up(data, backup)
        shutil.copytree(data / "recordings", files)
        await Recording.all().update(
            status="DELETED", is_held=False, gone_at=clock.now(), purge_at=clock.now() + 30 * DAY
        )
        clock.move(30 * DAY)
        await Timetable(house, interval_s=1, owns_rooms=False).round()
        receipt = await PurgeReceipt.get()
    if "rows" in brings:
        databases.restore(data, backup)
    if "files" in brings:
        shutil.copytree(files, data / "recordings", dirs_exist_ok=True)
    return recording, receipt


AGAIN = "restored although purged"
LIVE = {"status": "RECORDING", "gone_at": None, "purge_at": None, "ended_at": None, "expires_at": None}


@pytest.mark.parametrize("brings", ["rows", "rows and files"])
@pytest.mark.parametrize(
    "before",
    [
        {},
        {"status": "TAKEN_DOWN"},
        {"status": "AVAILABLE", "gone_at": None, "purge_at": None},
        {"is_held": True, "purge_at": None},
        {"has_open_case": True},
        LIVE,
    ],
    ids=["deleted", "taken-down", "available", "held", "reported", "unfinished"],
)
async def test_what_a_backup_brings_back_is_purged_again_once(
    tmp_path: Path, clock: MovableClock, before: dict[str, Any], brings: str
) -> None:
    data = tmp_path / "data"
    recording, receipt = await purged_since(data, clock, before, brings=brings)
    async with opened(data, clock, lambda _border: None) as house:
        old = await Recording.get(id=recording.id)
        assert old.status is not RecordingStatus.PURGED

        findings = [(finding.kind, finding.subject, finding.mended) for finding in await after_restore(house)]

        assert findings[0] == (AGAIN, str(recording.id), True)
        assert {(kind, is_mended) for kind, _, is_mended in findings[1:]} <= {
            ("audit log is older than its head", True)
        }
        row = await Recording.get(id=recording.id)
        assert (row.status, row.purge_at, row.case_deadline) == (RecordingStatus.PURGED, None, None)
        assert (row.is_held, row.has_open_case, row.lease_owner, row.lease_until) == (
            False,
            False,
            None,
            None,
        )
        assert (row.purged_at, row.gone_at) == (receipt.purged_at, old.gone_at or receipt.purged_at)
        assert (row.purge_bytes, row.purge_sha256) == (receipt.size_bytes, receipt.sha256)
        assert list(house.recordings_dir.iterdir()) == []
        assert await PurgeReceipt.all().values() == [
            {name: getattr(receipt, name) for name in PurgeReceipt._meta.fields_map}
        ]
        entry = await AuditEntry.get(action="recording.purged")
        assert (entry.subject_kind, entry.subject_id, entry.actor_id) == ("recording", recording.id, None)
        assert entry.outcome == f"{receipt.size_bytes} bytes, sha256 {receipt.sha256}"
        told = await SpaceEvent.filter(space_id=recording.space_id).order_by("-sequence").first()
        assert told is not None
        assert told.facts["to"] == "PURGED"
        await Timetable(house, interval_s=1, owns_rooms=False).round()
        assert await audit.verify(house.audit_head) == audit.Verdict(sealed=await AuditEntry.all().count())
        assert await after_restore(house) == []
        last = await SpaceEvent.filter(space_id=recording.space_id).order_by("-sequence").first()
        assert last is not None
        assert last.sequence == told.sequence


@pytest.mark.parametrize("brings", ["files", "older rows and files"])
async def test_files_that_a_backup_brings_back_alone_go_again(
    tmp_path: Path, clock: MovableClock, brings: str
) -> None:
    data = tmp_path / "data"
    recording, _ = await purged_since(data, clock, {}, brings=brings)
    async with opened(data, clock, lambda _border: None) as house:
        before = await AuditEntry.all().count(), await Recording.all().values()
        findings = await after_restore(house)
        assert (findings[0].kind, findings[0].subject, findings[0].mended) == (AGAIN, str(recording.id), True)
        assert list(house.recordings_dir.iterdir()) == []
        assert (await AuditEntry.all().count(), await Recording.all().values()) == before
        assert await after_restore(house) == []


async def test_a_backup_from_before_the_recording_brings_back_nothing_of_it(
    tmp_path: Path, clock: MovableClock
) -> None:
    data = tmp_path / "data"
    await purged_since(data, clock, {}, brings="older rows")
    async with opened(data, clock, lambda _border: None) as house:
        assert await after_restore(house) == [
            Finding(kind="audit log is older than its head", subject="0", mended=True)
        ]
        assert await after_restore(house) == []


async def test_a_backup_that_was_edited_stays_for_the_audit_to_name(
    tmp_path: Path, clock: MovableClock
) -> None:
    data = tmp_path / "data"
    await purged_since(data, clock, {}, brings="files")
    databases.write(data, "UPDATE audit_entry SET outcome = 'denied'")
    async with opened(data, clock, lambda _border: None) as house:
        head = house.audit_head.read()
        assert [finding.kind for finding in await after_restore(house)] == [AGAIN]
        assert house.audit_head.read() == head
        assert (await audit.verify(house.audit_head)).broken_id is not None


async def test_a_journal_whose_end_was_torn_still_buries_the_others(
    tmp_path: Path, clock: MovableClock
) -> None:
    data = tmp_path / "data"
    recording, receipt = await purged_since(data, clock, {}, brings="rows and files")
    (data / "receipts.jws").write_text(
        f"{receipt.document[:50]}\n{receipt.document}\n{receipt.document[:99]}"
    )
    async with opened(data, clock, lambda _border: None) as house:
        torn = "line of the journal is no receipt"
        findings = [(one.kind, one.subject, one.mended) for one in await after_restore(house)]
        assert findings[:3] == [(torn, "1", False), (AGAIN, str(recording.id), True), (torn, "3", False)]
        assert (await Recording.get(id=recording.id)).status is RecordingStatus.PURGED


@pytest.mark.starts_processes
async def test_the_doctor_buries_the_dead_after_a_restore(tmp_path: Path, clock: MovableClock) -> None:
    data = tmp_path / "data"
    recording, _ = await purged_since(data, clock, {}, brings="rows and files")

    status, printed = await spaces(data, "doctor", "--after-restore")

    assert status == 0, printed
    assert f"mended  restored although purged: {recording.id}" in printed
    assert printed.rstrip().endswith("0 of them for you to look into.")
    async with opened(data, clock, lambda _border: None) as house:
        assert await after_restore(house) == []


async def test_a_torn_line_of_the_journal_is_told_and_stops_nothing(house: House, tmp_path: Path) -> None:
    (tmp_path / "data" / "receipts.jws").write_text("eyJhbGciOi\n")
    assert await after_restore(house) == [
        Finding(kind="line of the journal is no receipt", subject="1", mended=False)
    ]


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
