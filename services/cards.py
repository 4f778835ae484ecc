"""Cards: the one by the host that changes with its Space, and those that people share."""

from typing import Any
from uuid import UUID

from tortoise.expressions import Q, Subquery

from models.follow import Follow
from models.recording import Recording
from models.space import Space, SpaceState
from models.timeline_event import TimelineEventKind
from models.timeline_item import TimelineItem, TimelineItemKind
from services.changes import Change, new_id

# So many cards that come or go with a person are told one by one: more than any page shows.
MOST_TOLD = 100
_KIND = {
    SpaceState.SCHEDULED: TimelineItemKind.SPACE_SCHEDULED,
    SpaceState.CANCELED: TimelineItemKind.SPACE_SCHEDULED,
    SpaceState.LIVE: TimelineItemKind.SPACE_LIVE,
    SpaceState.ENDED: TimelineItemKind.SPACE_ENDED,
}


def _is_public(space: Space, recording: Recording | None) -> bool:
    """On the anonymous timeline stand live Spaces and recordings, gone ones as tombstones."""
    return space.state is SpaceState.LIVE or (space.state is SpaceState.ENDED and recording is not None)


async def create(change: Change, space: Space, recording: Recording | None) -> TimelineItem:
    """The Space's own card."""
    item = await TimelineItem.create(
        id=new_id(),
        kind=_KIND[space.state],
        author_id=space.host_id,
        host_id=space.host_id,
        space_id=space.id,
        recording_id=recording.id if recording else None,
        created_at=change.now,
        activity_at=change.now,
    )
    await change.tell_timeline(item, TimelineEventKind.ADDED)
    return item


async def news(change: Change, space: Space, recording: Recording | None) -> None:
    """The Space went live or ended: its card changes, comes up again, and its shares change."""
    await _update(change, space, recording, bump=True)


async def changed(change: Change, space: Space, recording: Recording | None) -> None:
    """Something that cards show has changed, and it is no news."""
    await _update(change, space, recording, bump=False)


async def _update(change: Change, space: Space, recording: Recording | None, *, bump: bool) -> None:
    for item in await TimelineItem.filter(space_id=space.id):
        was_public = item.is_public
        if item.kind in _KIND.values():
            now_is: dict[str, Any] = {
                "kind": _KIND[space.state],
                "recording_id": recording.id if recording else None,
                "is_public": _is_public(space, recording),
                "activity_at": change.now if bump else item.activity_at,
            }
            changes = {name: value for name, value in now_is.items() if getattr(item, name) != value}
            if changes:
                await item.update_from_dict(changes).save(update_fields=list(changes))
        public_kind = None
        if item.is_public:
            public_kind = TimelineEventKind.CHANGED if was_public else TimelineEventKind.ADDED
        elif was_public:
            public_kind = TimelineEventKind.REMOVED
        await change.tell_timeline(item, TimelineEventKind.CHANGED, public_kind=public_kind)


def on_timeline_of(account_id: UUID) -> Q:
    """Cards by a person and by those whom they follow; visibility comes on top."""
    followed = Follow.filter(follower_id=account_id).values("followee_id")
    return Q(author_id=account_id) | Q(author_id__in=Subquery(followed))


async def by_author(author_id: UUID, *, hidden: frozenset[UUID]) -> list[TimelineItem]:
    """Somebody's newest cards, without those of hosts hidden from the viewer."""
    found = TimelineItem.filter(author_id=author_id)
    if hidden:
        found = found.filter(~Q(host_id__in=hidden))
    return await found.order_by("-activity_at", "-id").limit(MOST_TOLD)


async def between(viewer_id: UUID, other_id: UUID) -> list[TimelineItem]:
    """The newest cards on a person's timeline that are by somebody or of their Spaces."""
    theirs = Q(author_id=other_id) | Q(host_id=other_id)
    found = TimelineItem.filter(on_timeline_of(viewer_id)).filter(theirs)
    return await found.order_by("-activity_at", "-id").limit(MOST_TOLD)
