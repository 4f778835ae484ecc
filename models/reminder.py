"""Who asked to be reminded of which Space."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class Reminder(Model):
    """`Space.reminder_count` counts these."""

    id = fields.UUIDField(primary_key=True)
    space_id: UUID = fields.UUIDField()
    account_id: UUID = fields.UUIDField()
    created_at: datetime = InstantField()

    class Meta:
        table = "reminder"
        unique_together = (("space_id", "account_id"),)
        indexes = (Index(fields=("account_id",)),)
