"""Openings of review copies, each with its reason."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class ReviewOpening(Model):
    """One moderator opened one review copy. The host is told once the case is closed."""

    id = fields.UUIDField(primary_key=True)
    recording_id: UUID = fields.UUIDField()
    moderator_id: UUID = fields.UUIDField()
    reason = fields.CharField(max_length=2000)
    at: datetime = InstantField()
    disclosed_at: datetime | None = InstantField(null=True)

    class Meta:
        table = "review_opening"
        indexes = (Index(fields=("recording_id", "at")),)
