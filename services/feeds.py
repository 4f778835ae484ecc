"""What programs that know no GraphQL read of a host: the recordings as a podcast, the coming Spaces as a calendar."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tortoise.expressions import Q
from tortoise.functions import Max

from models.account import Account
from models.fields import from_ms
from models.recording import Recording, RecordingStatus
from models.space import Space, SpaceState
from models.space_event import SpaceEvent, SpaceEventKind
from models.timeline_event import TimelineEvent
from models.timeline_item import SHARE_KINDS, TimelineItem
from services import text, visibility
from services.errors import NotFound
from services.house import House

_MOST = 100
# A calendar that is read once a day still learns of what was called off.
_CANCELED_KEPT = timedelta(days=2)


class FeedGone(NotFound):
    """This account is gone, and its feeds with it."""

    status = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One recording that anyone may play."""

    recording: Recording
    space: Space
    card_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Podcast:
    """A host's recordings, the newest first. `changed_at`: when the list last became another."""

    host: Account
    episodes: tuple[Episode, ...]
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """One Space in a calendar. `revision` grows with each change of what the calendar shows."""

    space: Space
    card_id: UUID | None
    revision: int
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """A host's coming Spaces, the soonest first."""

    host: Account
    coming: tuple[Coming, ...]
    changed_at: datetime


async def host_of(handle: str) -> Account:
    """Who is called that. Raises NotFound, and FeedGone for who is there no more."""
    key = text.handle_key(handle)
    host = await Account.get_or_none(handle_key=key) if key else None
    if host is None:
        raise NotFound
    if host.deleted_at is not None:
        raise FeedGone
    return host


async def podcast(house: House, handle: str) -> Podcast:
    """What of a host's recordings anyone may play now, by an address that needs no sign-in."""
    host = await host_of(handle)
    now = house.clock.now()
    public = Recording.filter(
        host_id=host.id, status=RecordingStatus.AVAILABLE, expires_at__gt=now, is_ticketed=False
    )
    rows = await public.order_by("-created_at", "-id").limit(_MOST)
    rows = [row for row in rows if visibility.is_playable(row, now)]
    spaces = {space.id: space for space in await Space.filter(id__in=[row.space_id for row in rows])}
    cards = await _cards(list(spaces))
    episodes = tuple(
        Episode(recording=row, space=spaces[row.space_id], card_id=cards.get(row.space_id)) for row in rows
    )
    return Podcast(host=host, episodes=episodes, changed_at=await _changed_at(host, now))


async def agenda(house: House, handle: str) -> Agenda:
    """A host's Spaces that have a time: those to come, those that are live, and those just called off."""
    host = await host_of(handle)
    now = house.clock.now()
    coming = Q(state__in=[SpaceState.SCHEDULED, SpaceState.LIVE], scheduled_start__isnull=False)
    off = Q(state=SpaceState.CANCELED, scheduled_start__gt=now - _CANCELED_KEPT)
    found = Space.filter(coming | off, host_id=host.id)
    spaces = await found.order_by("scheduled_start", "id").limit(_MOST)
    ids = [space.id for space in spaces]
    revisions = await _revisions(ids)
    cards = await _cards(ids)
    return Agenda(
        host=host,
        coming=tuple(
            Coming(
                space=space,
                card_id=cards.get(space.id),
                revision=revisions[space.id][0] if space.id in revisions else 0,
                changed_at=revisions[space.id][1] if space.id in revisions else space.created_at,
            )
            for space in spaces
        ),
        changed_at=await _changed_at(host, now),
    )


async def _revisions(ids: list[UUID]) -> dict[UUID, tuple[int, datetime]]:
    """Number and time of the last event that changed what a calendar shows."""
    kinds = [SpaceEventKind.UPDATED, SpaceEventKind.CANCELED]
    last = SpaceEvent.filter(space_id__in=ids, kind__in=kinds).group_by("space_id")
    rows = await last.annotate(number=Max("sequence"), moment=Max("at")).values_list(
        "space_id", "number", "moment"
    )
    return {space_id: (number, _instant(moment)) for space_id, number, moment in rows}


def _instant(value: object) -> datetime:
    """An aggregate over an instant column comes as it is kept."""
    if isinstance(value, datetime):
        return value
    return from_ms(int(str(value)))


async def _cards(space_ids: list[UUID]) -> dict[UUID, UUID]:
    """The Spaces' own cards."""
    own = TimelineItem.filter(space_id__in=space_ids).exclude(kind__in=list(SHARE_KINDS))
    return dict(await own.values_list("space_id", "id"))


async def _changed_at(host: Account, now: datetime) -> datetime:
    """When a feed of this host last became another: by a change of a card, or by an expiry."""
    newest = await TimelineEvent.filter(author_id=host.id).order_by("-id").first()
    expired = Recording.filter(host_id=host.id, expires_at__lte=now).order_by("-expires_at")
    last = await expired.first()
    moments = [host.created_at]
    moments += [newest.at] if newest is not None else []
    moments += [last.expires_at] if last is not None and last.expires_at is not None else []
    return max(moments)
