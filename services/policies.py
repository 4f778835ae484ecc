"""Retention policies by version. What runs under a version runs to its end under it."""

from datetime import datetime, timedelta

from models.recording import Recording
from models.retention_policy import RetentionPolicyRow
from services.rules import RetentionPolicy


class PolicyBook:
    """Every policy there ever was, and the one that new recordings begin under."""

    def __init__(self, wanted: RetentionPolicy) -> None:
        self.current = wanted
        self._by_version = {wanted.version: wanted}

    def of(self, recording: Recording) -> RetentionPolicy:
        """The policy that a recording began under."""
        return self._by_version[recording.policy_version]

    async def load(self, now: datetime) -> None:
        """Read the versions; when the settings differ from the newest, they become the next one."""
        rows = await RetentionPolicyRow.all().order_by("version")
        self._by_version = {row.version: _policy(row) for row in rows}
        newest = self._by_version[rows[-1].version] if rows else None
        if newest is None or not _same(newest, self.current):
            newest = await self._append(rows[-1].version + 1 if rows else 1, now)
        self.current = newest

    async def _append(self, version: int, now: datetime) -> RetentionPolicy:
        wanted = self.current
        row = await RetentionPolicyRow.create(
            version=version,
            public_days=wanted.public_for.days,
            review_days=wanted.review_for.days,
            longest_review_days=wanted.longest_review_for.days,
            since=now,
        )
        self._by_version[version] = _policy(row)
        return self._by_version[version]


def _policy(row: RetentionPolicyRow) -> RetentionPolicy:
    return RetentionPolicy(
        version=row.version,
        public_for=timedelta(days=row.public_days),
        review_for=timedelta(days=row.review_days),
        longest_review_for=timedelta(days=row.longest_review_days),
    )


def _same(one: RetentionPolicy, other: RetentionPolicy) -> bool:
    return (one.public_for, one.review_for, one.longest_review_for) == (
        other.public_for,
        other.review_for,
        other.longest_review_for,
    )
