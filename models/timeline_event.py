"""What happened to cards, in the order of commits, written with the change."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class TimelineEventKind(StrEnum):
    """What can happen to a card. SNAPSHOT is sent, never kept."""

    SNAPSHOT = "SNAPSHOT"
    ADDED = "ADDED"
    CHANGED = "CHANGED"
    REMOVED = "REMOVED"


class TimelineEvent(Model):
    """One change of one card. `public_kind` is what anonymous timelines hear of it, None for nothing.

    With `viewer_id` it is told to that person alone: whose cards they see has changed, not the card.
    """

    id = fields.BigIntField(primary_key=True, generated=True)
    at: datetime = InstantField()
    kind = fields.CharEnumField(TimelineEventKind, max_length=8)
    item_id: UUID = fields.UUIDField()
    author_id: UUID = fields.UUIDField()
    host_id: UUID = fields.UUIDField()
    viewer_id: UUID | None = fields.UUIDField(null=True)
    public_kind: TimelineEventKind | None = fields.CharEnumField(TimelineEventKind, max_length=8, null=True)  # type: ignore[assignment]

    class Meta:
        table = "timeline_event"
        indexes = (
            Index(fields=("at",)),
            Index(fields=("author_id", "id")),
            Index(fields=("viewer_id", "id")),
        )
