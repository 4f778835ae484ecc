"""The scalars of our own."""

import re
from datetime import UTC, date, datetime
from typing import NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

from services.outward import instant

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)")
_MOST_BYTES = 2**53

ByteCount = NewType("ByteCount", int)


def _read_instant(value: object) -> datetime:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("expected an ISO 8601 time with its zone, such as 2026-01-31T18:00:00.000Z")
    try:
        read = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("expected a time that exists") from error
    return read.replace(microsecond=read.microsecond // 1000 * 1000)


def _read_bytes(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_BYTES:
        raise ValueError("expected a whole number from 0 to 2^53")
    return value


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="ISO 8601 time in UTC with milliseconds, such as `2026-01-31T18:00:00.000Z`.",
        serialize=instant,
        parse_value=_read_instant,
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
    ),
    date: strawberry.scalar(
        name="Date",
        description="ISO 8601 day in UTC, such as `2026-01-31`.",
        serialize=date.isoformat,
        parse_value=date.fromisoformat,
    ),
    ByteCount: strawberry.scalar(
        name="ByteCount",
        description="Whole bytes, a JSON integer from 0 to 2^53.",
        serialize=int,
        parse_value=_read_bytes,
    ),
}
