"""Who was asked to be a co-host or a speaker, and what they answered."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class InvitedRole(StrEnum):
    """What somebody is asked to be."""

    COHOST = "COHOST"
    SPEAKER = "SPEAKER"


class InvitationState(StrEnum):
    """OPEN until it is answered, or lapses because it can no longer be accepted."""

    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    LAPSED = "LAPSED"


class Invitation(Model):
    """One role in one Space, offered to `account_id` by its host or a co-host."""

    id = fields.UUIDField(primary_key=True)
    space_id: UUID = fields.UUIDField()
    account_id: UUID = fields.UUIDField()
    inviter_id: UUID = fields.UUIDField()
    role = fields.CharEnumField(InvitedRole, max_length=8)
    state = fields.CharEnumField(InvitationState, max_length=8, default=InvitationState.OPEN)
    created_at: datetime = InstantField()
    answered_at: datetime | None = InstantField(null=True)

    class Meta:
        table = "invitation"
        indexes = (
            Index(fields=("account_id", "state", "created_at", "id")),
            Index(fields=("space_id", "account_id")),
        )
