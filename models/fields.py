"""Column types of our own."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tortoise.fields.base import Field

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def to_ms(instant: datetime) -> int:
    """Whole milliseconds since 1970-01-01 UTC, rounded down."""
    return (instant - EPOCH) // _MS


def from_ms(value: int) -> datetime:
    """The aware UTC instant of `to_ms`."""
    return EPOCH + timedelta(milliseconds=value)


class InstantField(Field[datetime], datetime):
    """An aware UTC datetime kept as whole milliseconds since 1970, so that both databases order alike."""

    SQL_TYPE = "BIGINT"

    def __new__(cls, *_args: Any, **_kwargs: Any) -> "InstantField":  # datetime's own __new__ wants a date
        return Field.__new__(cls)

    def to_db_value(self, value: Any, instance: Any) -> Any:  # noqa: ARG002
        return to_ms(value) if isinstance(value, datetime) else value

    def to_python_value(self, value: Any) -> Any:
        return from_ms(value) if isinstance(value, int) else value
