"""Who an account is at an OpenID Connect provider."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class Identity(Model):
    """One subject of one issuer. `key` is the SHA-256 of both: it stays when the account is deleted and they go."""

    id = fields.UUIDField(primary_key=True)
    account_id: UUID = fields.UUIDField()
    key = fields.CharField(max_length=64, unique=True)
    issuer = fields.CharField(max_length=255)
    subject = fields.CharField(max_length=255)
    created_at: datetime = InstantField()
    # Tokens that were issued before are good no more.
    signed_out_at: datetime | None = InstantField(null=True)

    class Meta:
        table = "identity"
        indexes = (Index(fields=("account_id",)),)
