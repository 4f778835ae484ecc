"""Spaces: one row each, for ever owned by one host."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class SpaceState(StrEnum):
    """Where a Space is in its life."""

    SCHEDULED = "SCHEDULED"
    LIVE = "LIVE"
    ENDED = "ENDED"
    CANCELED = "CANCELED"


SPACE_MOVES: frozenset[tuple[SpaceState, SpaceState]] = frozenset(
    {
        (SpaceState.SCHEDULED, SpaceState.LIVE),
        (SpaceState.SCHEDULED, SpaceState.CANCELED),
        (SpaceState.LIVE, SpaceState.ENDED),
    }
)


class SpeakerPolicy(StrEnum):
    """How a listener becomes a speaker."""

    RAISED_HAND = "RAISED_HAND"
    FOLLOWED = "FOLLOWED"
    INVITED = "INVITED"


class Platform(StrEnum):
    """Where a client says it runs."""

    IOS = "IOS"
    ANDROID = "ANDROID"
    WEB = "WEB"
    API = "API"


class Space(Model):
    """`event_sequence` numbers the Space's events and moves under the row's lock."""

    id = fields.UUIDField(primary_key=True)
    host_id: UUID = fields.UUIDField()
    title = fields.CharField(max_length=200)
    description: str | None = fields.TextField(null=True)
    language: str | None = fields.CharField(max_length=35, null=True)  # type: ignore[assignment]
    topics: list[str] = fields.JSONField(default=list)
    state = fields.CharEnumField(SpaceState, max_length=10, default=SpaceState.SCHEDULED)
    created_at: datetime = InstantField()
    scheduled_start: datetime | None = InstantField(null=True)
    started_at: datetime | None = InstantField(null=True)
    ended_at: datetime | None = InstantField(null=True)
    # Since when nobody is there who could end it: the host was lost, and no co-host stands in. Null while there
    # is one, and before the host was ever connected.
    host_lost_at: datetime | None = InstantField(null=True)
    # Since when nobody at all is connected.
    alone_since: datetime | None = InstantField(null=True)
    # When everybody was told that the longest time is nearly over.
    end_told_at: datetime | None = InstantField(null=True)
    speaker_policy = fields.CharEnumField(SpeakerPolicy, max_length=12, default=SpeakerPolicy.RAISED_HAND)
    # The ids of those who hold the role, as participants have it: so that a page of Spaces needs no more to tell them.
    cohost_ids: list[str] = fields.JSONField(default=list)
    clips_allowed = fields.BooleanField(default=True)
    recording_enabled = fields.BooleanField(default=False)
    # `participant_count` includes `audience_count`: those who are present without having joined.
    participant_count = fields.IntField(default=0)
    audience_count = fields.IntField(default=0)
    total_listener_count = fields.IntField(default=0)
    peak_listener_count = fields.IntField(default=0)
    reminder_count = fields.IntField(default=0)
    event_sequence = fields.BigIntField(default=0)
    # Null when anyone may enter. Set at creation, and never changed.
    ticket_capacity: int | None = fields.IntField(null=True)
    # In the currency's smallest unit, 0 is free.
    ticket_price_minor = fields.IntField(default=0)
    ticket_currency = fields.CharField(max_length=3, default="USD")
    tickets_sold = fields.IntField(default=0)

    class Meta:
        table = "space"
        indexes = (
            Index(fields=("host_id", "created_at", "id")),
            Index(fields=("state", "created_at", "id")),
            Index(fields=("created_at", "id")),
            Index(fields=("state", "host_lost_at")),
            Index(fields=("state", "alone_since")),
            Index(fields=("state", "started_at")),
            Index(fields=("state", "scheduled_start")),
        )

    @property
    def is_ticketed(self) -> bool:
        """Whether entry and playback need a ticket."""
        return self.ticket_capacity is not None
