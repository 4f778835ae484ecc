"""The purge step by step: what each leaves behind, what a lost lease stops, what is told at the end."""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from models.account import Account
from models.appeal import Appeal
from models.audit_entry import AuditEntry
from models.delivery import Delivery
from models.legal_hold import LegalHold
from models.mail_address import MailAddress
from models.notification import Notification
from models.purge_receipt import PurgeReceipt
from models.recording import Recording, RecordingStatus
from models.report import Report, ReportCategory, ReportState, SubjectKind
from models.review_opening import ReviewOpening
from services import purge
from services.changes import new_id
from services.house import House
from services.inventory import Folders
from services.purge import Border, BytesLeft
from tests.product.databases import databases
from tests.product.purger import LEASE, make_deleted, opened
from tests.product.town import MovableClock

DAY = timedelta(days=1)
MS = timedelta(milliseconds=1)
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
STEPS = [
    *("claimed", "counted", "condemned", "piece gone", "piece gone", "piece gone", "piece gone"),
    *("emptied", "proven", "signed", "kept", "concluding", "purged"),
]


class CutOff(BaseException):
    """The worker is gone."""


@pytest.fixture
def clock() -> MovableClock:
    clock = MovableClock()
    clock.stand_at(NOON)
    return clock


@pytest.fixture
async def house(tmp_path: Path, clock: MovableClock) -> AsyncIterator[House]:
    async with opened(tmp_path, clock, lambda _border: None) as made:
        yield made


def told(house: House, border: Callable[[Any], None]) -> House:
    return replace(house, border=border)


async def due(house: House, clock: MovableClock) -> Recording:
    """A deleted recording, 30 days later."""
    recording = await make_deleted(house)
    clock.stand_at(NOON + 30 * DAY)
    return recording


async def run(house: House, recording: Recording, owner: str = "mine") -> bool:
    now = house.clock.now()
    await purge.claim(house, owner, now=now, most=5)
    return await purge.purge(house, recording.id, owner, now=now)


def behind(house: House, statement: str) -> None:
    """Something done to the database behind the worker's back."""
    databases.write(house.recordings_dir.parent, statement)


def seen_in(house: House, query: str) -> list[Any]:
    """Rows as they are for others than the worker."""
    return databases.read(house.recordings_dir.parent, query)


