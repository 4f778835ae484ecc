"""Who has blocked whom. A block hides both from each other."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class Block(Model):
    """`blocker_id` and `blocked_id` see nothing of each other."""

    id = fields.UUIDField(primary_key=True)
    blocker_id: UUID = fields.UUIDField()
    blocked_id: UUID = fields.UUIDField()
    created_at: datetime = InstantField()

    class Meta:
        table = "block"
        unique_together = (("blocker_id", "blocked_id"),)
        indexes = (Index(fields=("blocked_id",)),)
