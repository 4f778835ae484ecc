"""Spaces and who is in them."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from models.account import Account
from models.invitation import Invitation as InvitationRow
from models.invitation import InvitedRole
from models.paging import Order
from models.participant import MANAGING_ROLES, ParticipantRole
from models.participant import Participant as ParticipantRow
from models.recording import ICON_ON
from models.recording import Recording as RecordingRow
from models.reminder import Reminder
from models.space import Platform, SpaceState, SpeakerPolicy
from models.space import Space as SpaceRow
from models.ticket import Ticket as TicketRow
from schema.connections import After, Connection, First
from schema.context import Context, Info
from schema.links import MediaLink, media_link
from schema.nodes import Node, RowType
from schema.people import User
from schema.rows import Connected, Relation
from schema.sources import column, computed, exists, page_of, relation
from schema.tickets import Ticket, Ticketing, ticketing_of
from services import deadline, entering, participation, playback, visibility

if TYPE_CHECKING:
    from schema.recordings import Recording

_RECORDING = Relation(model=RecordingRow, key="id", column="space_id")
_MINE = Relation(model=ParticipantRow, key="space_id", column="space_id", mine="account_id")
_PARTICIPANTS = Connected(
    model=ParticipantRow, parent="space_id", order=Order(column="joined_at", descending=False)
)


@strawberry.type(description="What a speaker must acknowledge before speaking in a recorded Space.")
class RecordingConsent:
    """What a speaker must acknowledge before speaking in a recorded Space."""

    version: str = strawberry.field(description="Send it with acknowledgeRecording.")
    text: str = strawberry.field(description="Show it to the person.")


async def _is_recording(row: SpaceRow, context: Context) -> bool:
    recording = await context.rows.one(_RECORDING, row.id)
    return row.state is SpaceState.LIVE and recording is not None and recording.status in ICON_ON


async def _consent(row: SpaceRow, context: Context) -> RecordingConsent | None:
    recording = await context.rows.one(_RECORDING, row.id)
    if not participation.asks_consent(recording, context.now):
        return None
    rules = context.house.rules
    return RecordingConsent(version=rules.consent_version, text=rules.consent_text)


async def _cohosts(row: SpaceRow, context: Context) -> list[Account]:
    if not row.cohost_ids:
        return []
    found = await asyncio.gather(*(context.rows.by_id(Account, UUID(one)) for one in row.cohost_ids))
    return [one for one in found if one is not None]


async def _ends_at(row: SpaceRow, context: Context) -> datetime | None:
    # Asked of few: of live Spaces whose host is away, and that have co-hosts.
    may_go_on = row.state is SpaceState.LIVE and row.host_lost_at is not None and bool(row.cohost_ids)
    stands_in = may_go_on and await entering.cohost_is_there(row)
    return deadline.ends_at(row, context.house.rules, cohost_is_there=stands_in)


async def _live(row: SpaceRow, context: Context) -> MediaLink | None:
    admitted = not row.is_ticketed or await context.rows.admitted(row.id)
    mine = await context.rows.one(_MINE, row.id) if row.state is SpaceState.LIVE else None
    if not visibility.may_hear_live(row, mine, admitted=admitted):
        return None
    return media_link(context.house, playback.live_link(context.house, row, context.viewer, context.now))


@strawberry.type(description="A live audio room: before, while and after it is live.")
class Space(RowType, Node):
    """A live audio room."""

    model = SpaceRow

    title: str = column("title", "1 to 200 characters.")
    description: str | None = column("description", "What it is about.")
    language: str | None = column("language", "BCP 47.")
    topics: list[str] = column("topics", "What it is about, in key words.")
    state: SpaceState = column("state", "Where it is in its life.")
    host: User = relation(Account, "Whose Space it is, for ever.", key="host_id")
    cohosts: list[User] = computed(
        _cohosts, "Who has accepted to be co-host, at most 2.", reads=("cohost_ids",)
    )
    created_at: datetime = column("created_at", "When it was created.")
    scheduled_start: datetime | None = column(
        "scheduled_start", "When it is to start; null when ready at once."
    )
    started_at: datetime | None = column("started_at", "When it was launched.")
    ended_at: datetime | None = column("ended_at", "When it ended or was called off.")
    ends_at: datetime | None = computed(
        _ends_at,
        "When it ends by itself as things stand: its longest time, or earlier while the host is away and no co-host"
        " is there, or nobody is connected; null unless live.",
        reads=("id", "state", "started_at", "host_lost_at", "alone_since", "cohost_ids"),
    )
    speaker_policy: SpeakerPolicy = column("speaker_policy", "How a listener becomes a speaker.")
    clips_allowed: bool = column("clips_allowed", "Whether listeners may cut clips of its recording.")
    recording_enabled: bool = column(
        "recording_enabled", "The 'Record Space' toggle. It changes only before the Space goes live."
    )
    is_recording: bool = computed(
        _is_recording,
        "The recording icon: true from launch for as long as the recorder is armed or writing;"
        " taken from the running recorder.",
        reads=("id", "state"),
    )
    consent: RecordingConsent | None = computed(
        _consent,
        "What a speaker must acknowledge; null when the Space is not recorded, or its recording is gone.",
        reads=("id",),
    )
    recording: Annotated["Recording", strawberry.lazy("schema.recordings")] | None = relation(
        RecordingRow, "Null when the toggle is off.", key="id", column="space_id"
    )
    participant_count: int = column("participant_count", "People in the Space now, speakers included.")
    total_listener_count: int = column(
        "total_listener_count", "Different people who have been in the Space live."
    )
    peak_listener_count: int = column("peak_listener_count", "The most people who were in it at one time.")
    ticketing: Ticketing | None = computed(
        ticketing_of,
        "The terms of its tickets; null when it needs none.",
        reads=("ticket_capacity", "ticket_price_minor", "ticket_currency", "tickets_sold"),
    )
    viewer_ticket: Ticket | None = relation(
        TicketRow, "The viewer's own ticket.", key="id", column="space_id", mine="account_id"
    )
    reminder_count: int = column("reminder_count", "How many people asked to be reminded of it.")
    viewer_has_reminder: bool = exists(
        Reminder, "Whether the viewer asked to be reminded.", column="space_id", mine="account_id"
    )
    viewer_participation: "Participant | None" = relation(
        ParticipantRow, "The viewer's own participation.", key="id", column="space_id", mine="account_id"
    )
    live: MediaLink | None = computed(
        _live,
        "HLS while the Space is live and the viewer may hear it.",
        reads=("id", "state", "started_at", "ticket_capacity"),
    )

    @strawberry.field(
        description="Host, co-hosts and speakers for everyone; listeners for host and co-hosts alone."
    )
    async def participants(
        root: Any,
        info: Info,
        first: First = 50,
        after: After = strawberry.UNSET,
        role: Annotated[
            ParticipantRole | None, strawberry.argument(description="Only these.")
        ] = strawberry.UNSET,
    ) -> Connection["Participant"]:
        return await page_of(
            info, _PARTICIPANTS, root.id, first=first, after=after, default=50, role=role or None
        )


async def _managed(row: ParticipantRow, context: Context) -> bool:
    mine = await context.rows.one(_MINE, row.space_id)
    return mine is not None and mine.role in MANAGING_ROLES


async def _platform(row: ParticipantRow, context: Context) -> Platform | None:
    if context.viewer.is_account(row.account_id) or await _managed(row, context):
        return row.platform
    return None


async def _acknowledged_at(row: ParticipantRow, context: Context) -> datetime | None:
    if context.viewer.is_account(row.account_id) or context.viewer.is_moderator:
        return row.acknowledged_at
    mine = await context.rows.one(_MINE, row.space_id)
    return row.acknowledged_at if mine is not None and mine.role is ParticipantRole.HOST else None


@strawberry.type(description="One person in one Space; leaving and coming back is the same participation.")
class Participant(RowType, Node):
    """One person in one Space."""

    model = ParticipantRow

    user: User = relation(Account, "The person.", key="account_id")
    role: ParticipantRole = column("role", "What they may do.")
    is_muted: bool = column("is_muted", "Whether their microphone is off.")
    is_speaking: bool = column("is_speaking", "Whether they can be heard right now.")
    hand_raised: bool = column("hand_raised", "Whether they ask to speak.")
    joined_at: datetime = column("joined_at", "When they came in last.")
    left_at: datetime | None = column("left_at", "When they went out; null while they are in.")
    platform: Platform | None = computed(
        _platform,
        "For the person, host and co-hosts; null to others.",
        reads=("account_id", "space_id", "platform"),
    )
    recording_acknowledged_at: datetime | None = computed(
        _acknowledged_at,
        "When this person was told that the Space is recorded and went on; for the person, the host and moderators;"
        " null to others.",
        reads=("account_id", "space_id", "acknowledged_at"),
    )


@strawberry.type(description="Somebody was asked to be co-host or speaker.")
class Invitation(RowType, Node):
    """Somebody was asked to be co-host or speaker."""

    model = InvitationRow

    space: Space = relation(SpaceRow, "In which Space.", key="space_id")
    user: User = relation(Account, "Who was asked.", key="account_id")
    role: InvitedRole = column("role", "To be what.")
    created_at: datetime = column("created_at", "When.")
