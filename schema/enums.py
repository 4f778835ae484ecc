"""The enums of the schema, described value by value."""

from enum import Enum
from typing import TypeVar

import strawberry

from models.access_token import AccessScope
from models.account import Suspension
from models.invitation import InvitedRole
from models.notification import NotificationKind
from models.participant import ParticipantRole
from models.recording import RecordingStatus
from models.report import ReportCategory, ReportState
from models.rollout import RolloutStage
from models.space import Platform, SpaceState, SpeakerPolicy
from models.space_event import SpaceEventKind
from models.ticket import TicketStatus
from models.timeline_event import TimelineEventKind
from models.timeline_item import TimelineItemKind
from models.webhook import WebhookEvent
from models.webhook_delivery import DeliveryState
from services.errors import ErrorCode

E = TypeVar("E", bound=type[Enum])


def _describe(enum: E, description: str, **values: str) -> E:
    """Make an enum of the rows one of the schema. Every value must have its words."""
    made = strawberry.enum(enum, description=description)
    definition = made.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values.pop(value.name)
    if values:
        raise ValueError(f"{enum.__name__} has no values {sorted(values)}")
    return made


_describe(
    ErrorCode,
    "What went wrong, for a program. Clients must tolerate codes that they do not know.",
    UNAUTHENTICATED="This needs an account.",
    FORBIDDEN="Visible to the viewer, but not theirs to do.",
    NOT_FOUND="There is nothing with this id that the viewer may see.",
    INVALID_INPUT="A value is not of the expected form; see path.",
    CONFLICT="Does not fit the state that things are in.",
    RATE_LIMITED="Too many requests; see retryAfterMs.",
    UNAVAILABLE="A part of the service cannot be reached; see retryAfterMs.",
    CURSOR_EXPIRED="The cursor is older than 30 days.",
    IDEMPOTENCY_MISMATCH="The same Idempotency-Key was sent with another request.",
    ALREADY_LIVE="Can only be done before launch.",
    NOT_LIVE="The Space has not been launched.",
    ALREADY_ENDED="The Space has ended or was canceled.",
    CONSENT_REQUIRED="The Space is recorded and the person has not acknowledged it.",
    RECORDING_NOT_AVAILABLE="The recording's status does not allow it.",
    RECORDING_NOT_ROLLED_OUT="Recording is not open to this account on this platform.",
    TICKET_REQUIRED="The Space needs a ticket.",
    SOLD_OUT="No ticket is left.",
    CAPACITY_REACHED="The Space holds no more of these.",
    PAYMENT_UNAVAILABLE="No payment provider is set up or it cannot be reached.",
    ACCOUNT_SUSPENDED="A moderator has suspended the account.",
)
_describe(
    SpaceState,
    "Where a Space is in its life.",
    SCHEDULED="Created, not launched; ready at once or at its scheduled start.",
    LIVE="Launched and not ended.",
    ENDED="Over.",
    CANCELED="Called off before launch.",
)
_describe(
    ParticipantRole,
    "What somebody may do in a Space.",
    HOST="Owns the Space for ever.",
    COHOST="Speaks and helps to manage.",
    SPEAKER="Speaks.",
    LISTENER="Listens.",
)
_describe(
    InvitedRole,
    "What somebody is invited to be.",
    COHOST="Speaks and helps to manage; invited by the host alone.",
    SPEAKER="Speaks.",
)
_describe(
    SpeakerPolicy,
    "How a listener becomes a speaker.",
    RAISED_HAND="By raising a hand.",
    FOLLOWED="Only people whom the host follows, by raising a hand.",
    INVITED="By invitation alone.",
)
_describe(
    Platform,
    "Where the client runs, as it declares: a product gate, not a security boundary.",
    IOS="An iPhone or iPad.",
    ANDROID="An Android device.",
    WEB="A browser.",
    API="A program.",
)
_describe(
    RecordingStatus,
    "Where a recording is in its life. Clients must tolerate values that they do not know.",
    ARMED="Toggled on; the Space has not launched.",
    STARTING="Live, and no audio has come yet.",
    RECORDING="Audio is being written now.",
    INTERRUPTED="Audio broke off; what was written is safe, and recording goes on if it comes back.",
    FINALIZING="The Space has ended; the last fragment is being closed.",
    AVAILABLE="Playable.",
    FAILED="No audio was ever received, or none could be saved.",
    EXPIRED="30 days after the Space ended: nobody can play it; the review copy may remain.",
    DELETED="The host deleted it: nobody can play it; the review copy remains for moderators alone.",
    TAKEN_DOWN="A moderator took it down.",
    PURGED="No byte of it is left.",
)
_describe(
    TimelineItemKind,
    "What a card tells.",
    SPACE_SCHEDULED="A Space that has not launched, or was called off.",
    SPACE_LIVE="A Space that is live.",
    SPACE_ENDED="A Space that is over, with its recording if it has one.",
    SPACE_SHARED="Somebody shared a Space.",
    RECORDING_SHARED="Somebody shared a recording.",
    CLIP_SHARED="Somebody cut a clip out of a recording.",
)
_describe(
    NotificationKind,
    "What the viewer is told. Clients must tolerate values that they do not know.",
    INVITED="An invitation to speak waits for an answer.",
    REMINDER="A Space that the viewer asked to be reminded of starts in 10 minutes.",
    SPACE_STARTED="A Space that the viewer asked to be reminded of was launched.",
    TICKET_ISSUED="A ticket is there.",
    TICKET_REFUNDED="A ticket was refunded.",
    RECORDING_AVAILABLE="The viewer's recording can be played.",
    RECORDING_EXPIRING="The viewer's recording expires in 3 days.",
    RECORDING_TAKEN_DOWN="A moderator took the viewer's recording down.",
    CASE_CLOSED="A case that the viewer reported, or that was about their recording, is closed.",
)
_describe(
    SpaceEventKind,
    "What happened in a Space.",
    SNAPSHOT="The state now, sent first when a subscription starts without a cursor.",
    CREATED="The Space was created.",
    UPDATED="Its title or another setting changed.",
    STARTED="It was launched.",
    ENDING_SOON="Its longest time is nearly over: see Space.endsAt.",
    ENDED="It is over, by whoever or whatever ended it; nobody can come in any more.",
    CANCELED="It was called off.",
    RECORDING_TOGGLED="The 'Record Space' toggle changed.",
    RECORDING_STATUS_CHANGED="The recording's status changed.",
    PARTICIPANT_JOINED="Somebody came in.",
    PARTICIPANT_LEFT="Somebody went out.",
    PARTICIPANT_REMOVED="Somebody was removed.",
    ROLE_CHANGED="Somebody's role changed.",
    MUTED_CHANGED="Somebody was muted or unmuted.",
    HAND_CHANGED="A hand was raised or lowered.",
)
_describe(
    TimelineEventKind,
    "What happened to a card.",
    SNAPSHOT="Nothing yet: the cursor to go on from.",
    ADDED="A new card.",
    CHANGED="A card looks different now.",
    REMOVED="A card was taken back.",
)
_describe(
    TicketStatus,
    "Where a ticket is.",
    PENDING="Its seat is held until it is paid, or for some minutes.",
    ISSUED="Good for entry and playback.",
    REFUNDED="Taken back, and what was paid is on its way.",
    CANCELED="Not paid in time or given up; or taken back, and the refund is being made.",
)
_describe(
    RolloutStage,
    "How far recording is rolled out.",
    OFF="Nobody may record.",
    LIMITED="Allowed handles and a sticky percentage, on the listed platforms.",
    EVERYONE="Every account on every platform.",
)


