"""Who may see which rows, and what they may do with them: the one place."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise.expressions import Q, Subquery

from models.access_token import AccessToken
from models.account import Account
from models.appeal import Appeal
from models.audit_entry import AuditEntry
from models.clip import Clip
from models.columns import Columns
from models.follow import Follow
from models.invitation import Invitation
from models.lookup import by_keys
from models.notification import Notification
from models.participant import MANAGING_ROLES, PUBLISHING_ROLES, Participant
from models.recording import Recording, RecordingStatus
from models.report import Report
from models.review_opening import ReviewOpening
from models.space import Space, SpaceState
from models.ticket import Ticket, TicketStatus
from models.timeline_item import TimelineItem
from models.together import Part, fetch
from models.webhook import Webhook
from models.webhook_delivery import WebhookDelivery
from services.changes import Change
from services.errors import NotFound
from services.retention import status_at
from services.viewers import Viewer

_NOBODY = UUID(int=0)
_PLACE = Columns(
    model=Space, names=("host_id", "event_sequence"), attributes=frozenset({"host_id", "event_sequence"})
)


async def hidden_from(viewer: Viewer) -> frozenset[UUID]:
    """Whom a block hides. Nobody from moderators: blocking them would be a way out of moderation."""
    return frozenset() if viewer.is_moderator else await viewer.hidden()


async def accounts(viewer: Viewer) -> Q:
    """Accounts: all but those hidden by a block."""
    return ~Q(id__in=hidden) if (hidden := await hidden_from(viewer)) else Q()


async def spaces(viewer: Viewer) -> Q:
    """Spaces: all but those of hidden hosts."""
    return ~Q(host_id__in=hidden) if (hidden := await hidden_from(viewer)) else Q()


async def recordings(viewer: Viewer) -> Q:
    """Recordings: as their Spaces."""
    return await spaces(viewer)


async def items(viewer: Viewer) -> Q:
    """Cards and clips: neither by a hidden author nor of a hidden host."""
    if not (hidden := await viewer.hidden()):
        return Q()
    return ~Q(author_id__in=hidden) & ~Q(host_id__in=hidden)


async def participants(viewer: Viewer) -> Q:
    """Participants: those who speak for everyone; listeners for themselves, host and co-hosts."""
    seen = Q(role__in=list(PUBLISHING_ROLES))
    if viewer.id is not None:
        managed = Participant.filter(account_id=viewer.id, role__in=list(MANAGING_ROLES))
        seen = seen | Q(account_id=viewer.id) | Q(space_id__in=Subquery(managed.values("space_id")))
    if hidden := await viewer.hidden():
        seen = seen & ~Q(account_id__in=hidden)
        seen = seen & ~Q(space_id__in=Subquery(Space.filter(host_id__in=hidden).values("id")))
    return seen


async def invitations(viewer: Viewer) -> Q:
    """Invitations: one's own, those one has made, and those to Spaces that one hosts."""
    if viewer.id is None:
        return Q(id=_NOBODY)
    hosted = Space.filter(host_id=viewer.id).values("id")
    seen = Q(account_id=viewer.id) | Q(inviter_id=viewer.id) | Q(space_id__in=Subquery(hosted))
    if hidden := await hidden_from(viewer):
        seen = seen & ~Q(account_id__in=hidden)
        seen = seen & ~Q(space_id__in=Subquery(Space.filter(host_id__in=hidden).values("id")))
    return seen


async def reports(viewer: Viewer) -> Q:
    """Reports: one's own, as long as one sees what they are about; all for moderators."""
    if viewer.is_moderator:
        return Q()
    seen = Q(reporter_id=viewer.id or _NOBODY)
    if hidden := await hidden_from(viewer):
        seen = seen & ~Q(subject_id__in=hidden)
        for table in (Space, Recording):
            seen = seen & ~Q(subject_id__in=Subquery(table.filter(host_id__in=hidden).values("id")))
    return seen


async def audit_entries(viewer: Viewer) -> Q:
    """The audit log: for moderators alone."""
    return Q() if viewer.is_moderator else Q(id__lt=0)


async def access_tokens(viewer: Viewer) -> Q:
    """Access tokens: one's own."""
    return Q(account_id=viewer.id or _NOBODY)


async def webhooks(viewer: Viewer) -> Q:
    """Webhooks and what they are called with: one's own."""
    return Q(account_id=viewer.id or _NOBODY)


async def notifications(viewer: Viewer) -> Q:
    """Notifications: one's own."""
    return Q(account_id=viewer.id or _NOBODY)


async def openings(viewer: Viewer) -> Q:
    """Openings of review copies: for moderators, and for the host once the case is closed."""
    return Q() if viewer.is_moderator else Q(disclosed_at__isnull=False)


async def appeals(viewer: Viewer) -> Q:
    """Appeals: one's own, and all for moderators."""
    return Q() if viewer.is_moderator else Q(account_id=viewer.id or _NOBODY)


async def tickets(viewer: Viewer) -> Q:
    """Tickets: one's own, as long as one sees the Space."""
    seen = Q(account_id=viewer.id or _NOBODY)
    if hidden := await hidden_from(viewer):
        seen = seen & ~Q(space_id__in=Subquery(Space.filter(host_id__in=hidden).values("id")))
    return seen


async def follows(viewer: Viewer) -> Q:
    """Who follows whom: all but those hidden by a block."""
    if not (hidden := await hidden_from(viewer)):
        return Q()
    return ~Q(follower_id__in=hidden) & ~Q(followee_id__in=hidden)


