"""The two clocks, as the pure functions that decide."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from models.recording import GONE, Recording, RecordingStatus
from services.retention import Deadlines, begin_review, deadlines, failure_reason, gone_since, status_at, wind
from services.rules import RetentionPolicy

MS = timedelta(milliseconds=1)
DAY = timedelta(days=1)
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
ODD = RetentionPolicy(public_for=10 * DAY, review_for=33 * DAY, longest_review_for=111 * DAY)
# Hypothesis wants its bounds without a zone, and adds one.
_YEARS = (datetime(2021, 10, 29), datetime(2090, 1, 1))  # noqa: DTZ001
MOMENTS = st.datetimes(*_YEARS, timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
POLICIES = st.builds(
    RetentionPolicy,
    public_for=st.timedeltas(timedelta(days=1), timedelta(days=400)),
    review_for=st.timedeltas(timedelta(days=30), timedelta(days=120)),
)
NEVER_PUBLIC = tuple(set(RecordingStatus) - GONE - {RecordingStatus.AVAILABLE, RecordingStatus.PURGED})


def _recording(status: RecordingStatus, **values: datetime | None) -> Recording:
    return Recording(
        id=uuid4(), space_id=uuid4(), host_id=uuid4(), status=status, policy_version="1", **values
    )


def _values(recording: Recording) -> dict[str, object]:
    return {name: getattr(recording, name) for name in Recording._meta.fields_map}


@given(MOMENTS, POLICIES)
def test_it_is_public_up_to_its_date_and_expired_from_that_instant_on(
    expires: datetime, policy: RetentionPolicy
) -> None:
    recording = _recording(RecordingStatus.AVAILABLE, expires_at=expires)
    for now in (expires - timedelta(days=3), expires - MS):
        assert status_at(recording, now) is RecordingStatus.AVAILABLE
        found = deadlines(recording, policy, now)
        assert (found.public_until, found.purge_at) == (expires, None)
    for now in (expires, expires + MS, expires + timedelta(days=400)):
        assert status_at(recording, now) is RecordingStatus.EXPIRED
        found = deadlines(recording, policy, now)
        assert (found.public_until, found.purge_at) == (None, expires + policy.review_for)


@given(MOMENTS, MOMENTS, MOMENTS, POLICIES, st.sampled_from(sorted(GONE)))
def test_the_review_clock_runs_from_the_instant_it_was_gone_whenever_one_looks(
    gone: datetime, expires: datetime, now: datetime, policy: RetentionPolicy, status: RecordingStatus
) -> None:
    recording = _recording(status, expires_at=expires, gone_at=gone)
    found = deadlines(recording, policy, now)
    assert (found.public_until, found.purge_at) == (None, gone + policy.review_for)
    assert status_at(recording, now) is status
    assert timedelta(days=30) <= policy.review_for <= timedelta(days=120)


@given(MOMENTS, POLICIES, st.sampled_from(NEVER_PUBLIC))
def test_what_never_was_public_has_no_clock(
    now: datetime, policy: RetentionPolicy, status: RecordingStatus
) -> None:
    recording = _recording(status)
    found = deadlines(recording, policy, now)
    assert (found.public_until, found.purge_at) == (None, None)
    assert status_at(recording, now) is status


@given(MOMENTS, MOMENTS, MOMENTS, POLICIES)
def test_what_is_purged_stays_purged_and_has_no_clock(
    gone: datetime, expires: datetime, now: datetime, policy: RetentionPolicy
) -> None:
    recording = _recording(RecordingStatus.PURGED, expires_at=expires, gone_at=gone)
    found = deadlines(recording, policy, now)
    assert (found.public_until, found.purge_at) == (None, None)
    assert status_at(recording, now) is RecordingStatus.PURGED


@given(MOMENTS, MOMENTS, POLICIES, st.sampled_from(list(RecordingStatus)))
def test_asking_changes_nothing(
    expires: datetime, now: datetime, policy: RetentionPolicy, status: RecordingStatus
) -> None:
    recording = _recording(status, expires_at=expires)
    before = _values(recording)
    assert deadlines(recording, policy, now) == deadlines(recording, policy, now)
    assert _values(recording) == before


@given(MOMENTS, st.lists(MOMENTS, min_size=2, max_size=8), POLICIES)
def test_as_time_goes_on_a_recording_never_becomes_public_again(
    expires: datetime, looks: list[datetime], policy: RetentionPolicy
) -> None:
    recording = _recording(RecordingStatus.AVAILABLE, expires_at=expires)
    seen = [status_at(recording, now) is RecordingStatus.AVAILABLE for now in sorted(looks)]
    assert seen == sorted(seen, reverse=True)
    due = [deadlines(recording, policy, now).purge_at for now in sorted(looks)]
    assert {one for one in due if one is not None} <= {expires + policy.review_for}


def _case(status: RecordingStatus, *, is_held: bool, has_open_case: bool, **values: datetime) -> Recording:
    recording = _recording(status, **values)
    recording.is_held, recording.has_open_case = is_held, has_open_case
    return recording


@given(st.sampled_from(sorted(GONE)), st.booleans(), st.booleans())
def test_a_case_puts_the_purge_off_to_the_hard_stop_and_a_hold_for_ever(
    status: RecordingStatus, is_held: bool, has_open_case: bool
) -> None:
    recording = _case(status, is_held=is_held, has_open_case=has_open_case, gone_at=NOON)
    found = deadlines(recording, ODD, NOON + DAY)
    due = NOON + (111 if has_open_case else 33) * DAY
    assert found == Deadlines(purge_at=None if is_held else due, purge_without_cases=NOON + 33 * DAY)


def test_what_is_public_tells_no_purge_held_reported_or_not() -> None:
    for is_held in (False, True):
        for has_open_case in (False, True):
            recording = _case(
                RecordingStatus.AVAILABLE, is_held=is_held, has_open_case=has_open_case, expires_at=NOON
            )
            assert deadlines(recording, ODD, NOON - MS) == Deadlines(public_until=NOON)
            assert gone_since(recording, NOON - MS) is None
            assert gone_since(recording, NOON) == NOON


@given(st.booleans(), st.booleans())
def test_deadlines_in_the_row_are_those_of_the_rule(is_held: bool, has_open_case: bool) -> None:
    recording = _case(RecordingStatus.DELETED, is_held=is_held, has_open_case=has_open_case)
    begin_review(recording, ODD, NOON)
    assert recording.gone_at == NOON
    assert recording.purge_at == deadlines(recording, ODD, NOON).purge_at
    assert recording.case_deadline == (NOON + 111 * DAY if has_open_case else None)
    recording.has_open_case = False
    wind(recording, ODD, NOON + DAY)
    assert recording.purge_at == (None if is_held else NOON + 33 * DAY)
    assert recording.case_deadline is None


def test_a_case_must_be_decided_before_the_copy_goes_at_the_latest() -> None:
    gone, expires, created = NOON, NOON + 2 * DAY, NOON - 5 * DAY
    recording = _case(RecordingStatus.DELETED, is_held=False, has_open_case=True, created_at=created)
    recording.gone_at, recording.expires_at = gone, expires
    wind(recording, ODD, NOON)
    assert recording.case_deadline == gone + 111 * DAY
    # Public still: from its expiry on.
    recording.status, recording.gone_at = RecordingStatus.AVAILABLE, None
    wind(recording, ODD, NOON)
    assert (recording.case_deadline, recording.purge_at) == (expires + 111 * DAY, None)
    # Live still: it may end now, and so not before its creation and its public time.
    recording.status, recording.expires_at = RecordingStatus.RECORDING, None
    wind(recording, ODD, NOON)
    assert (recording.case_deadline, recording.purge_at) == (created + 121 * DAY, None)


def test_the_row_of_what_expired_is_wound_from_the_expiry_on_whoever_comes_first() -> None:
    recording = _case(RecordingStatus.AVAILABLE, is_held=False, has_open_case=False, expires_at=NOON)
    wind(recording, ODD, NOON + DAY)
    assert recording.purge_at == NOON + 33 * DAY


def test_audio_that_is_missing_makes_a_public_recording_failed_until_it_is_found_and_stops_no_clock() -> None:
    recording = _case(RecordingStatus.AVAILABLE, is_held=False, has_open_case=False, expires_at=NOON)
    assert (status_at(recording, NOON - MS), failure_reason(recording, NOON - MS)) == ("AVAILABLE", None)
    recording.lost_at = NOON - DAY
    assert status_at(recording, NOON - MS) is RecordingStatus.FAILED
    assert failure_reason(recording, NOON - MS) == (
        "Its audio is missing from the store. Once it is found, the recording can be played again."
    )
    assert deadlines(recording, ODD, NOON - MS) == Deadlines(public_until=NOON)
    assert (status_at(recording, NOON), failure_reason(recording, NOON)) == ("EXPIRED", None)
    for status in set(RecordingStatus) - {RecordingStatus.AVAILABLE, RecordingStatus.FAILED}:
        recording.status = status
        assert (status_at(recording, NOON - MS), failure_reason(recording, NOON - MS)) == (status, None)


def test_one_that_failed_by_itself_says_why() -> None:
    recording = _case(RecordingStatus.FAILED, is_held=False, has_open_case=False)
    recording.failure_reason = "The disk was full."
    assert failure_reason(recording, NOON) == "The disk was full."