_describe(
    ReportCategory,
    "What is wrong with what is reported.",
    ABUSE="Somebody is harassed.",
    HATE="Hate against a group.",
    VIOLENCE="Threats or praise of violence.",
    SELF_HARM="Self-harm or suicide.",
    CHILD_SAFETY="A child is in danger.",
    PRIVACY="Private facts are given away.",
    SPAM="Spam or fraud.",
    OTHER="Something else.",
)
_describe(
    ReportState,
    "Whether a moderator has decided.",
    OPEN="Not yet.",
    CLOSED="Yes, or there is nothing left to decide on.",
)
_describe(
    AccessScope,
    "What an access token may do of what its owner may do.",
    READ="Read everything that its owner may read, but for what moderators see.",
    SPACES_WRITE="Create, change, launch, end and enter Spaces, and share them.",
    RECORDINGS_WRITE="Trim, share and delete recordings, and keep positions.",
    AUDIO_PUBLISH="Enter Spaces and speak in them.",
    WEBHOOKS="Create, change and delete webhooks.",
    MODERATION="Moderate; with READ also see what moderators see.",
)
_describe(
    WebhookEvent,
    "What a webhook is called for.",
    SPACE_STARTED="A Space was launched.",
    SPACE_ENDED="A live Space has ended.",
    RECORDING_STARTED="The first audio is recorded. It comes before RECORDING_AVAILABLE at the latest.",
    RECORDING_AVAILABLE="A recording can be played.",
    RECORDING_SHARED="Somebody has shared a recording.",
    RECORDING_DELETED="The host has deleted a recording.",
    RECORDING_EXPIRED="The public time of a recording is over.",
    RECORDING_TAKEN_DOWN="A moderator took a recording down.",
    RECORDING_PURGED="No byte of a recording is left.",
    RECORDING_FAILED="There is nothing to play: no audio was received, or it is missing from the store.",
)
_describe(
    DeliveryState,
    "How far a delivery of a webhook is.",
    PENDING="It waits for its turn, or for its next attempt.",
    DELIVERED="The receiver has answered 2xx.",
    FAILED="It was given up: no attempt succeeded in time, or the receiver is gone. See redeliverWebhook.",
)
_describe(
    Suspension,
    "What a moderator takes from an account.",
    NONE="Nothing; gives back what was taken.",
    RECORDING="The right to record.",
    ACCOUNT="Everything: it cannot sign in or act.",
)


@strawberry.enum(name="ReviewDecision", description="How a case closes.")
class ReviewDecisionChoice(Enum):
    """How a case closes."""

    CLEAR = strawberry.enum_value("CLEAR", description="Nothing is wrong; what is gone stays gone.")
    VIOLATION = strawberry.enum_value(
        "VIOLATION", description="Takes an AVAILABLE recording down; changes nothing for one that is gone."
    )


@strawberry.enum(description="The roles that setParticipantRole gives.")
class AssignableRole(Enum):
    """The roles that setParticipantRole gives."""

    SPEAKER = strawberry.enum_value("SPEAKER", description="For someone whose hand is raised.")
    LISTENER = strawberry.enum_value("LISTENER", description="Back to listening, from co-host or speaker.")
