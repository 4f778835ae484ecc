"""Clips: short stretches of recordings, without bytes of their own."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class Clip(Model):
    """From `start_ms` to `end_ms` since the recording's first audio. The row outlives what it played."""

    id = fields.UUIDField(primary_key=True)
    recording_id: UUID = fields.UUIDField()
    author_id: UUID = fields.UUIDField()
    host_id: UUID = fields.UUIDField()
    start_ms = fields.IntField()
    end_ms = fields.IntField()
    title = fields.CharField(max_length=200)
    created_at: datetime = InstantField()

    class Meta:
        table = "clip"
        indexes = (
            Index(fields=("recording_id", "created_at", "id")),
            Index(fields=("author_id",)),
        )
