"""Who follows whom."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class Follow(Model):
    """`follower_id` sees the cards of `followee_id` on their timeline."""

    id = fields.UUIDField(primary_key=True)
    follower_id: UUID = fields.UUIDField()
    followee_id: UUID = fields.UUIDField()
    created_at: datetime = InstantField()

    class Meta:
        table = "follow"
        unique_together = (("follower_id", "followee_id"),)
        indexes = (
            Index(fields=("followee_id", "created_at", "id")),
            Index(fields=("follower_id", "created_at", "id")),
        )