def measured(folder: Path) -> tuple[int, str]:
    """Bytes and digest of a folder, as a receipt tells them."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    digests = "".join(sorted(hashlib.sha256(data).hexdigest() for data in files))
    return sum(map(len, files)), hashlib.sha256(digests.encode()).hexdigest()


async def test_the_steps_come_in_order_and_each_is_told(house: House, clock: MovableClock) -> None:
    recording = await due(house, clock)
    passed: list[Any] = []
    assert await run(told(house, passed.append), recording) is True
    assert passed == STEPS
    assert not await run(told(house, passed.append), recording)
    assert passed == [*STEPS, "counted"]


@pytest.mark.parametrize("at", range(len(STEPS)), ids=[f"{n}-{step}" for n, step in enumerate(STEPS)])
async def test_whoever_comes_after_a_worker_that_was_cut_off_ends_its_work(
    house: House, clock: MovableClock, at: int
) -> None:
    recording, other = await due(house, clock), await make_deleted(house)
    what = measured(house.recording_dir(recording.id))
    left = at + 1

    def cut(_border: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise CutOff

    with pytest.raises(CutOff):
        await run(told(house, cut), recording)
    signed = await PurgeReceipt.get_or_none()
    clock.stand_at(NOON + 30 * DAY + LEASE - MS)
    if STEPS[at] != "purged":
        assert await purge.claim(house, "next", now=clock.now(), most=5) == []
    clock.stand_at(NOON + 30 * DAY + LEASE)
    assert await run(house, recording, "next") is (STEPS[at] != "purged")

    receipt = await PurgeReceipt.get()
    assert signed is None or signed.document == receipt.document
    assert house.receipts.kept() == [receipt.document]
    assert (receipt.recording_id, receipt.size_bytes, receipt.sha256) == (recording.id, *what)
    assert receipt.purged_at == (clock.now() if signed is None else NOON + 30 * DAY)
    facts = house.receipts.verify(receipt.document)
    assert (facts.recording_id, facts.size_bytes, facts.sha256) == (recording.id, *what)
    assert (facts.purged_at, facts.policy_version) == (receipt.purged_at, 1)
    assert await AuditEntry.filter(action="recording.purged").count() == 1
    assert house.recording_dir(other.id).exists()
    assert not house.recording_dir(recording.id).exists()


@pytest.mark.parametrize(
    ("at", "goes_on_to"),
    [("counted", "counted"), ("proven", "proven"), ("kept", "kept")],
)
async def test_a_lost_lease_stops_the_worker_at_its_next_step(
    house: House, clock: MovableClock, at: str, goes_on_to: str
) -> None:
    recording = await due(house, clock)
    passed = []

    def lose(border: Any) -> None:
        passed.append(border)
        if border == at:
            behind(house, "UPDATE recording SET lease_owner = 'other'")

    assert await run(told(house, lose), recording) is False
    assert passed == STEPS[: STEPS.index(goes_on_to) + 1]
    assert (await Recording.get()).status is RecordingStatus.DELETED
    assert await AuditEntry.filter(action="recording.purged").count() == 0
    assert await PurgeReceipt.all().count() == (1 if at == "kept" else 0)


async def test_the_lease_is_prolonged_before_the_last_steps(house: House, clock: MovableClock) -> None:
    recording = await due(house, clock)
    seen: list[Any] = []

    def look(border: Any) -> None:
        if border == "proven":
            clock.stand_at(clock.now() + LEASE / 2)
        if border == "signed":
            seen.extend(seen_in(house, "SELECT lease_until FROM recording")[0])

    await run(told(house, look), recording)
    assert seen == [(NOON + 30 * DAY + LEASE * 1.5).timestamp() * 1000]


async def test_what_had_no_file_left_is_told_as_nothing(house: House, clock: MovableClock) -> None:
    recording = await due(house, clock)
    Folders(house.recordings_dir).remove(recording.id, step=lambda: None)
    assert await run(house, recording)
    receipt = await PurgeReceipt.get()
    assert (receipt.size_bytes, receipt.sha256) == (0, hashlib.sha256(b"").hexdigest())


async def test_a_receipt_names_the_policy_that_the_recording_began_under(
    house: House, clock: MovableClock
) -> None:
    from services.policies import PolicyBook
    from services.rules import RetentionPolicy

    await PolicyBook(RetentionPolicy(review_for=31 * DAY)).adopt(NOON)
    await house.policies.refresh()
    recording = await due(house, clock)
    await Recording.all().update(policy_version=2)
    assert not await run(house, recording)
    row = await Recording.get()
    assert (row.purge_at, row.lease_owner, row.lease_until) == (NOON + 31 * DAY, None, None)
    clock.stand_at(NOON + 31 * DAY)
    assert await run(house, recording)
    assert house.receipts.verify((await PurgeReceipt.get()).document).policy_version == 2


async def test_one_that_expired_before_anybody_noted_when_is_purged_from_its_expiry_on(
    house: House, clock: MovableClock
) -> None:
    recording = await due(house, clock)
    await Recording.all().update(status="EXPIRED", gone_at=None, purge_at=NOON)
    assert not await run(house, recording)
    assert (await Recording.get()).purge_at == NOON + 60 * DAY
    clock.stand_at(NOON + 60 * DAY)
    assert await run(house, recording)


async def test_what_could_not_be_removed_is_named(
    house: House, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = await due(house, clock)
    monkeypatch.setattr(Folders, "remove", lambda *_arguments, **_more: None)
    with pytest.raises(BytesLeft, match=rf"^expected nothing of recording {recording.id}, got 4 pieces$"):
        await run(house, recording)


async def test_the_end_closes_the_case_releases_the_hold_and_discloses_openings_of_this_one_alone(
    house: House, clock: MovableClock
) -> None:
    other, recording = await make_deleted(house), await due(house, clock)
    at = NOON + DAY
    for one in (recording, other):
        await _case(one.id, at)
    early = await LegalHold.create(
        id=new_id(), recording_id=recording.id, set_by=new_id(), set_at=NOON, reason="r", released_at=at
    )

    def hold(border: Any) -> None:
        """Too late to save it: the rows are set behind the worker's back."""
        if border == Border.KEPT:
            behind(
                house,
                "UPDATE recording SET has_open_case = true, is_held = true, case_deadline = 5"
                f" WHERE id = '{recording.id}'",
            )

    assert await run(told(house, hold), recording)

    now = clock.now()
    row = await Recording.get(id=recording.id)
    assert (row.has_open_case, row.is_held, row.case_deadline, row.purge_at) == (False, False, None, None)
    assert seen_in(house, f"SELECT lease_owner, lease_until FROM recording WHERE id = '{recording.id}'") == [
        (None, None)
    ]
    mine, theirs = recording.id, other.id
    assert await _closed(mine) == {
        "report": (ReportState.CLOSED, now),
        "appeal": now,
        "hold": now,
        "opening": now,
    }
    assert await _closed(theirs) == {
        "report": (ReportState.OPEN, None),
        "appeal": None,
        "hold": None,
        "opening": None,
    }
    assert (await LegalHold.get(id=early.id)).released_at == at
    receipt = await PurgeReceipt.get()
    entry = await AuditEntry.get(action="recording.purged")
    assert (entry.subject_kind, entry.subject_id, entry.actor_id, entry.at) == ("recording", mine, None, now)
    assert entry.outcome == f"{receipt.size_bytes} bytes, sha256 {receipt.sha256}"


