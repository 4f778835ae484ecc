"""What the coming days will expire and purge, under today's policy or another."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from models.recording import GONE, Recording, RecordingStatus
from services.errors import InvalidInput
from services.house import House
from services.retention import deadlines, gone_since
from services.rules import RetentionPolicy

LONGEST_FORECAST_DAYS = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastDay:
    """One UTC day: recordings that expire, that are purged (with their bytes), and that a hold keeps from it."""

    day: date
    expiring: int = 0
    purging: int = 0
    purging_bytes: int = 0
    held: int = 0


async def forecast(house: House, *, days: int, changed: RetentionPolicy | None = None) -> list[ForecastDay]:
    """The next `days` days, today first. What is overdue counts as today.

    With `changed`, recordings are taken as if they had begun under that policy.
    """
    if not 1 <= days <= LONGEST_FORECAST_DAYS:
        raise InvalidInput(f"days must be 1 to {LONGEST_FORECAST_DAYS}, got {days}.", path=["days"])
    now = house.clock.now()
    statuses = [RecordingStatus.AVAILABLE, *GONE]
    rows = await Recording.filter(status__in=statuses)
    return _days(rows, house, now, days, changed)


def _days(
    rows: Iterable[Recording], house: House, now: datetime, days: int, changed: RetentionPolicy | None
) -> list[ForecastDay]:
    expiring: Counter[date] = Counter()
    purging: Counter[date] = Counter()
    purging_bytes: Counter[date] = Counter()
    held: Counter[date] = Counter()
    for row in rows:
        policy = changed or house.policies.of(row)
        expires_at, purge_at, is_held = _dates(row, policy, now)
        if expires_at is not None:
            expiring[_day(expires_at, now)] += 1
        if purge_at is not None and is_held:
            held[_day(purge_at, now)] += 1
        elif purge_at is not None:
            purging[_day(purge_at, now)] += 1
            purging_bytes[_day(purge_at, now)] += row.size_bytes
    return [
        ForecastDay(
            day=day,
            expiring=expiring[day],
            purging=purging[day],
            purging_bytes=purging_bytes[day],
            held=held[day],
        )
        for day in (now.date() + timedelta(days=offset) for offset in range(days))
    ]


def _dates(
    row: Recording, policy: RetentionPolicy, now: datetime
) -> tuple[datetime | None, datetime | None, bool]:
    """When a recording expires (if it still will), when its copy would go, and whether a hold keeps it."""
    gone_at = gone_since(row, now)
    expires_at = None
    if gone_at is None and row.ended_at is not None:
        expires_at = row.ended_at + policy.public_for
        gone_at = expires_at
    if gone_at is None:
        return None, None, False
    as_gone = _copy(row, gone_at)
    return expires_at, deadlines(as_gone, policy, now).purge_at, row.is_held


def _copy(row: Recording, gone_at: datetime) -> Recording:
    """The row as it will be once gone, without its hold: a hold is counted, not dated."""
    return Recording(
        id=row.id,
        space_id=row.space_id,
        host_id=row.host_id,
        status=RecordingStatus.EXPIRED,
        created_at=row.created_at,
        policy_version=row.policy_version,
        expires_at=row.expires_at,
        gone_at=gone_at,
        has_open_case=row.has_open_case,
    )


def _day(moment: datetime, now: datetime) -> date:
    return max(moment, now).date()


def what_if(current: RetentionPolicy, *, public_days: int | None, review_days: int | None) -> RetentionPolicy:
    """A policy with other lengths, for a forecast."""
    return replace(
        current,
        public_for=timedelta(days=public_days) if public_days is not None else current.public_for,
        review_for=timedelta(days=review_days) if review_days is not None else current.review_for,
    )
