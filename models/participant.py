"""Who is or was in a Space, once a person."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField
from models.space import Platform


class ParticipantRole(StrEnum):
    """What somebody may do in a Space."""

    HOST = "HOST"
    COHOST = "COHOST"
    SPEAKER = "SPEAKER"
    LISTENER = "LISTENER"


PUBLISHING_ROLES = frozenset({ParticipantRole.HOST, ParticipantRole.COHOST, ParticipantRole.SPEAKER})
MANAGING_ROLES = frozenset({ParticipantRole.HOST, ParticipantRole.COHOST})


class Participant(Model):
    """One person in one Space, leaving and coming back is the same row."""

    id = fields.UUIDField(primary_key=True)
    space_id: UUID = fields.UUIDField()
    account_id: UUID = fields.UUIDField()
    role = fields.CharEnumField(ParticipantRole, max_length=8)
    is_muted = fields.BooleanField(default=False)
    is_speaking = fields.BooleanField(default=False)
    hand_raised = fields.BooleanField(default=False)
    # Publishes over a media connection now, and did so at some time before.
    is_connected = fields.BooleanField(default=False)
    was_connected = fields.BooleanField(default=False)
    # Has been in the Space while it was live; a role can be held before that.
    has_entered = fields.BooleanField(default=False)
    # Out because nothing was heard of them, not because they said so: the next sign brings them back.
    has_lapsed = fields.BooleanField(default=False)
    platform: Platform | None = fields.CharEnumField(Platform, max_length=8, null=True)  # type: ignore[assignment]
    joined_at: datetime = InstantField()
    left_at: datetime | None = InstantField(null=True)
    removed_at: datetime | None = InstantField(null=True)
    acknowledged_at: datetime | None = InstantField(null=True)
    acknowledged_version: str | None = fields.CharField(max_length=20, null=True)  # type: ignore[assignment]

    class Meta:
        table = "participant"
        unique_together = (("space_id", "account_id"),)
        indexes = (
            Index(fields=("space_id", "joined_at", "id")),
            Index(fields=("account_id",)),
        )
