"""What moderators took from accounts, and why."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.account import Suspension
from models.fields import InstantField


class Sanction(Model):
    """One suspension, or its end (NONE)."""

    id = fields.UUIDField(primary_key=True)
    account_id: UUID = fields.UUIDField()
    moderator_id: UUID = fields.UUIDField()
    suspension = fields.CharEnumField(Suspension, max_length=12)
    until: datetime | None = InstantField(null=True)
    reason = fields.CharField(max_length=2000)
    at: datetime = InstantField()

    class Meta:
        table = "sanction"
        indexes = (Index(fields=("account_id", "at")),)
