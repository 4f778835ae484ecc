"""What subscriptions push and `spaceEvents` lists."""

from datetime import datetime
from typing import Any

import strawberry
from graphql import GraphQLResolveInfo

from models.participant import Participant as ParticipantRow
from models.participant import ParticipantRole
from models.recording import Recording as RecordingRow
from models.recording import RecordingStatus
from models.space import Space as SpaceRow
from models.space_event import SpaceEventKind
from models.timeline_event import TimelineEventKind
from models.timeline_item import TimelineItem as TimelineItemRow
from schema import ids
from schema.context import Context
from schema.recordings import Recording
from schema.scalars import ByteCount
from schema.sources import column, computed, relation
from schema.spaces import Participant, Space
from schema.timeline import TimelineItem
from services.live import CardHeard, Heard

_OF_PARTICIPANTS = frozenset(
    {
        SpaceEventKind.PARTICIPANT_JOINED,
        SpaceEventKind.PARTICIPANT_LEFT,
        SpaceEventKind.PARTICIPANT_REMOVED,
        SpaceEventKind.ROLE_CHANGED,
        SpaceEventKind.MUTED_CHANGED,
        SpaceEventKind.HAND_CHANGED,
    }
)


def _fact(name: str) -> Any:
    return lambda heard, _context: heard.facts.get(name)


def _enum_fact(enum: Any, name: str) -> Any:
    return lambda heard, _context: enum(heard.facts[name]) if heard.facts.get(name) else None


@strawberry.interface(description="One change, with facts that never change, and the Space as it is now.")
class SpaceEvent:
    """One change in a Space."""

    cursor: str = column(
        "cursor", "Its place in the Space's sequence; the same for every subscription and query."
    )
    at: datetime = column("at", "When it happened.")
    kind: SpaceEventKind = column("kind", "What happened.")
    space: Space = relation(SpaceRow, "The Space as it is now.", key="space_id")


class _EventType:
    """Mixed into event types: which kinds they stand for."""

    @classmethod
    def is_of(cls, kind: SpaceEventKind) -> bool:
        """Whether events of this kind are of this type."""
        raise NotImplementedError

    @classmethod
    def is_type_of(cls, obj: Any, _info: GraphQLResolveInfo[Any]) -> bool:
        """Whether an event is one of this type."""
        return isinstance(obj, Heard) and cls.is_of(obj.kind)


@strawberry.type(description="The Space itself changed; SNAPSHOT too.")
class SpaceChanged(_EventType, SpaceEvent):
    """The Space itself changed."""

    @classmethod
    def is_of(cls, kind: SpaceEventKind) -> bool:
        """All kinds without a type of their own."""
        own = {SpaceEventKind.RECORDING_TOGGLED, SpaceEventKind.RECORDING_STATUS_CHANGED}
        return kind not in own and kind not in _OF_PARTICIPANTS


@strawberry.type(description="The 'Record Space' toggle changed.")
class RecordingToggled(_EventType, SpaceEvent):
    """The 'Record Space' toggle changed."""

    enabled: bool = computed(_fact("enabled"), "What it was set to.")

    @classmethod
    def is_of(cls, kind: SpaceEventKind) -> bool:
        """RECORDING_TOGGLED."""
        return kind is SpaceEventKind.RECORDING_TOGGLED


@strawberry.type(description="The recording's status changed.")
class RecordingStatusChanged(_EventType, SpaceEvent):
    """The recording's status changed."""

    from_: RecordingStatus | None = strawberry.field(
        resolver=lambda root: RecordingStatus(root.facts["from"]) if root.facts.get("from") else None,
        name="from",
        description="The status before.",
    )
    to: RecordingStatus = computed(_enum_fact(RecordingStatus, "to"), "The status since.")

    @classmethod
    def is_of(cls, kind: SpaceEventKind) -> bool:
        """RECORDING_STATUS_CHANGED."""
        return kind is SpaceEventKind.RECORDING_STATUS_CHANGED


async def _participant(heard: Heard, _context: Context) -> ParticipantRow | None:
    """The person of an event: those who hear of an event hear of whom, listeners too."""
    return await ParticipantRow.get_or_none(id=heard.participant_id)


@strawberry.type(description="Somebody came, went, or changed in the Space.")
class ParticipantChanged(_EventType, SpaceEvent):
    """Somebody came, went, or changed in the Space."""

    participant: Participant = computed(_participant, "The person, as they are now.")
    from_role: ParticipantRole | None = computed(_enum_fact(ParticipantRole, "fromRole"), "The role before.")
    to_role: ParticipantRole | None = computed(_enum_fact(ParticipantRole, "toRole"), "The role since.")

    @classmethod
    def is_of(cls, kind: SpaceEventKind) -> bool:
        """Events about a person."""
        return kind in _OF_PARTICIPANTS


def _recording_fact(name: str, *, default: Any) -> Any:
    return lambda heard, _context: heard.facts.get("recording", {}).get(name, default)


def _status(heard: Heard, _context: Context) -> RecordingStatus | None:
    status = heard.facts.get("recording", {}).get("status")
    return RecordingStatus(status) if status else None


@strawberry.type(
    description="One per change of status or icon. While RECORDING a tick comes at least once a second:"
    " it repeats the cursor of the last change and is no part of the sequence."
)
class RecordingStatusEvent:
    """The live state of a recording."""

    cursor: str = column(
        "cursor", "Its place in the Space's sequence; a tick repeats that of the last change."
    )
    at: datetime = column("at", "When it was so.")
    space_id: strawberry.ID = computed(
        lambda heard, _context: ids.pack("Space", heard.space_id), "The Space's id."
    )
    is_recording: bool = computed(_recording_fact("isRecording", default=False), "The recording icon.")
    status: RecordingStatus | None = computed(_status, "Null while the toggle is off.")
    duration_ms: int = computed(_recording_fact("durationMs", default=0), "Length of what is written, in ms.")
    size_bytes: ByteCount = computed(_recording_fact("sizeBytes", default=0), "Bytes written.")
    recording: Recording | None = relation(
        RecordingRow, "The recording as it is now.", key="space_id", column="space_id"
    )


async def _item(heard: CardHeard, context: Context) -> TimelineItemRow | None:
    found: TimelineItemRow | None = await context.rows.by_id(TimelineItemRow, heard.item_id)
    return found


@strawberry.type(
    description="Without `after`, one SNAPSHOT (no item) comes at once with the cursor to go on from;"
    " the page itself is read by `timeline`."
)
class TimelineEvent:
    """One change on the viewer's timeline."""

    cursor: str = column("cursor", "Its place in the sequence of all cards' changes.")
    at: datetime = column("at", "When it happened.")
    kind: TimelineEventKind = column("kind", "What happened.")
    item_id: strawberry.ID | None = computed(
        lambda heard, _context: ids.pack("TimelineItem", heard.item_id) if heard.item_id else None,
        "The card's id, also when it is gone.",
    )
    item: TimelineItem | None = computed(_item, "The card as it is now; null when it is gone.")
