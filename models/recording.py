"""Recordings: one a Space at most, the row outlives the bytes."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model
from tortoise.queryset import QuerySet

from models.fields import InstantField


class RecordingStatus(StrEnum):
    """Where a recording is in its life."""

    ARMED = "ARMED"
    STARTING = "STARTING"
    RECORDING = "RECORDING"
    INTERRUPTED = "INTERRUPTED"
    FINALIZING = "FINALIZING"
    AVAILABLE = "AVAILABLE"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    DELETED = "DELETED"
    TAKEN_DOWN = "TAKEN_DOWN"
    PURGED = "PURGED"


_S = RecordingStatus
RECORDING_MOVES: frozenset[tuple[RecordingStatus, RecordingStatus]] = frozenset(
    {
        (_S.ARMED, _S.STARTING),
        (_S.STARTING, _S.RECORDING),
        (_S.STARTING, _S.FINALIZING),
        (_S.STARTING, _S.FAILED),
        (_S.STARTING, _S.DELETED),
        (_S.STARTING, _S.TAKEN_DOWN),
        (_S.RECORDING, _S.INTERRUPTED),
        (_S.RECORDING, _S.FINALIZING),
        (_S.RECORDING, _S.DELETED),
        (_S.RECORDING, _S.TAKEN_DOWN),
        (_S.INTERRUPTED, _S.RECORDING),
        (_S.INTERRUPTED, _S.FINALIZING),
        (_S.INTERRUPTED, _S.DELETED),
        (_S.INTERRUPTED, _S.TAKEN_DOWN),
        (_S.FINALIZING, _S.AVAILABLE),
        (_S.FINALIZING, _S.FAILED),
        (_S.FINALIZING, _S.DELETED),
        (_S.FINALIZING, _S.TAKEN_DOWN),
        (_S.AVAILABLE, _S.EXPIRED),
        (_S.AVAILABLE, _S.DELETED),
        (_S.AVAILABLE, _S.TAKEN_DOWN),
        (_S.EXPIRED, _S.PURGED),
        (_S.DELETED, _S.PURGED),
        (_S.TAKEN_DOWN, _S.PURGED),
    }
)
# The recording icon is on in these.
ICON_ON = frozenset({_S.STARTING, _S.RECORDING, _S.INTERRUPTED})
# Nobody can play it any more, and a review copy may remain.
GONE = frozenset({_S.EXPIRED, _S.DELETED, _S.TAKEN_DOWN})


class Recording(Model):
    """`gone_at` is the instant from which nobody can play it, the review clock starts there."""

    id = fields.UUIDField(primary_key=True)
    space_id: UUID = fields.UUIDField(unique=True)
    host_id: UUID = fields.UUIDField()
    status = fields.CharEnumField(RecordingStatus, max_length=12, default=RecordingStatus.ARMED)
    failure_reason: str | None = fields.CharField(max_length=200, null=True)  # type: ignore[assignment]
    created_at: datetime = InstantField()
    started_at: datetime | None = InstantField(null=True)
    ended_at: datetime | None = InstantField(null=True)
    duration_ms = fields.IntField(default=0)
    size_bytes = fields.BigIntField(default=0)
    gaps: list[dict[str, Any]] = fields.JSONField(default=list)
    start_offset_ms = fields.IntField(default=0)
    play_count = fields.IntField(default=0)
    share_count = fields.IntField(default=0)
    policy_version = fields.IntField()
    # Open reports or appeals, and until when they must be decided at the latest.
    has_open_case = fields.BooleanField(default=False)
    case_deadline: datetime | None = InstantField(null=True)
    is_held = fields.BooleanField(default=False)
    # As its Space: playback needs a ticket.
    is_ticketed = fields.BooleanField(default=False)
    expires_at: datetime | None = InstantField(null=True)
    gone_at: datetime | None = InstantField(null=True)
    purge_at: datetime | None = InstantField(null=True)
    purged_at: datetime | None = InstantField(null=True)
    # Since when the store lacks its audio, without a purge.
    lost_at: datetime | None = InstantField(null=True)
    # What the purge found, kept before the first byte goes: it outlives a crash half-way.
    purge_bytes: int | None = fields.BigIntField(null=True)
    purge_sha256: str | None = fields.CharField(max_length=64, null=True)  # type: ignore[assignment]
    lease_owner: str | None = fields.CharField(max_length=40, null=True)  # type: ignore[assignment]
    lease_until: datetime | None = InstantField(null=True)

    class Meta:
        table = "recording"
        indexes = (
            Index(fields=("host_id", "created_at", "id")),
            Index(fields=("status", "expires_at")),
            Index(fields=("status", "purge_at")),
            Index(fields=("has_open_case", "case_deadline", "id")),
        )

    @property
    def is_condemned(self) -> bool:
        """Whether its purge has begun: what there was is written down, and from there on bytes go."""
        return self.purge_sha256 is not None

    @property
    def is_lost(self) -> bool:
        """Whether it would be playable, were its audio in the store."""
        return self.status is RecordingStatus.AVAILABLE and self.lost_at is not None

    @classmethod
    def expiring(cls, now: datetime) -> QuerySet["Recording"]:
        """Recordings whose public clock has run out at `now`, the most overdue first."""
        return cls.filter(status=RecordingStatus.AVAILABLE, expires_at__lte=now).order_by("expires_at")

    @classmethod
    def due(cls, now: datetime) -> QuerySet["Recording"]:
        """Recordings whose review clock has run out at `now`."""
        return cls.filter(status__in=list(GONE), purge_at__lte=now, is_held=False)
