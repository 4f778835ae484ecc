"""The journal of what people took away, and what a restore makes of it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from models.account import Account
from models.fields import to_ms
from models.recording import Recording
from services.house import House
from services.reconcile import reconcile
from services.removals import Removal, RemovedKind
from services.restore import after_restore
from tests.product.court import open_court
from tests.product.purger import make_deleted, opened
from tests.product.town import MovableClock

DAY = timedelta(days=1)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def house(tmp_path: Path, clock: MovableClock) -> AsyncIterator[House]:
    async with opened(tmp_path / "data", clock, lambda _border: None) as made:
        yield made


def journal(folder: Path) -> list[dict[str, object]]:
    """The lines of the journal of a data folder."""
    return [orjson.loads(line) for line in (folder / "removals.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("before", "kind", "after"),
    [
        ("ARMED", "DELETED", "DELETED"),
        ("STARTING", "DELETED", "DELETED"),
        ("RECORDING", "TAKEN_DOWN", "TAKEN_DOWN"),
        ("INTERRUPTED", "DELETED", "DELETED"),
        ("FINALIZING", "DELETED", "DELETED"),
        ("AVAILABLE", "DELETED", "DELETED"),
        ("AVAILABLE", "TAKEN_DOWN", "TAKEN_DOWN"),
        ("EXPIRED", "DELETED", "EXPIRED"),
        ("TAKEN_DOWN", "DELETED", "TAKEN_DOWN"),
        ("PURGED", "DELETED", "PURGED"),
        ("FAILED", "DELETED", "FAILED"),
    ],
)
async def test_a_removal_is_done_again_as_of_then_where_a_backup_brought_the_recording_back(
    house: House, clock: MovableClock, before: str, kind: str, after: str
) -> None:
    recording = await make_deleted(house)
    is_gone = before in {"EXPIRED", "TAKEN_DOWN", "PURGED"}
    clocks = {} if is_gone else {"gone_at": None, "purge_at": None}
    await Recording.all().update(status=before, **clocks)
    at = clock.now() - 3 * DAY
    line = Removal(kind=RemovedKind.RECORDING, id=recording.id, at=at, status=kind)  # type: ignore[arg-type]
    house.removals.keep([line])

    findings = [finding.kind for finding in await after_restore(house)]

    row = await Recording.get()
    assert row.status == after
    assert (f"restored although {kind}" in findings) is (before != after)
    if before != after:
        assert (to_ms(row.gone_at), to_ms(row.purge_at)) == (to_ms(at), to_ms(at + 30 * DAY))  # type: ignore[arg-type]
    assert f"restored although {kind}" not in [finding.kind for finding in await after_restore(house)]


async def test_a_line_that_is_none_is_told_and_the_others_count(house: House, tmp_path: Path) -> None:
    recording = await make_deleted(house)
    await Recording.all().update(status="AVAILABLE", gone_at=None, purge_at=None)
    file = tmp_path / "data" / "removals.jsonl"
    file.write_text(
        f'{{"kind":"recording"\n{{"kind":"recording","id":"{recording.id}","at_ms":1,"status":"PURGED"}}\n'
    )
    house.removals.keep([Removal(kind=RemovedKind.RECORDING, id=recording.id, at=house.clock.now())])

    found = [(finding.kind, finding.subject, finding.mended) for finding in await after_restore(house)]

    torn = "line of the journal is no removal"
    assert found[:3] == [
        (torn, "1", False),
        (torn, "2", False),
        ("restored although DELETED", str(recording.id), True),
    ]
    assert (await Recording.get()).status == "DELETED"


async def test_what_the_journal_lacks_is_written_from_the_rows_once(house: House, tmp_path: Path) -> None:
    deleted, expired = await make_deleted(house), await make_deleted(house)
    await Recording.filter(id=expired.id).update(status="EXPIRED")
    account = await Account.create(
        id=expired.id, handle="a", handle_key="a", name="", password_hash="", created_at=house.clock.now(),
        deleted_at=house.clock.now(),
    )  # fmt: skip
    for _ in range(2):
        assert await reconcile(house) == []
    assert [(line["kind"], line["id"]) for line in journal(tmp_path / "data")] == [
        ("recording", str(deleted.id)),
        ("account", str(account.id)),
    ]


async def test_deletions_are_kept_by_id_alone_and_a_journal_that_cannot_be_written_stops_none(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "data"
    async with open_court(data_dir) as court:
        first, second = await court.recorded(), await court.recorded()
        await court.host.do("deleteRecording", recordingId=first)
        [line] = journal(data_dir)
        assert line == {
            "kind": "recording",
            "id": court.folder(first).name,
            "at_ms": line["at_ms"],
            "status": "DELETED",
        }
        kept = (data_dir / "removals.jsonl").rename(data_dir / "kept")
        (data_dir / "removals.jsonl").mkdir()  # as a full disk would, it lets nothing be written
        await court.host.do("deleteRecording", recordingId=second)
        assert await court.status(second) == "DELETED"
        (data_dir / "removals.jsonl").rmdir()
        kept.rename(data_dir / "removals.jsonl")
        await reconcile(court.town.built.house)
        assert [line["id"] for line in journal(data_dir)] == [
            court.folder(first).name,
            court.folder(second).name,
        ]
