"""The two clocks, as the pure functions that decide."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from models.recording import GONE, Recording, RecordingStatus
from services.retention import deadlines, status_at
from services.rules import RetentionPolicy

MS = timedelta(milliseconds=1)
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
