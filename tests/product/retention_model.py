"""What ought to be true of a recording, told without the code under test."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.links import LinkKind
from services.viewers import Viewer

DAY, LEASE = timedelta(days=1), timedelta(seconds=60)


@dataclass
class Known:
    """What the model knows of one recording."""

    id: Any
    space_id: Any
    host: Viewer
    public_for: timedelta
    review_for: timedelta
    started_at: datetime
    status: str = "LIVE"
    ended_at: datetime | None = None
    gone_at: datetime | None = None
    case: bool = False
    held: bool = False
    condemned: bool = False
    lease_until: datetime | None = None
    links: list[tuple[LinkKind, str, datetime]] = field(default_factory=list)

    @property
    def expires_at(self) -> datetime | None:
        return self.ended_at + self.public_for if self.ended_at else None

    def seen(self, now: datetime) -> str:
        """The status that everybody sees at `now`."""
        lapsed = self.status == "AVAILABLE" and self.expires_at is not None and self.expires_at <= now
        return "EXPIRED" if lapsed else self.status

    def due_at(self, now: datetime) -> datetime | None:
        """From when on the copy may be, and by the next round is, destroyed."""
        gone_at = self.gone_at or (self.expires_at if self.seen(now) == "EXPIRED" else None)
        if gone_at is None or self.held or self.status == "PURGED":
            return None
        return gone_at + (120 * DAY if self.case else self.review_for)

    def is_free(self, now: datetime) -> bool:
        until = self.lease_until
        return until is None or until <= now or until > now + 2 * LEASE
