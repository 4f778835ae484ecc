"""Which listenings have been counted as plays."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class Listening(Model):
    """`key` names one viewer's listening (the media link it came by), it counts once."""

    id = fields.UUIDField(primary_key=True)
    recording_id: UUID = fields.UUIDField()
    key = fields.CharField(max_length=64)
    at: datetime = InstantField()

    class Meta:
        table = "listening"
        unique_together = (("recording_id", "key"),)
        indexes = (Index(fields=("at",)),)
