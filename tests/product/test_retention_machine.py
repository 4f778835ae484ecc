"""Everything that can happen to recordings, in any order, beside a model that knows nothing of the code."""

import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from models.audit_entry import AuditEntry
from models.purge_receipt import PurgeReceipt
from models.recording import GONE, Recording
from models.report import ReportCategory, SubjectKind
from models.review_decision import Decision
from services import audit, endings, moderation, playback, recordings, reports, shares
from services.errors import RecordingNotAvailable
from services.inventory import left_of
from services.links import LinkKind
from services.purge import Border
from services.retention import deadlines, status_at
from tests.product.retention_model import Known
from tests.product.retention_stage import GONE_NAMES, START, Stage
from workers.timetable import Timetable

DAY, SECOND, MILLISECOND = timedelta(days=1), timedelta(seconds=1), timedelta(milliseconds=1)
LEASE = timedelta(seconds=60)
STEPS = st.sampled_from(
    [
        timedelta(0),
        MILLISECOND,
        59 * SECOND,
        900 * SECOND,
        29 * DAY,
        30 * DAY - MILLISECOND,
        30 * DAY,
        200 * DAY,
    ]
)
BACK = st.sampled_from([MILLISECOND, 3600 * SECOND, DAY, 40 * DAY])
WHICH = st.integers(0, 99)


class Crash(BaseException):
    """The worker is gone, at once."""


