"""Sharing Spaces and recordings; each share is a card of its own."""

from uuid import UUID

from tortoise.expressions import F

from models.recording import Recording
from models.removed_card import RemovedCard
from models.space import SpaceState
from models.timeline_event import TimelineEventKind
from models.timeline_item import SHARE_KINDS, TimelineItem, TimelineItemKind
from services import text, visibility
from services.changes import Change, change, new_id
from services.errors import (
    AlreadyEnded,
    Forbidden,
    InvalidInput,
    NotFound,
    RecordingNotAvailable,
    TicketRequired,
)
from services.house import House
from services.retention import status_at
from services.viewers import Viewer

LONGEST_COMMENT = 1000


async def share_space(house: House, viewer: Viewer, space_id: UUID, *, comment: str | None) -> TimelineItem:
    """Put a Space on the sharer's timeline."""
    account = viewer.signed_in()
    async with change(house) as made:
        space = await visibility.locked_space(made, viewer, space_id)
        if not await visibility.is_admitted(viewer, space):
            raise TicketRequired
        if space.state is SpaceState.CANCELED:
            raise AlreadyEnded("The Space was canceled. There is nothing to share.")
        item = TimelineItem(
            id=new_id(),
            kind=TimelineItemKind.SPACE_SHARED,
            author_id=account.id,
            host_id=space.host_id,
            space_id=space.id,
            comment=text.optional(comment, "comment", most=LONGEST_COMMENT),
            created_at=made.now,
            activity_at=made.now,
        )
        return await publish(made, item)


async def share_recording(
    house: House, viewer: Viewer, recording_id: UUID, *, comment: str | None, start_ms: int
) -> tuple[TimelineItem, Recording]:
    """Put a recording on the sharer's timeline, to be played from `start_ms`."""
    account = viewer.signed_in()
    async with change(house) as made:
        locked = await made.recording(recording_id)
        recording = await visibility.visible_recording(viewer, recording_id)
        admitted = await visibility.is_admitted(viewer, recording)
        if not admitted:
            raise TicketRequired
        if not visibility.may_share(recording, viewer, made.now, admitted=admitted):
            status = status_at(recording, made.now).value
            raise RecordingNotAvailable(f"The recording is {status}. Only an AVAILABLE one can be shared.")
        if not 0 <= start_ms <= recording.duration_ms:
            raise InvalidInput(
                f"startMs must be 0 to {recording.duration_ms}, got {start_ms}.", path=["startMs"]
            )
        item = TimelineItem(
            id=new_id(),
            kind=TimelineItemKind.RECORDING_SHARED,
            author_id=account.id,
            host_id=recording.host_id,
            space_id=recording.space_id,
            recording_id=recording.id,
            comment=text.optional(comment, "comment", most=LONGEST_COMMENT),
            start_ms=start_ms,
            created_at=made.now,
            activity_at=made.now,
        )
        await publish(made, item)
        if locked is not None:
            await made.outbox.shared(*locked, item)
    await recording.refresh_from_db()
    return item, recording


async def publish(made: Change, item: TimelineItem) -> TimelineItem:
    """Put a share card on its author's timeline, and count it."""
    await item.save(force_create=True)
    if item.recording_id is not None:
        await Recording.filter(id=item.recording_id).update(share_count=F("share_count") + 1)
    await made.tell_timeline(item, TimelineEventKind.ADDED)
    return item


async def delete_share(house: House, viewer: Viewer, item_id: UUID) -> UUID:
    """Take one's own share back."""
    account = viewer.signed_in()
    async with change(house) as made:
        # One's own also when a block hides the Space: others still see it.
        found = TimelineItem.filter(id=item_id)
        item = await found.filter(author_id=account.id).first()
        item = item or await found.filter(await visibility.items(viewer)).first()
        if item is None:
            raise NotFound(path=["itemId"])
        if item.author_id != account.id:
            raise Forbidden("Only its author can take a share back.")
        if item.kind not in SHARE_KINDS:
            raise Forbidden("This is the Space's own card, not a share. It changes with its Space.")
        await remove(made, item)
    return item_id


async def remove(made: Change, item: TimelineItem) -> None:
    """Take a share card off every timeline."""
    if item.recording_id is not None:
        await Recording.filter(id=item.recording_id).update(share_count=F("share_count") - 1)
    await item.delete()
    await RemovedCard.create(id=item.id, removed_at=made.now)
    await made.tell_timeline(item, TimelineEventKind.REMOVED)
