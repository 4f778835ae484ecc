"""Where each person stopped listening."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from models.fields import InstantField


class PlaybackPosition(Model):
    """The position of the latest listening, by when it was listened, not by when it was told."""

    id = fields.UUIDField(primary_key=True)
    account_id: UUID = fields.UUIDField()
    recording_id: UUID = fields.UUIDField()
    position_ms = fields.IntField()
    listened_at: datetime = InstantField()

    class Meta:
        table = "playback_position"
        unique_together = (("account_id", "recording_id"),)
