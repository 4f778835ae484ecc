"""What the coming days will expire and purge, under today's policy or another."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from models.recording import GONE, Recording, RecordingStatus
from services.errors import InvalidInput
from services.house import House
from services.retention import deadlines
from services.rules import RetentionPolicy

LONGEST_FORECAST_DAYS = 366
_PAGE = 2000
_COLUMNS = (
    "id", "status", "expires_at", "ended_at", "gone_at", "has_open_case", "is_held", "policy_version",
    "size_bytes", "created_at", "space_id", "host_id", "purge_sha256", "lost_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastDay:
    """One UTC day: recordings that expire, that are purged (with their bytes), and that a hold keeps from it."""

    day: date
    expiring: int = 0
    purging: int = 0
    purging_bytes: int = 0
    held: int = 0


@dataclass(slots=True)
class _Sums:
    """Counts by day."""

    expiring: Counter[date] = field(default_factory=Counter)
    purging: Counter[date] = field(default_factory=Counter)
    purging_bytes: Counter[date] = field(default_factory=Counter)
    held: Counter[date] = field(default_factory=Counter)


async def forecast(house: House, *, days: int, changed: RetentionPolicy | None = None) -> list[ForecastDay]:
    """The next `days` days, today first. What is overdue counts as today.

    With `changed`, recordings are taken as if they had begun under that policy; what is gone stays gone.
    """
    if not 1 <= days <= LONGEST_FORECAST_DAYS:
        raise InvalidInput(f"days must be 1 to {LONGEST_FORECAST_DAYS}, got {days}.", path=["days"])
    await house.policies.refresh()
    now = house.clock.now()
    sums = _Sums()
    async for page in _pages():
        for row in page:
            _count(sums, row, changed or house.policies.of(row), now, is_changed=changed is not None)
    return [
        ForecastDay(
            day=day,
            expiring=sums.expiring[day],
            purging=sums.purging[day],
            purging_bytes=sums.purging_bytes[day],
            held=sums.held[day],
        )
        for day in (now.date() + timedelta(days=offset) for offset in range(days))
    ]


async def _pages() -> AsyncIterator[list[Recording]]:
    """What has a clock that runs, in pages: others get their turn between them."""
    statuses = [RecordingStatus.AVAILABLE, *GONE]
    last = UUID(int=0)
    while True:
        rows = Recording.filter(status__in=statuses, id__gt=last).order_by("id").limit(_PAGE).only(*_COLUMNS)
        page = await rows
        yield page
        if len(page) < _PAGE:
            return
        last = page[-1].id


def _count(sums: _Sums, row: Recording, policy: RetentionPolicy, now: datetime, *, is_changed: bool) -> None:
    if row.status is RecordingStatus.AVAILABLE:
        if is_changed and row.ended_at is not None:
            row.expires_at = row.ended_at + policy.public_for
        if row.expires_at is None:
            return
        if row.expires_at > now:
            sums.expiring[row.expires_at.date()] += 1
        # As it will be once it has expired.
        row.status, row.gone_at = RecordingStatus.EXPIRED, row.expires_at
    is_held, row.is_held = row.is_held, False
    purge_at = deadlines(row, policy, now).purge_at
    if purge_at is None:
        return
    day = max(purge_at, now).date()
    if is_held:
        sums.held[day] += 1
    else:
        sums.purging[day] += 1
        sums.purging_bytes[day] += row.size_bytes


def what_if(current: RetentionPolicy, *, public_days: int | None, review_days: int | None) -> RetentionPolicy:
    """A policy with other lengths, for a forecast."""
    return replace(
        current,
        public_for=timedelta(days=public_days) if public_days is not None else current.public_for,
        review_for=timedelta(days=review_days) if review_days is not None else current.review_for,
    )