async def test_who_reported_it_is_told_by_mail_too_that_the_purge_has_closed_the_case(
    house: House, clock: MovableClock
) -> None:
    recording, reporter = await due(house, clock), new_id()
    await Account.create(
        id=reporter, handle="r", handle_key="r", name="R", password_hash="x", created_at=NOON
    )
    await MailAddress.create(
        id=new_id(), account_id=reporter, address="r@a.example", created_at=NOON, confirmed_at=NOON
    )
    await Report.create(
        id=new_id(), subject_kind=SubjectKind.RECORDING, subject_id=recording.id, reporter_id=reporter,
        category=ReportCategory.ABUSE, reason="r", created_at=NOON,
    )  # fmt: skip
    assert await run(house, recording)
    notice = await Notification.get(account_id=reporter)
    assert (notice.kind, notice.recording_id, notice.at) == ("CASE_CLOSED", recording.id, clock.now())
    letter = await Delivery.get(notification_id=notice.id)
    assert (letter.channel, letter.lapses_at) == ("EMAIL", clock.now() + DAY)


async def _case(recording_id: UUID, at: datetime) -> None:
    """A report, an appeal, a hold and an opening."""
    await Report.create(
        id=new_id(), subject_kind=SubjectKind.RECORDING, subject_id=recording_id, reporter_id=new_id(),
        category=ReportCategory.ABUSE, reason="r", created_at=at,
    )  # fmt: skip
    await Appeal.create(
        id=new_id(), recording_id=recording_id, account_id=new_id(), statement="s", created_at=at
    )
    await LegalHold.create(id=new_id(), recording_id=recording_id, set_by=new_id(), set_at=at, reason="late")
    await ReviewOpening.create(
        id=new_id(), recording_id=recording_id, moderator_id=new_id(), reason="r", at=at
    )


async def _closed(recording_id: UUID) -> dict[str, Any]:
    report = await Report.get(subject_id=recording_id)
    return {
        "report": (report.state, report.closed_at),
        "appeal": (await Appeal.get(recording_id=recording_id)).closed_at,
        "hold": (await LegalHold.get(recording_id=recording_id, reason="late")).released_at,
        "opening": (await ReviewOpening.get(recording_id=recording_id)).disclosed_at,
    }


# ---------- claiming ----------


async def test_the_most_overdue_are_claimed_first_and_no_more_than_wanted(
    house: House, clock: MovableClock
) -> None:
    made = [await make_deleted(house) for _ in range(3)]
    for days, one in zip((3, 1, 2), made, strict=True):
        await Recording.filter(id=one.id).update(purge_at=NOON + days * DAY)
    clock.stand_at(NOON + 2 * DAY)
    assert await purge.claim(house, "a", now=clock.now(), most=1) == [made[1].id]
    assert await purge.claim(house, "b", now=clock.now(), most=5) == [made[2].id]
    assert await purge.claim(house, "c", now=clock.now(), most=5) == []
    row = await Recording.get(id=made[1].id)
    assert (row.lease_owner, row.lease_until) == ("a", clock.now() + LEASE)


async def test_leases_go_by_the_wall_clock_and_deadlines_by_the_vouched_one(
    house: House, clock: MovableClock
) -> None:
    await make_deleted(house)
    clock.stand_at(NOON + 40 * DAY)
    assert await purge.claim(house, "a", now=NOON + 30 * DAY - MS, most=5) == []
    assert len(await purge.claim(house, "a", now=NOON + 30 * DAY, most=5)) == 1
    assert (await Recording.get()).lease_until == NOON + 40 * DAY + LEASE


@pytest.mark.parametrize(("ahead", "is_free"), [(2 * LEASE, False), (2 * LEASE + MS, True)])
async def test_a_lease_counts_up_to_twice_its_length_ahead(
    house: House, clock: MovableClock, ahead: timedelta, *, is_free: bool
) -> None:
    await due(house, clock)
    await Recording.all().update(lease_owner="other", lease_until=clock.now() + ahead)
    assert bool(await purge.claim(house, "mine", now=clock.now(), most=5)) is is_free


# ---------- the store ----------


def test_what_vanishes_while_it_is_removed_holds_nothing_up(tmp_path: Path) -> None:
    one = UUID(int=1)
    folder = tmp_path / str(one)
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text("x")
    Folders(tmp_path).remove(one, step=lambda: (folder / "b").unlink(missing_ok=True))
    assert list(tmp_path.iterdir()) == []


def test_only_a_recordings_own_name_counts_as_its_folder(tmp_path: Path) -> None:
    one = UUID("ABCDEF00-0000-4000-8000-000000000001")
    names = {str(one): one, str(one).upper(): None, one.hex: None, f"{{{one}}}": None, "lost+found": None}
    for name in names:
        (tmp_path / name).mkdir()
    assert dict(Folders(tmp_path).subjects()) == names


def test_what_is_gone_has_no_age(tmp_path: Path) -> None:
    assert Folders(tmp_path).age("absent", NOON) == timedelta(0)
