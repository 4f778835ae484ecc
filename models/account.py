"""People with an account. A deleted account keeps its row, nameless."""

from datetime import datetime
from enum import StrEnum

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class Suspension(StrEnum):
    """What a moderator has taken from an account."""

    NONE = "NONE"
    RECORDING = "RECORDING"
    ACCOUNT = "ACCOUNT"


class Account(Model):
    """One person. `handle_key` is the handle in lower case, unique for ever."""

    id = fields.UUIDField(primary_key=True)
    handle = fields.CharField(max_length=30)
    handle_key = fields.CharField(max_length=40, unique=True)
    name = fields.CharField(max_length=100)
    bio: str | None = fields.CharField(max_length=500, null=True)  # type: ignore[assignment]
    password_hash = fields.CharField(max_length=200)
    # SHA-256 of the picture; null without one.
    avatar_digest: str | None = fields.CharField(max_length=64, null=True)  # type: ignore[assignment]
    is_moderator = fields.BooleanField(default=False)
    records_by_default = fields.BooleanField(default=False)
    suspension = fields.CharEnumField(Suspension, max_length=12, default=Suspension.NONE)
    suspended_until: datetime | None = InstantField(null=True)
    follower_count = fields.IntField(default=0)
    following_count = fields.IntField(default=0)
    created_at: datetime = InstantField()
    deleted_at: datetime | None = InstantField(null=True)
    # Deleted, and what follows from that is not done yet.
    is_leaving = fields.BooleanField(default=False)

    class Meta:
        table = "account"
        indexes = (Index(fields=("is_leaving",)),)

    def suspended_at(self, now: datetime) -> Suspension:
        """What is taken from the account at `now`: one that had an end has no effect after it."""
        if self.suspended_until is not None and self.suspended_until <= now:
            return Suspension.NONE
        return self.suspension
