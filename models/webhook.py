"""Addresses that integrators are called at."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class WebhookEvent(StrEnum):
    """What a webhook is called for."""

    SPACE_STARTED = "SPACE_STARTED"
    SPACE_ENDED = "SPACE_ENDED"
    RECORDING_STARTED = "RECORDING_STARTED"
    RECORDING_AVAILABLE = "RECORDING_AVAILABLE"
    RECORDING_SHARED = "RECORDING_SHARED"
    RECORDING_DELETED = "RECORDING_DELETED"
    RECORDING_EXPIRED = "RECORDING_EXPIRED"
    RECORDING_TAKEN_DOWN = "RECORDING_TAKEN_DOWN"
    RECORDING_PURGED = "RECORDING_PURGED"
    RECORDING_FAILED = "RECORDING_FAILED"


class Webhook(Model):
    """Called for events of its owner's Spaces. `secrets` are sealed, the newest first, the others each with its end."""

    id = fields.UUIDField(primary_key=True)
    account_id: UUID = fields.UUIDField()
    url = fields.CharField(max_length=2000)
    events: list[str] = fields.JSONField(default=list)
    secrets: list[dict[str, str | int]] = fields.JSONField(default=list)
    created_at: datetime = InstantField()
    # Since when nothing is sent, because the other side said that it is gone for good.
    disabled_at: datetime | None = InstantField(null=True)

    class Meta:
        table = "webhook"
        indexes = (Index(fields=("account_id", "created_at")),)
