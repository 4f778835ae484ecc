"""Where people want their notifications by e-mail."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from models.fields import InstantField


class MailAddress(Model):
    """One an account. Nothing but the question is sent to it before `confirmed_at`. A new address has a new id."""

    id = fields.UUIDField(primary_key=True)
    account_id: UUID = fields.UUIDField(unique=True)
    address = fields.CharField(max_length=254)
    created_at: datetime = InstantField()
    confirmed_at: datetime | None = InstantField(null=True)

    class Meta:
        table = "mail_address"
