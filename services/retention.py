"""The two clocks of a recording, as pure functions over its row: reads, workers and forecasts share them."""

from dataclasses import dataclass
from datetime import datetime

from models.recording import Recording, RecordingStatus
from services.rules import RetentionPolicy

_LOST = "Its audio is missing from the store. Once it is found, the recording can be played again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """When a recording stops being public, and when its bytes are due to be destroyed. None: not running.

    `purge_without_cases` is the purge as it would be without reports and holds: what the host is told.
    """

    public_until: datetime | None = None
    purge_at: datetime | None = None
    purge_without_cases: datetime | None = None


def deadlines(recording: Recording, policy: RetentionPolicy, now: datetime) -> Deadlines:
    """Both clocks of a recording under a policy, at `now`. Pure: the row and the answer, nothing else.

    The review copy is due after `review_for`; while a report or an appeal is open it waits, at most
    `longest_review_for`; while a legal hold stands it is never due.
    """
    if recording.status is RecordingStatus.PURGED:
        return Deadlines()
    gone_at = gone_since(recording, now)
    if gone_at is None:
        return Deadlines(public_until=recording.expires_at)
    due = gone_at + policy.review_for
    purge_at: datetime | None = gone_at + policy.longest_review_for if recording.has_open_case else due
    if recording.is_held:
        purge_at = None
    return Deadlines(purge_at=purge_at, purge_without_cases=due)


def gone_since(recording: Recording, now: datetime) -> datetime | None:
    """Since when nobody can play it any more, as of `now`; None while it is public or not yet there."""
    if recording.gone_at is not None:
        return recording.gone_at
    return recording.expires_at if status_at(recording, now) is RecordingStatus.EXPIRED else None


def status_at(recording: Recording, now: datetime) -> RecordingStatus:
    """The status as it is at `now`, whether or not a worker has been there.

    One whose audio is missing from the store is FAILED for as long as it is; its clocks run on.
    """
    expired = recording.expires_at is not None and recording.expires_at <= now
    if recording.status is RecordingStatus.AVAILABLE and expired:
        return RecordingStatus.EXPIRED
    return RecordingStatus.FAILED if recording.is_lost else recording.status


def failure_reason(recording: Recording, now: datetime) -> str | None:
    """Why it is FAILED at `now`; None when it is not."""
    if status_at(recording, now) is not RecordingStatus.FAILED:
        return None
    return _LOST if recording.is_lost else recording.failure_reason


def begin_review(recording: Recording, policy: RetentionPolicy, at: datetime) -> None:
    """Start the review clock: from `at` on nobody can play it."""
    recording.gone_at = at
    set_expiry(recording, policy)
    wind(recording, policy, at)


def set_expiry(recording: Recording, policy: RetentionPolicy) -> None:
    """Once its Space has ended, keep until when it was to be public: also of one that is gone sooner."""
    if recording.expires_at is None and recording.ended_at is not None:
        recording.expires_at = recording.ended_at + policy.public_for


def wind(recording: Recording, policy: RetentionPolicy, now: datetime) -> None:
    """Write the deadlines into the row, after anything that they depend on has changed."""
    recording.purge_at = deadlines(recording, policy, now).purge_at
    recording.case_deadline = _case_deadline(recording, policy) if recording.has_open_case else None


def _case_deadline(recording: Recording, policy: RetentionPolicy) -> datetime:
    """Until when a case must be decided: when the copy goes at the latest."""
    gone_at = recording.gone_at or recording.expires_at or recording.created_at + policy.public_for
    return gone_at + policy.longest_review_for
