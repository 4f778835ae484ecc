"""What hosts say against a take-down."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class Appeal(Model):
    """One statement of a host. It is open until `closed_at`."""

    id = fields.UUIDField(primary_key=True)
    recording_id: UUID = fields.UUIDField()
    account_id: UUID = fields.UUIDField()
    statement = fields.CharField(max_length=2000)
    created_at: datetime = InstantField()
    closed_at: datetime | None = InstantField(null=True)

    class Meta:
        table = "appeal"
        indexes = (Index(fields=("recording_id", "closed_at")),)
