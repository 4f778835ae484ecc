"""Notifications on their way out of the house, one row for each address."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class Channel(StrEnum):
    """How something leaves the house."""

    PUSH = "PUSH"
    EMAIL = "EMAIL"


class Delivery(Model):
    """To one push subscription, or to the account's address. It goes once it is delivered or has lapsed."""

    id = fields.UUIDField(primary_key=True)
    notification_id: UUID = fields.UUIDField()
    account_id: UUID = fields.UUIDField()
    channel = fields.CharEnumField(Channel, max_length=8)
    target_id: UUID = fields.UUIDField()
    due_at: datetime = InstantField()
    lapses_at: datetime = InstantField()
    attempts = fields.IntField(default=0)
    lease_owner: str | None = fields.CharField(max_length=40, null=True)  # type: ignore[assignment]
    lease_until: datetime | None = InstantField(null=True)

    class Meta:
        table = "delivery"
        unique_together = (("notification_id", "target_id"),)
        indexes = (Index(fields=("due_at",)), Index(fields=("account_id",)))
