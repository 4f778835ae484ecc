"""Pictures of people, made anew by us: small, and without anything but the picture."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from models.fields import InstantField


class Avatar(Model):
    """`digest` is the SHA-256 of `picture`, a JPEG, in hexadecimal."""

    account_id: UUID = fields.UUIDField(primary_key=True)
    digest = fields.CharField(max_length=64)
    picture = fields.BinaryField()
    made_at: datetime = InstantField()

    class Meta:
        table = "avatar"
