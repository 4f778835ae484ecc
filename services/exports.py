"""Everything that is kept about a person, for that person. A new table about people must be told or left out here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

import orjson
from tortoise.expressions import Q
from tortoise.models import Model

from media.archive import Entry
from media.playlist import PROGRAMME
from media.threads import in_store_thread
from models.access_token import AccessToken
from models.account import Account
from models.appeal import Appeal
from models.audit_entry import AuditEntry
from models.avatar import Avatar
from models.block import Block
from models.clip import Clip
from models.follow import Follow
from models.identity import Identity
from models.invitation import Invitation
from models.mail_address import MailAddress
from models.notification import Notification
from models.participant import PUBLISHING_ROLES, Participant
from models.playback_position import PlaybackPosition
from models.push_subscription import PushSubscription
from models.recording import Recording, RecordingStatus
from models.reminder import Reminder
from models.report import Report
from models.rollout import RolloutAllowed
from models.sanction import Sanction
from models.session import Session
from models.space import Space
from models.ticket import Ticket
from models.timeline_item import TimelineItem
from models.webhook import Webhook
from models.webhook_delivery import WebhookDelivery
from services import archives, playback, visibility
from services.house import House
from services.links import Link, LinkKind
from services.viewers import Viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows of one table that name the person in `column`, without what is secret or of others."""

    name: str
    model: type[Model]
    column: str
    without: frozenset[str] = frozenset()


_SECRET = frozenset({"token_hash", "secret_hash", "secrets", "auth", "password_hash", "handle_key"})
_WORK = frozenset({"lease_owner", "lease_until", "policy_version", "purge_bytes", "purge_sha256"})
_CASES = frozenset({"has_open_case", "case_deadline", "is_held", "purge_at"})

PARTS = (
    Part(name="account", model=Account, column="id", without=_SECRET),
    Part(name="sessions", model=Session, column="account_id", without=_SECRET),
    Part(name="identities", model=Identity, column="account_id", without=frozenset({"key"})),
    Part(name="access_tokens", model=AccessToken, column="account_id", without=_SECRET),
    Part(name="webhooks", model=Webhook, column="account_id", without=_SECRET),
    Part(name="webhook_deliveries", model=WebhookDelivery, column="account_id", without=_WORK),
    Part(name="following", model=Follow, column="follower_id"),
    Part(name="followers", model=Follow, column="followee_id"),
    Part(name="blocks", model=Block, column="blocker_id"),
    Part(name="spaces", model=Space, column="host_id"),
    Part(name="recordings", model=Recording, column="host_id", without=_WORK | _CASES),
    Part(name="participations", model=Participant, column="account_id"),
    Part(name="playback_positions", model=PlaybackPosition, column="account_id"),
    Part(name="cards", model=TimelineItem, column="author_id"),
    Part(name="clips", model=Clip, column="author_id"),
    Part(name="notifications", model=Notification, column="account_id"),
    Part(name="reminders", model=Reminder, column="account_id"),
    Part(name="invitations", model=Invitation, column="account_id"),
    Part(name="invitations_made", model=Invitation, column="inviter_id"),
    Part(name="mail_addresses", model=MailAddress, column="account_id"),
    Part(name="push_subscriptions", model=PushSubscription, column="account_id", without=_SECRET),
    Part(name="tickets", model=Ticket, column="account_id"),
    Part(name="reports", model=Report, column="reporter_id"),
    Part(name="appeals", model=Appeal, column="account_id"),
    Part(name="sanctions", model=Sanction, column="account_id", without=frozenset({"moderator_id"})),
    Part(name="recording_allowed", model=RolloutAllowed, column="account_id"),
    Part(name="acts", model=AuditEntry, column="actor_id", without=frozenset({"number", "hash"})),
)
# Columns that name a person, and why their rows are not told to that person.
LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "announcement.reached": "how far a word to many has come, gone once it is told",
        "avatar.account_id": "the picture itself is in the archive",
        "block.blocked_id": "who has blocked somebody is not told to them",
        "clip.host_id": "clips that others cut of one's recordings are theirs",
        "delivery.account_id": "work on the way, gone after a day",
        "legal_hold.set_by": "moderation, told by the audit log",
        "legal_hold.released_by": "moderation, told by the audit log",
        "review_decision.moderator_id": "moderation, told by the audit log",
        "review_opening.moderator_id": "moderation, told by the audit log",
        "sanction.moderator_id": "moderation, told by the audit log",
        "timeline_event.author_id": "a copy of the cards, gone after 30 days",
        "timeline_event.host_id": "a copy of the cards, gone after 30 days",
        "timeline_event.viewer_id": "a copy of the cards, gone after 30 days",
        "timeline_item.host_id": "cards of others about one's Spaces are theirs",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The files of the archive, and as of when."""

    entries: list[Entry]
    made_at: datetime


def export_link(house: House, viewer: Viewer, *, with_recordings: bool) -> Link:
    """A link to the viewer's archive, for an hour."""
    account = viewer.signed_in()
    return Link(
        kind=LinkKind.EXPORT_WITH_RECORDINGS if with_recordings else LinkKind.EXPORT,
        subject_id=account.id,
        viewer_id=account.id,
        expires_at=house.clock.now() + house.rules.export_link_for,
    )


