"""Receipts: the signed word that nothing is left."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from models.fields import InstantField


class PurgeReceipt(Model):
    """One a purged recording. `document` is a compact JWS over the same facts."""

    recording_id: UUID = fields.UUIDField(primary_key=True)
    purged_at: datetime = InstantField()
    size_bytes = fields.BigIntField()
    sha256 = fields.CharField(max_length=64)
    document = fields.TextField()

    class Meta:
        table = "purge_receipt"
