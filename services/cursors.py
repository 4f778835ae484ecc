"""Cursors: opaque to clients, parsed once and strictly."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from models.fields import from_ms, to_ms
from services.errors import CursorExpired, InvalidInput

_LONGEST = 300


def _bad() -> InvalidInput:
    return InvalidInput("This cursor was not made here. Use one that this field answered.", path=["after"])


def pack(parts: list[str | int]) -> str:
    """An opaque cursor of some strings and numbers."""
    return base64.urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()


def unpack(cursor: str, kinds: tuple[type, ...]) -> list[str | int]:
    """What `pack` took, if it has just these kinds. Raises InvalidInput."""
    if not cursor or len(cursor) > _LONGEST or not cursor.isascii():
        raise _bad()
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise _bad() from error
    if not isinstance(parts, list) or [type(part) for part in parts] != list(kinds):
        raise _bad()
    if any(isinstance(part, int) and not 0 <= part < 2**62 for part in parts):
        raise _bad()
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCursor:
    """A place in a sequence of events: of one Space, or (`stream` None) of all cards."""

    stream: UUID | None
    sequence: int
    at: datetime

    def pack(self) -> str:
        """The opaque form."""
        return pack(["e", self.stream.hex if self.stream else "", self.sequence, to_ms(self.at)])

    @classmethod
    def read(cls, cursor: str, *, stream: UUID | None, now: datetime, kept: timedelta) -> "EventCursor":
        """The place a cursor names. Raises InvalidInput, also for another stream's, or CursorExpired."""
        mark, named, sequence, at_ms = unpack(cursor, (str, str, int, int))
        if mark != "e" or named != (stream.hex if stream else ""):
            raise _bad()
        try:
            at = from_ms(int(at_ms))
        except OverflowError as error:
            raise _bad() from error
        if at <= now - kept:
            raise CursorExpired
        return cls(stream=stream, sequence=int(sequence), at=at)
