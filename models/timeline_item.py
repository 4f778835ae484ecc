"""Cards. A Space has one by its host, every share is one of its own."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class TimelineItemKind(StrEnum):
    """What a card tells."""

    SPACE_SCHEDULED = "SPACE_SCHEDULED"
    SPACE_LIVE = "SPACE_LIVE"
    SPACE_ENDED = "SPACE_ENDED"
    SPACE_SHARED = "SPACE_SHARED"
    RECORDING_SHARED = "RECORDING_SHARED"
    CLIP_SHARED = "CLIP_SHARED"


SHARE_KINDS = frozenset(
    {TimelineItemKind.SPACE_SHARED, TimelineItemKind.RECORDING_SHARED, TimelineItemKind.CLIP_SHARED}
)


class TimelineItem(Model):
    """`is_public` puts the card on the timeline of those who have not signed in."""

    id = fields.UUIDField(primary_key=True)
    kind = fields.CharEnumField(TimelineItemKind, max_length=16)
    author_id: UUID = fields.UUIDField()
    host_id: UUID = fields.UUIDField()
    space_id: UUID = fields.UUIDField()
    # Set on cards of a recording (a share of one, or the Space's own card once it is recorded).
    recording_id: UUID | None = fields.UUIDField(null=True)
    # Set on cards of a clip.
    clip_id: UUID | None = fields.UUIDField(null=True)
    comment: str | None = fields.CharField(max_length=1000, null=True)  # type: ignore[assignment]
    start_ms = fields.IntField(default=0)
    is_public = fields.BooleanField(default=False)
    created_at: datetime = InstantField()
    activity_at: datetime = InstantField()

    class Meta:
        table = "timeline_item"
        indexes = (
            Index(fields=("author_id", "activity_at", "id")),
            Index(fields=("is_public", "activity_at", "id")),
            Index(fields=("space_id", "author_id")),
            Index(fields=("clip_id",)),
        )
