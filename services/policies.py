"""Retention policies by version. What runs under a version runs to its end under it."""

from datetime import datetime, timedelta

from tortoise.exceptions import IntegrityError

from models.recording import Recording
from models.retention_policy import RetentionPolicyRow
from services.errors import Unavailable
from services.rules import RetentionPolicy


class PolicyBook:
    """Every policy there ever was, and the one that new recordings begin under."""

    def __init__(self, wanted: RetentionPolicy) -> None:
        self._wanted = wanted
        self.current = wanted
        self._by_version = {wanted.version: wanted}

    def of(self, recording: Recording) -> RetentionPolicy:
        """The policy that a recording began under. Raises Unavailable for one that is younger than the last look."""
        try:
            return self._by_version[recording.policy_version]
        except KeyError:
            raise Unavailable(
                "This recording began under a policy that was made just now. Ask again shortly.",
                retry_after_ms=15_000,
            ) from None

    async def read(self) -> None:
        """Read the versions and go by the newest. Changes nothing."""
        rows = await RetentionPolicyRow.all().order_by("version")
        if rows:
            self._by_version = {row.version: _policy(row) for row in rows}
            self.current = self._by_version[rows[-1].version]

    async def refresh(self) -> None:
        """Learn what other processes have adopted since. What new recordings here begin under stays."""
        current = self.current
        await self.read()
        self.current = current

    async def adopt(self, now: datetime) -> None:
        """Read the versions; when the settings differ from the newest, they become the next one."""
        for _ in range(3):
            await self.read()
            is_known = await RetentionPolicyRow.exists(version=self.current.version)
            if is_known and _same(self.current, self._wanted):
                return
            try:
                await self._append(self.current.version + 1 if is_known else 1, now)
            except IntegrityError:
                continue  # another process was quicker: look again
            return
        raise Unavailable("Other processes keep adopting policies. Start again.")

    async def _append(self, version: int, now: datetime) -> None:
        wanted = self._wanted
        row = await RetentionPolicyRow.create(
            version=version,
            public_days=wanted.public_for.days,
            review_days=wanted.review_for.days,
            longest_review_days=wanted.longest_review_for.days,
            since=now,
        )
        self.current = self._by_version[version] = _policy(row)


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
