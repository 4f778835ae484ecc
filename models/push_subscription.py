"""Browsers and apps that take Web Push."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class PushSubscription(Model):
    """One endpoint, of whoever signed in there last. `p256dh` and `auth` are what its browser made (RFC 8291)."""

    id = fields.UUIDField(primary_key=True)
    account_id: UUID = fields.UUIDField()
    endpoint = fields.CharField(max_length=1000)
    # SHA-256 in hexadecimal: the endpoint itself is too long for an index everywhere.
    endpoint_hash = fields.CharField(max_length=64, unique=True)
    p256dh = fields.CharField(max_length=100)
    auth = fields.CharField(max_length=40)
    created_at: datetime = InstantField()

    class Meta:
        table = "push_subscription"
        indexes = (Index(fields=("account_id",)),)
