"""Personal access tokens. The secret itself is never kept, only its SHA-256."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class AccessScope(StrEnum):
    """What a token may do of what its owner may do."""

    READ = "READ"
    SPACES_WRITE = "SPACES_WRITE"
    RECORDINGS_WRITE = "RECORDINGS_WRITE"
    AUDIO_PUBLISH = "AUDIO_PUBLISH"
    WEBHOOKS = "WEBHOOKS"
    MODERATION = "MODERATION"


class AccessToken(Model):
    """One token. Its row goes when it is revoked."""

    id = fields.UUIDField(primary_key=True)
    account_id: UUID = fields.UUIDField()
    name = fields.CharField(max_length=100)
    scopes: list[str] = fields.JSONField(default=list)
    secret_hash = fields.CharField(max_length=64, unique=True)
    created_at: datetime = InstantField()
    expires_at: datetime | None = InstantField(null=True)
    last_used_at: datetime | None = InstantField(null=True)

    class Meta:
        table = "access_token"
        indexes = (Index(fields=("account_id", "created_at")),)
