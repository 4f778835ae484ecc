"""What webhooks are called with: the outbox, written with the change that it tells of."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField
from models.webhook import WebhookEvent


class DeliveryState(StrEnum):
    """How far a delivery is."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


class WebhookDelivery(Model):
    """One event for one webhook. `id` is the message's, at every attempt.

    `number` orders the events of a Space. Of those of one Space and webhook that are PENDING, the first alone has
    `due_at`: the others wait for it.
    """

    id = fields.UUIDField(primary_key=True)
    webhook_id: UUID = fields.UUIDField()
    account_id: UUID = fields.UUIDField()
    space_id: UUID = fields.UUIDField()
    number = fields.BigIntField()
    event = fields.CharEnumField(WebhookEvent, max_length=24)
    # As of the event, and byte for byte the same at every attempt.
    body = fields.TextField()
    at: datetime = InstantField()
    state = fields.CharEnumField(DeliveryState, max_length=12, default=DeliveryState.PENDING)
    attempts = fields.IntField(default=0)
    last_status_code: int | None = fields.IntField(null=True)
    due_at: datetime | None = InstantField(null=True)
    # An attempt that fails from then on was the last.
    lapses_at: datetime = InstantField()
    lease_owner: str | None = fields.CharField(max_length=40, null=True)  # type: ignore[assignment]
    lease_until: datetime | None = InstantField(null=True)

    class Meta:
        table = "webhook_delivery"
        unique_together = (("webhook_id", "space_id", "number"),)
        indexes = (
            Index(fields=("webhook_id", "at", "id")),
            Index(fields=("space_id", "number")),
            Index(fields=("due_at",)),
            Index(fields=("state", "at")),
            Index(fields=("account_id",)),
        )
