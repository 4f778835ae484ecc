"""Keys of requests that may be sent again, with the answers that were given."""

from datetime import datetime

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class IdempotencyKey(Model):
    """One person's key. `answer` is sealed, and null while the first request is under way."""

    id = fields.CharField(max_length=64, primary_key=True, description="SHA-256 of person and key")
    fingerprint = fields.CharField(max_length=64, description="SHA-256 of the request")
    claimed_at: datetime = InstantField()
    expires_at: datetime = InstantField()
    answer: bytes | None = fields.BinaryField(null=True)

    class Meta:
        table = "idempotency_key"
        indexes = (Index(fields=("expires_at",)),)
