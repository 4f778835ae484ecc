"""The audit log: ids and facts, no names and no free text, so that erasing an account never fights it."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class AuditEntry(Model):
    """One act. It is written with the change and never altered."""

    id = fields.BigIntField(primary_key=True, generated=True)
    at: datetime = InstantField()
    actor_id: UUID | None = fields.UUIDField(null=True)
    action = fields.CharField(max_length=40)
    subject_kind = fields.CharField(max_length=20)
    subject_id: UUID = fields.UUIDField()
    outcome = fields.CharField(max_length=200)
    # Place in the chain, from 1, and
    number: int | None = fields.BigIntField(null=True, unique=True)
    # SHA-256 over this entry and the hash before it, in hexadecimal, null until sealed.
    hash: str | None = fields.CharField(max_length=64, null=True)  # type: ignore[assignment]

    class Meta:
        table = "audit_entry"
        indexes = (
            Index(fields=("subject_id", "at", "id")),
            Index(fields=("at", "id")),
            Index(fields=("hash",)),
        )
