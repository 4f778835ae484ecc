"""The two clocks, as pure functions, and what a worker does when one has run out."""

from dataclasses import dataclass
from datetime import datetime

from models.recording import Recording, RecordingStatus
from services.rules import RetentionPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """When a recording stops being public, and when its bytes are due to be destroyed. None: not running."""

    public_until: datetime | None
    purge_at: datetime | None


def deadlines(recording: Recording, policy: RetentionPolicy, now: datetime) -> Deadlines:
    """Both clocks of a recording under a policy, at `now`. Pure: the row and the answer, nothing else."""
    if recording.status is RecordingStatus.PURGED:
        return Deadlines(public_until=None, purge_at=None)
    gone_at = recording.gone_at
    public_until = recording.expires_at if gone_at is None else None
    if gone_at is None and public_until is not None and public_until <= now:
        gone_at, public_until = public_until, None
    return Deadlines(public_until=public_until, purge_at=gone_at + policy.review_for if gone_at else None)


def status_at(recording: Recording, now: datetime) -> RecordingStatus:
    """The status as it is at `now`, whether or not a worker has been there."""
    expired = recording.expires_at is not None and recording.expires_at <= now
    if recording.status is RecordingStatus.AVAILABLE and expired:
        return RecordingStatus.EXPIRED
    return recording.status


def begin_review(recording: Recording, policy: RetentionPolicy, at: datetime) -> None:
    """Start the review clock: from `at` on nobody can play it."""
    recording.gone_at = at
    recording.purge_at = deadlines(recording, policy, at).purge_at
