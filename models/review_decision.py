"""What moderators decided."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class Decision(StrEnum):
    """The two ways in which a case closes."""

    CLEAR = "CLEAR"
    VIOLATION = "VIOLATION"


class ReviewDecision(Model):
    """One decision on one recording, with the moderator's note."""

    id = fields.UUIDField(primary_key=True)
    recording_id: UUID = fields.UUIDField()
    moderator_id: UUID = fields.UUIDField()
    decision = fields.CharEnumField(Decision, max_length=10)
    note = fields.CharField(max_length=2000)
    at: datetime = InstantField()

    class Meta:
        table = "review_decision"
        indexes = (Index(fields=("recording_id", "at")),)
