"""Signed-in sessions. The token itself is never kept, only its SHA-256."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class Session(Model):
    """One sign-in, it ends when it expires or is revoked."""

    id = fields.UUIDField(primary_key=True)
    account_id: UUID = fields.UUIDField()
    token_hash = fields.CharField(max_length=64, unique=True)
    created_at: datetime = InstantField()
    expires_at: datetime = InstantField()

    class Meta:
        table = "session"
        indexes = (Index(fields=("account_id",)), Index(fields=("expires_at",)))
