"""Clips: cut by anyone who may play, playable for as long as their recording is."""

from datetime import datetime
from uuid import UUID

from tortoise.expressions import Q

from models.clip import Clip
from models.recording import Recording
from models.space import Space
from models.timeline_item import TimelineItem, TimelineItemKind
from services import shares, text, visibility
from services.changes import change, new_id
from services.errors import Forbidden, InvalidInput, NotFound, RecordingNotAvailable, TicketRequired
from services.house import House
from services.retention import status_at
from services.viewers import Viewer


async def create(
    house: House,
    viewer: Viewer,
    recording_id: UUID,
    *,
    start_ms: int,
    end_ms: int,
    title: str,
    comment: str | None,
) -> tuple[Clip, TimelineItem]:
    """A clip with a card of its own. Nothing is copied: it plays the recording's own bytes."""
    account = viewer.signed_in()
    async with change(house) as made:
        recording = await visibility.visible_recording(viewer, recording_id)
        admitted = await visibility.is_admitted(viewer, recording)
        if not admitted:
            raise TicketRequired
        if not visibility.may_share(recording, viewer, made.now, admitted=admitted):
            status = status_at(recording, made.now).value
            raise RecordingNotAvailable(
                f"The recording is {status}. Clips can be cut from an AVAILABLE one alone."
            )
        space = await Space.get(id=recording.space_id)
        if not space.clips_allowed and account.id != space.host_id:
            raise Forbidden("The host of this Space does not allow clips.")
        _check_stretch(recording, start_ms, end_ms, longest_ms=house.rules.longest_clip_ms)
        clip = await Clip.create(
            id=new_id(),
            recording_id=recording.id,
            author_id=account.id,
            host_id=recording.host_id,
            start_ms=start_ms,
            end_ms=end_ms,
            title=text.line(title, "title", most=200),
            created_at=made.now,
        )
        item = TimelineItem(
            id=new_id(),
            kind=TimelineItemKind.CLIP_SHARED,
            author_id=account.id,
            host_id=recording.host_id,
            space_id=recording.space_id,
            recording_id=recording.id,
            clip_id=clip.id,
            comment=text.optional(comment, "comment", most=shares.LONGEST_COMMENT),
            start_ms=start_ms,
            created_at=made.now,
            activity_at=made.now,
        )
        return clip, await shares.publish(made, item)


def _check_stretch(recording: Recording, start_ms: int, end_ms: int, *, longest_ms: int) -> None:
    """Within what may be played, not empty and not too long. Raises InvalidInput."""
    first, last = recording.start_offset_ms, recording.duration_ms
    if not first <= start_ms < last:
        raise InvalidInput(f"startMs must be {first} to {last - 1}, got {start_ms}.", path=["startMs"])
    most = min(last, start_ms + longest_ms)
    if not start_ms < end_ms <= most:
        raise InvalidInput(
            f"endMs must be {start_ms + 1} to {most} (a clip has at most {longest_ms // 1000} s), got {end_ms}.",
            path=["endMs"],
        )


async def delete(house: House, viewer: Viewer, clip_id: UUID) -> UUID:
    """Take a clip away with its card: by its author, or by the host whose recording it is."""
    account = viewer.signed_in()
    async with change(house) as made:
        # One's own also when a block hides the recording, and what was cut from one's own.
        found = Clip.filter(id=clip_id)
        clip = await found.filter(Q(author_id=account.id) | Q(host_id=account.id)).first()
        clip = clip or await found.filter(await visibility.items(viewer)).first()
        if clip is None:
            raise NotFound(path=["clipId"])
        if account.id not in {clip.author_id, clip.host_id}:
            raise Forbidden("Only its author and the host of the Space can delete a clip.")
        for item in await TimelineItem.filter(clip_id=clip.id):
            await shares.remove(made, item)
        await clip.delete()
    return clip_id


def may_play(clip: Clip, recording: Recording | None, now: datetime, *, admitted: bool) -> bool:
    """Whether there is something of the clip to play: not once its recording is gone, nor before the trim."""
    return (
        recording is not None
        and visibility.may_play(recording, now, admitted=admitted)
        and clip.end_ms > recording.start_offset_ms
    )
