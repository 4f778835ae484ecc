"""Legal holds: while one stands, nothing of its recording is destroyed."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class LegalHold(Model):
    """Who set it and why, and who released it and why. It stands until `released_at`."""

    id = fields.UUIDField(primary_key=True)
    recording_id: UUID = fields.UUIDField()
    set_by: UUID = fields.UUIDField()
    set_at: datetime = InstantField()
    reason = fields.CharField(max_length=2000)
    released_by: UUID | None = fields.UUIDField(null=True)
    released_at: datetime | None = InstantField(null=True)
    release_reason = fields.CharField(max_length=2000, default="")

    class Meta:
        table = "legal_hold"
        indexes = (Index(fields=("recording_id", "released_at")),)
