"""What carries a notification out of the house, and how it went."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One notification in words. `valid_for`: how long it is worth keeping on the way."""

    id: UUID
    kind: str
    text: str
    url: str
    at: datetime
    valid_for: timedelta
    stop_url: str = ""


class Carried(StrEnum):
    """How it went: done, again later, or never to this address again."""

    DONE = "DONE"
    LATER = "LATER"
    GONE = "GONE"


class Carrier(Protocol):
    """One way out of the house."""

    async def carry(self, target: Any, message: Message, *, now: datetime) -> Carried:
        """Hand a message on to a target row. Never raises for what the other side does."""
