"""What people are told, in their own sequence."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class NotificationKind(StrEnum):
    """What people are told of."""

    INVITED = "INVITED"
    REMINDER = "REMINDER"
    SPACE_STARTED = "SPACE_STARTED"
    TICKET_ISSUED = "TICKET_ISSUED"
    TICKET_REFUNDED = "TICKET_REFUNDED"
    RECORDING_AVAILABLE = "RECORDING_AVAILABLE"
    RECORDING_EXPIRING = "RECORDING_EXPIRING"
    RECORDING_TAKEN_DOWN = "RECORDING_TAKEN_DOWN"
    CASE_CLOSED = "CASE_CLOSED"


class Notification(Model):
    """`sequence` counts from 1 for each person. `occasion` names what it is about, nobody is told twice of one."""

    id = fields.UUIDField(primary_key=True)
    account_id: UUID = fields.UUIDField()
    sequence = fields.BigIntField()
    kind = fields.CharEnumField(NotificationKind, max_length=24)
    occasion = fields.CharField(max_length=100)
    at: datetime = InstantField()
    space_id: UUID | None = fields.UUIDField(null=True)
    recording_id: UUID | None = fields.UUIDField(null=True)
    invitation_id: UUID | None = fields.UUIDField(null=True)
    ticket_id: UUID | None = fields.UUIDField(null=True)

    class Meta:
        table = "notification"
        unique_together = (("account_id", "sequence"), ("account_id", "occasion"))
        indexes = (Index(fields=("at",)),)