RULES = {
    Account: accounts,
    Space: spaces,
    Recording: recordings,
    TimelineItem: items,
    Clip: items,
    Participant: participants,
    Invitation: invitations,
    Report: reports,
    Ticket: tickets,
    Follow: follows,
    AuditEntry: audit_entries,
    ReviewOpening: openings,
    Appeal: appeals,
    AccessToken: access_tokens,
    Notification: notifications,
    Webhook: webhooks,
    WebhookDelivery: webhooks,
}


async def visible_space(viewer: Viewer, space_id: UUID) -> Space:
    """The Space, as far as the viewer may see it. Raises NotFound."""
    space = await Space.get_or_none(id=space_id)
    if space is None:
        raise NotFound(path=["spaceId"])
    return await _seen(viewer, space)


async def seen_with(viewer: Viewer, space_id: UUID, *others: Part) -> tuple[Space, list[list[Any]]]:
    """The Space, with nothing but its host and its last number, and other rows of the same moment. Raises NotFound."""
    own = by_keys(Space, "id", [space_id], columns=_PLACE)
    assert own is not None
    found, *rest = await fetch([own, *others])
    if not found:
        raise NotFound(path=["spaceId"])
    return await _seen(viewer, found[0]), rest


async def locked_space(made: Change, viewer: Viewer, space_id: UUID) -> Space:
    """The same, locked until the commit. Of a block and a change at the same time the block wins."""
    return await _seen(viewer, await made.space(space_id))


async def _seen(viewer: Viewer, space: Space) -> Space:
    if space.host_id in await hidden_from(viewer):
        raise NotFound(path=["spaceId"])
    return space


async def was_removed(viewer: Viewer, space_id: UUID) -> bool:
    """Whether the viewer was put out of a Space: they may see it, and neither enter nor hear it live."""
    if viewer.id is None:
        return False
    return await Participant.exists(space_id=space_id, account_id=viewer.id, removed_at__isnull=False)


async def visible_recording(viewer: Viewer, recording_id: UUID) -> Recording:
    """The recording, as far as the viewer may see it. Raises NotFound."""
    recording = await Recording.get_or_none(id=recording_id)
    if recording is None or recording.host_id in await hidden_from(viewer):
        raise NotFound(path=["recordingId"])
    return recording


async def admitted(viewer: Viewer, space_ids: list[UUID]) -> set[UUID]:
    """Which of these ticketed Spaces the viewer may enter: with a ticket, as one who speaks, or to moderate."""
    if viewer.id is None or viewer.is_moderator:
        return set(space_ids) if viewer.is_moderator else set()
    held = Ticket.filter(account_id=viewer.id, status=TicketStatus.ISSUED).values("space_id")
    spoken = Participant.filter(account_id=viewer.id, role__in=list(PUBLISHING_ROLES)).values("space_id")
    theirs = Q(host_id=viewer.id) | Q(id__in=Subquery(held)) | Q(id__in=Subquery(spoken))
    found = await Space.filter(theirs, id__in=space_ids).values_list("id", flat=True)
    return set(found)  # type: ignore[arg-type]


async def is_admitted(viewer: Viewer, place: Space | Recording) -> bool:
    """Whether the viewer may enter a Space, or play its recording, as far as tickets go."""
    if not place.is_ticketed:
        return True
    space_id = place.id if isinstance(place, Space) else place.space_id
    return bool(await admitted(viewer, [space_id]))


def is_playable(recording: Recording, now: datetime) -> bool:
    """Whether there is something to play at `now`, for whoever may."""
    return status_at(recording, now) is RecordingStatus.AVAILABLE


def may_play(recording: Recording, now: datetime, *, admitted: bool) -> bool:
    """Whether somebody who sees the recording, and is `admitted` to its Space or not, may play it at `now`."""
    return admitted and is_playable(recording, now)


def may_share(recording: Recording, viewer: Viewer, now: datetime, *, admitted: bool) -> bool:
    """Whether the viewer may share it at `now`: with an account, whoever may play."""
    return viewer.is_signed_in and may_play(recording, now, admitted=admitted)


_DELETABLE = frozenset(
    {
        RecordingStatus.ARMED,
        RecordingStatus.STARTING,
        RecordingStatus.RECORDING,
        RecordingStatus.INTERRUPTED,
        RecordingStatus.FINALIZING,
        RecordingStatus.AVAILABLE,
    }
)


def may_delete(recording: Recording, viewer: Viewer, now: datetime) -> bool:
    """Whether the viewer may delete it at `now`: the host, until it is gone. Lost audio may come back, so that too."""
    status = status_at(recording, now)
    is_there = status in _DELETABLE or (recording.is_lost and status is RecordingStatus.FAILED)
    return viewer.is_account(recording.host_id) and is_there


def may_download(recording: Recording, viewer: Viewer, now: datetime) -> bool:
    """Whether the viewer may download the whole programme: the host, while it can be played."""
    return viewer.is_account(recording.host_id) and is_playable(recording, now)


def may_hear_live(space: Space, mine: Participant | None, *, admitted: bool) -> bool:
    """Whether somebody who sees the Space may hear it now; `mine` is the viewer's participation.

    `admitted`: whether they may enter as far as tickets go.
    """
    return admitted and space.state is SpaceState.LIVE and (mine is None or mine.removed_at is None)
