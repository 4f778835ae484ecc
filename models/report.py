"""What people report, and what hosts appeal."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class ReportCategory(StrEnum):
    """What is wrong with what is reported."""

    ABUSE = "ABUSE"
    HATE = "HATE"
    VIOLENCE = "VIOLENCE"
    SELF_HARM = "SELF_HARM"
    CHILD_SAFETY = "CHILD_SAFETY"
    PRIVACY = "PRIVACY"
    SPAM = "SPAM"
    OTHER = "OTHER"


class ReportState(StrEnum):
    """Whether a moderator has decided."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


class SubjectKind(StrEnum):
    """What a report is about."""

    RECORDING = "RECORDING"
    SPACE = "SPACE"
    USER = "USER"


class Report(Model):
    """One person's report of a recording, a Space or a person."""

    id = fields.UUIDField(primary_key=True)
    subject_kind = fields.CharEnumField(SubjectKind, max_length=10)
    subject_id: UUID = fields.UUIDField()
    reporter_id: UUID = fields.UUIDField()
    category = fields.CharEnumField(ReportCategory, max_length=12)
    reason = fields.CharField(max_length=2000)
    state = fields.CharEnumField(ReportState, max_length=6, default=ReportState.OPEN)
    created_at: datetime = InstantField()
    closed_at: datetime | None = InstantField(null=True)

    class Meta:
        table = "report"
        indexes = (
            Index(fields=("subject_id", "state")),
            Index(fields=("state", "created_at", "id")),
            Index(fields=("created_at", "id")),
        )
