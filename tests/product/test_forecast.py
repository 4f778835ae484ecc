"""What the coming days will expire and purge."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.recording import Recording
from tests.product.court import Court, spaces

FORECAST = """query($days: Int!) { moderation { retentionForecast(days: $days) {
    date expiring purging purgingBytes held } } }"""
DAY = timedelta(days=1)
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


async def forecast(court: Court, days: int) -> dict[str, tuple[int, int, int, int]]:
    """The days on which something happens."""
    found = (await court.moderator.read(FORECAST, days=days))["moderation"]["retentionForecast"]
    assert [one["date"] for one in found] == [
        (court.town.clock.now() + DAY * n).date().isoformat() for n in range(days)
    ]
    rows = {one["date"]: (one["expiring"], one["purging"], one["purgingBytes"], one["held"]) for one in found}
    return {day: counts for day, counts in rows.items() if any(counts)}


async def size(court: Court) -> int:
    return int((await Recording.all().first()).size_bytes)  # type: ignore[union-attr]


async def test_a_forecast_counts_what_expires_what_is_purged_and_what_is_held(court: Court) -> None:
    court.town.clock.stand_at(NOON)
    await court.recorded()
    await court.deleted()
    held, _ = await court.deleted()
    reported, _ = await court.deleted()
    await court.hold(held)
    await court.report(reported)
    each = await size(court)

    assert await forecast(court, 150) == {
        "2027-03-31": (1, 1, each, 1),
        "2027-04-30": (0, 1, each, 0),
        "2027-06-29": (0, 1, each, 0),
    }


async def test_a_forecast_is_true(court: Court) -> None:
    """What the forecast says of each day is what the clockwork does on it."""
    court.town.clock.stand_at(NOON)
    for days in (0, 1, 1, 5):
        court.town.clock.stand_at(NOON + days * DAY)
        await court.recorded()
        await court.deleted()
    start = court.town.clock.now()
    said = await forecast(court, 100)
    done = {}
    for offset in range(100):
        midnight = datetime.combine(start.date() + DAY * (offset + 1), datetime.min.time(), UTC)
        before = await _purged(court), await _lapsed(court)
        await court.at(midnight - timedelta(milliseconds=1))
        counts = ((await _lapsed(court)) - before[1], (await _purged(court)) - before[0])
        if any(counts):
            done[(midnight - DAY).date().isoformat()] = counts
    assert done == {day: counts[:2] for day, counts in said.items()}


async def _purged(court: Court) -> int:
    return await Recording.filter(status="PURGED", expires_at__isnull=False).count()


async def _lapsed(court: Court) -> int:
    """Expired, whatever came after."""
    return await Recording.exclude(gone_at=None).filter(deleted_early(court)).count()


def deleted_early(_court: Court) -> Any:
    from tortoise.expressions import F, Q

    return Q(gone_at=F("expires_at"))


async def test_what_is_overdue_counts_as_today(court: Court) -> None:
    court.town.clock.stand_at(NOON)
    await court.deleted()
    court.town.clock.stand_at(NOON + 45 * DAY)
    assert await forecast(court, 1) == {"2027-04-15": (0, 1, await size(court), 0)}


@pytest.mark.parametrize("days", [0, -1, 367])
async def test_days_have_bounds(court: Court, days: int) -> None:
    answer = await court.moderator.ask(FORECAST, days=days)
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


@pytest.mark.long
async def test_the_command_line_plots_the_plan_and_a_what_if(court: Court) -> None:
    court.town.clock.frozen = None
    recording_id = await court.recorded()
    until = (await court.of(recording_id, "expiresAt"))["expiresAt"][:10]
    status, printed = await spaces(court.town.data_dir, "retention", "plan", "--days", "35")
    rows = [line for line in printed.splitlines() if line.startswith("│ 2")]
    assert (status, len(rows)) == (0, 35)
    assert [row for row in rows if "░" in row] == [row for row in rows if until in row]

    status, printed = await spaces(
        court.town.data_dir, "retention", "plan", "--days", "10", "--public-days", "5"
    )
    rows = [line for line in printed.splitlines() if line.startswith("│ 2")]
    assert [n for n, row in enumerate(rows) if "░" in row] == [5]
    assert (await court.of(recording_id, "expiresAt"))["expiresAt"][:10] == until