async def open_export(house: House, token: str) -> Export:
    """What an export link opens, as of now. Raises LinkForged (403) or LinkGone (410)."""
    link, viewer = await playback.open_link(house, token, LinkKind.EXPORT, LinkKind.EXPORT_WITH_RECORDINGS)
    now = house.clock.now()
    entries = [Entry(name=f"{part.name}.json", content=await _told(part, link.subject_id)) for part in PARTS]
    avatar = await Avatar.get_or_none(account_id=link.subject_id)
    if avatar is not None:
        entries.append(Entry(name="avatar.jpg", content=bytes(avatar.picture)))
    if link.kind is LinkKind.EXPORT_WITH_RECORDINGS:
        entries += await _programmes(house, link.subject_id, now)
        entries += await _voice(house, viewer, now)
    return Export(entries=entries, made_at=now)


async def _told(part: Part, account_id: UUID) -> bytes:
    columns = [name for name in part.model._meta.db_fields if name not in part.without]
    rows = (
        await part.model.filter(**{part.column: account_id})
        .order_by(part.model._meta.pk_attr)
        .values(*columns)
    )
    return orjson.dumps(rows, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)


def _plain(value: object) -> str:
    """PostgreSQL's driver has an id type of its own, which orjson does not take for an id."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"expected what JSON can say, got {type(value).__name__}")


async def _programmes(house: House, account_id: UUID, now: datetime) -> list[Entry]:
    """The recordings of the person's Spaces that can be played; a review copy is for moderators alone."""
    hosted = await Recording.filter(host_id=account_id, status=RecordingStatus.AVAILABLE).order_by("id")
    return [
        Entry(name=f"recordings/{one.id}/{PROGRAMME}", content=house.shelf.files(one.id).file(PROGRAMME))
        for one in hosted
        if visibility.is_playable(one, now)
        and await in_store_thread(house.shelf.files(one.id).file(PROGRAMME).is_there)
    ]


async def _voice(house: House, viewer: Viewer, now: datetime) -> list[Entry]:
    """The person's own tracks, in whoever's recordings that can be played."""
    spoken = Participant.filter(account_id=viewer.id, role__in=list(PUBLISHING_ROLES))
    space_ids = await spoken.values_list("space_id", flat=True)
    held = Q(space_id__in=list(space_ids)) | Q(host_id=viewer.id)
    found: list[Entry] = []
    for one in await Recording.filter(held, status=RecordingStatus.AVAILABLE).order_by("id"):
        if visibility.is_playable(one, now):
            found += await archives.own_tracks(house, one.id, viewer.id)
    return found