class Retention(Stage, RuleBasedStateMachine):
    """The rules of retention against the real services, a real database and a real folder."""

    # ---------- the server ----------

    @initialize()
    def open(self) -> None:
        self.run_(self.begin())

    def teardown(self) -> None:
        self.close()

    @rule()
    def start_again(self) -> None:
        self.run_(self.restart())

    @rule(days=st.sampled_from([(30, 30), (10, 45), (60, 120)]))
    def change_policy(self, days: tuple[int, int]) -> None:
        self.days = days
        self.run_(self.restart())

    # ---------- people ----------

    @precondition(lambda self: len(self.known) < 5)
    @rule()
    def record(self) -> None:
        self.run_(self.record_one())

    def one(self, which: int, *statuses: str) -> Known | None:
        """One of the recordings in these statuses (all of them when none is named)."""
        fitting = [one for one in self.known if not statuses or one.seen(self.now) in statuses]
        return fitting[which % len(fitting)] if fitting else None

    @rule(which=WHICH)
    def end(self, which: int) -> None:
        if one := self.one(which, "LIVE"):
            self.run_(endings.end(self.house, one.host, one.space_id))
            # A clock that was set back does not end a Space before it began.
            one.status, one.ended_at = "AVAILABLE", max(self.now, one.started_at)

    @rule(which=WHICH)
    def take_links(self, which: int) -> None:
        if one := self.one(which, "AVAILABLE"):
            row = self.run_(self.row(one))
            for kind in (LinkKind.PLAYBACK, LinkKind.DOWNLOAD, LinkKind.ARCHIVE):
                viewer = self.listener if kind is LinkKind.PLAYBACK else one.host
                self.keep_link(one, playback.recording_link(self.house, row, viewer, self.now, kind))

    @rule()
    def fetch_every_file_by_every_link_there_ever_was(self) -> None:
        for one in self.known:
            self.run_(self.fetch(one, every=True))

    @rule(which=WHICH)
    def share(self, which: int) -> None:
        if one := self.one(which):
            work = shares.share_recording(self.house, self.listener, one.id, comment=None, start_ms=0)
            self.expect(work, possible=one.seen(self.now) == "AVAILABLE")

    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        if one := self.one(which):
            possible = one.seen(self.now) in {"LIVE", "AVAILABLE"}
            if self.expect(recordings.delete(self.house, one.host, one.id), possible=possible):
                one.status, one.gone_at = "DELETED", self.now

    @rule(which=WHICH)
    def report(self, which: int) -> None:
        if one := self.one(which):
            work = reports.report(
                self.house, self.listener, SubjectKind.RECORDING, one.id,
                category=ReportCategory.ABUSE, reason="r",
            )  # fmt: skip
            if self.expect(work, possible=self.has_copy(one)):
                one.case = True

    @rule(which=WHICH)
    def appeal(self, which: int) -> None:
        one = self.one(which, "TAKEN_DOWN")
        if one is not None and not one.case:
            work = reports.appeal(self.house, one.host, one.id, statement="s")
            if self.expect(work, possible=self.has_copy(one)):
                one.case = True

    @rule(which=WHICH, decision=st.sampled_from(Decision))
    def decide(self, which: int, decision: Decision) -> None:
        if one := self.one(which):
            work = moderation.review(self.house, self.moderator, one.id, decision=decision, note="n")
            if self.expect(work, possible=self.has_copy(one)):
                one.case = False
                if decision is Decision.VIOLATION and one.seen(self.now) in {"LIVE", "AVAILABLE"}:
                    one.status, one.gone_at = "TAKEN_DOWN", self.now

    @rule(which=WHICH)
    def hold_or_release(self, which: int) -> None:
        if one := self.one(which):
            work = moderation.set_hold(self.house, self.moderator, one.id, held=not one.held, reason="r")
            if self.expect(work, possible=self.has_copy(one)):
                one.held = not one.held

    @rule(which=WHICH)
    def open_copy(self, which: int) -> None:
        if one := self.one(which):
            work = moderation.open_review_copy(self.house, self.moderator, one.id, reason="r")
            opened = self.expect(work, possible=self.has_copy(one) and one.seen(self.now) in GONE_NAMES)
            if opened:
                self.keep_link(one, opened[1])

    def has_copy(self, one: Known) -> bool:
        return one.status != "PURGED" and not one.condemned

    def expect(self, work: Coroutine[Any, Any, Any], *, possible: bool) -> Any:
        """Do what is possible; what is not is refused."""
        if possible:
            return self.run_(work) or True
        with pytest.raises(RecordingNotAvailable):
            self.run_(work)
        return None

    # ---------- time ----------

    @rule(step=STEPS)
    def advance(self, step: timedelta) -> None:
        self.clock.stand_at(self.now + step)

    @rule(which=WHICH, off=st.sampled_from([-MILLISECOND, timedelta(0), MILLISECOND]))
    def advance_to_a_border(self, which: int, off: timedelta) -> None:
        borders = [
            at for one in self.known for at in (one.expires_at, one.due_at(self.now)) if at and at > self.now
        ]
        if borders:
            self.clock.stand_at(max(self.now, sorted(borders)[which % len(borders)] + off))

    @rule(step=BACK)
    def jump_back(self, step: timedelta) -> None:
        self.clock.stand_at(max(START, self.now - step))

    # ---------- the worker ----------

    def round(self, border: Callable[[str], None] = lambda _border: None) -> None:
        self.run_(Timetable(replace(self.house, border=border), interval_s=1, owns_rooms=False).round())

    @rule()
    def work(self) -> None:
        before = {one.id: one.seen(self.now) for one in self.known}
        self.round()
        for one in self.known:
            one.gone_at = one.gone_at or (one.expires_at if before[one.id] == "EXPIRED" else None)
            one.status = before[one.id]
            due = one.due_at(self.now)
            if due is not None and due <= self.now and one.is_free(self.now):
                one.status, one.case, one.condemned, one.lease_until = "PURGED", False, False, None
            elif not one.is_free(self.now) or (one.lease_until and one.lease_until <= self.now):
                one.lease_until = self.run_(self.row(one)).lease_until
        once = self.run_(self.snapshot())
        self.round()
        assert self.run_(self.snapshot()) == once
        verdict = self.run_(audit.verify(self.house.audit_head))
        assert (verdict.problem, verdict.unsealed) == (None, 0)

    @rule(border=st.sampled_from(Border), after=st.integers(1, 6))
    def work_and_crash(self, border: Border, after: int) -> None:
        left = after

        def crash(name: str) -> None:
            nonlocal left
            left -= name == border
            if not left and name == border:
                raise Crash

        try:
            self.round(crash)
        except (Crash, BaseExceptionGroup):
            self.learn()
        else:
            self.learn()

    def learn(self) -> None:
        """A worker was cut off: it may have done what was due, and nothing else."""
        for one in self.known:
            row = self.run_(self.row(one))
            if row.status.value == "EXPIRED" and one.status == "AVAILABLE":
                assert one.seen(self.now) == "EXPIRED"
                one.status, one.gone_at = "EXPIRED", one.expires_at
            due = one.due_at(self.now)
            is_due = due is not None and due <= self.now
            if row.status.value == "PURGED" and one.status != "PURGED":
                assert is_due, (due, self.now)
                if one.status == "AVAILABLE":
                    one.gone_at = one.expires_at
                one.status, one.case = "PURGED", False
            condemned = row.is_condemned and row.status.value != "PURGED"
            assert not condemned or one.condemned or is_due
            one.condemned, one.lease_until = condemned, row.lease_until

    # ---------- what always holds ----------

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        if hasattr(self, "house"):
            self.run_(self._check())

    async def _check(self) -> None:
        kept = [self.house.receipts.verify(line) for line in self.house.receipts.kept()]
        for one in self.known:
            row = await Recording.get(id=one.id)
            status = status_at(row, self.now).value
            assert ("LIVE" if status == "STARTING" else status) == one.seen(self.now)
            assert (row.has_open_case, row.is_held) == (one.case, one.held)
            if row.status in GONE:
                assert row.purge_at == deadlines(row, self.house.policies.of(row), self.now).purge_at
                assert row.purge_at == one.due_at(self.now)
            await self._proofs(one, row, kept)
            await self.fetch(one, every=False)
        folders = {path.name for path in (self.folder / "recordings").iterdir()}
        assert folders <= {str(one.id) for one in self.known}

    async def _proofs(self, one: Known, row: Recording, kept: list[Any]) -> None:
        entries = await AuditEntry.filter(action="recording.purged", subject_id=one.id).count()
        journal = [receipt for receipt in kept if receipt.recording_id == one.id]
        if one.status == "PURGED":
            receipt = await PurgeReceipt.get(recording_id=one.id)
            assert (entries, len(journal)) == (1, 1)
            assert self.house.receipts.verify(receipt.document) == journal[0]
            assert journal[0].size_bytes > row.size_bytes > 0
            assert left_of(self.house.places, one.id) == []
        else:
            assert entries == 0
            assert len(left_of(self.house.places, one.id)) == 4 or one.condemned


def _run(examples: int, steps: int, *, is_same_each_time: bool) -> None:
    run_state_machine_as_test(
        Retention,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=is_same_each_time,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def test_whatever_happens_nothing_goes_early_stays_late_or_is_heard_again() -> None:
    _run(40, 30, is_same_each_time=True)


_PARTS = 3


@pytest.mark.long
@pytest.mark.parametrize("part", range(_PARTS))
def test_the_same_at_length(part: int) -> None:
    """RETENTION_RUNS and RETENTION_STEPS search further: a night takes some 30,000 runs of 100 steps."""
    runs, steps = (
        int(os.environ.get(f"RETENTION_{name}", most)) for name, most in (("RUNS", 300), ("STEPS", 50))
    )
    _run(runs // _PARTS, steps, is_same_each_time=False)
