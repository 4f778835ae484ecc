"""What happened in a Space, in order, written with the change: the outbox that everything else reads."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class SpaceEventKind(StrEnum):
    """The closed list of what can happen in a Space. SNAPSHOT is sent, never kept."""

    SNAPSHOT = "SNAPSHOT"
    CREATED = "CREATED"
    UPDATED = "UPDATED"
    STARTED = "STARTED"
    ENDING_SOON = "ENDING_SOON"
    ENDED = "ENDED"
    CANCELED = "CANCELED"
    RECORDING_TOGGLED = "RECORDING_TOGGLED"
    RECORDING_STATUS_CHANGED = "RECORDING_STATUS_CHANGED"
    PARTICIPANT_JOINED = "PARTICIPANT_JOINED"
    PARTICIPANT_LEFT = "PARTICIPANT_LEFT"
    PARTICIPANT_REMOVED = "PARTICIPANT_REMOVED"
    ROLE_CHANGED = "ROLE_CHANGED"
    MUTED_CHANGED = "MUTED_CHANGED"
    HAND_CHANGED = "HAND_CHANGED"


class SpaceEvent(Model):
    """`sequence` counts from 1 within the Space without holes. `facts` never change."""

    id = fields.BigIntField(primary_key=True, generated=True)
    space_id: UUID = fields.UUIDField()
    sequence = fields.BigIntField()
    kind = fields.CharEnumField(SpaceEventKind, max_length=24)
    at: datetime = InstantField()
    participant_id: UUID | None = fields.UUIDField(null=True)
    # True when the recording's status or icon changed: what `recordingStatus` sends.
    of_recording = fields.BooleanField(default=False)
    facts: dict[str, Any] = fields.JSONField(default=dict)

    class Meta:
        table = "space_event"
        unique_together = (("space_id", "sequence"),)
        indexes = (Index(fields=("at",)),)
