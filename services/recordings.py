"""What becomes of a recording: what the recorder says of it, its end, trim, deletion, positions and plays."""

from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from uuid import UUID

from tortoise.exceptions import IntegrityError
from tortoise.expressions import F

from media.engine import EngineError, GapCause, RecordingFacts
from models.fields import from_ms
from models.listening import Listening
from models.notification import NotificationKind
from models.playback_position import PlaybackPosition
from models.recording import ICON_ON, Recording, RecordingStatus
from models.space import Space
from models.space_event import SpaceEventKind
from services import announcements, cards, notifications, spaces, tickets, visibility
from services.changes import Change, change, new_id
from services.errors import Forbidden, InvalidInput, RecordingNotAvailable, TicketRequired, Unavailable
from services.house import House
from services.retention import begin_review, set_expiry, status_at, wind
from services.states import move_and_tell, move_recording
from services.viewers import Viewer
from services.visibility import visible_recording

NO_AUDIO = "no audio was received"
_BY_DISK = frozenset({GapCause.DISK_FULL, GapCause.DISK_ERROR})
# Listenings that are remembered as counted, so that their next requests ask nobody: some 2 MB.
_COUNTED = 10_000


def take_facts(recording: Recording, facts: RecordingFacts | None) -> None:
    """Copy what is on disk into the row."""
    if facts is None or facts.started_at_ms is None:
        return
    recording.started_at = from_ms(facts.started_at_ms)
    recording.duration_ms = facts.duration_ms
    recording.size_bytes = facts.size_bytes
    recording.gaps = [asdict(gap) for gap in facts.gaps]


def was_cut_off(recording: Recording) -> bool:
    """Whether the disk has failed it: then who listens live hears the room from memory until the end."""
    return any(gap["cause"] in _BY_DISK for gap in recording.gaps)


async def finalise(house: House, recording_id: UUID, facts: RecordingFacts | None) -> None:
    """FINALIZING to AVAILABLE, or to FAILED when no audio ever came. Doing it twice is once."""
    async with change(house) as made:
        found = await made.recording(recording_id)
        if found is None or found[1].status is not RecordingStatus.FINALIZING:
            return
        space, recording = found
        take_facts(recording, facts)
        recording.ended_at = space.ended_at
        if recording.started_at is None:
            recording.failure_reason = recording.failure_reason or NO_AUDIO
            await move_and_tell(made, space, recording, RecordingStatus.FAILED)
            await tickets.refund_all(house, made, space, promised=True)
            return
        ended_at = space.ended_at or made.now
        recording.expires_at = ended_at + house.policies.of(recording).public_for
        wind(recording, house.policies.of(recording), made.now)
        await move_and_tell(made, space, recording, RecordingStatus.AVAILABLE)
        await notifications.of_recording(
            house, made, NotificationKind.RECORDING_AVAILABLE, recording, [recording.host_id]
        )
        await announcements.plan_expiry(house, made, recording)


async def _owned(made: Change, viewer: Viewer, recording_id: UUID) -> tuple[Space, Recording]:
    """A recording and its Space, both locked, of a viewer who must be the host."""
    account = viewer.signed_in()
    seen = await visible_recording(viewer, recording_id)
    if seen.host_id != account.id:
        raise Forbidden("Only the host can do this with a recording.")
    space = await made.space(seen.space_id)
    return space, await Recording.select_for_update().get(id=recording_id)


async def trim(house: House, viewer: Viewer, recording_id: UUID, *, start_offset_ms: int) -> Recording:
    """Move where playback starts; nothing is cut from the file."""
    async with change(house) as made:
        space, recording = await _owned(made, viewer, recording_id)
        await _playable(recording, viewer, made.now)
        if not 0 <= start_offset_ms < max(recording.duration_ms, 1):
            raise InvalidInput(
                f"startOffsetMs must be 0 to {max(recording.duration_ms - 1, 0)}, got {start_offset_ms}.",
                path=["startOffsetMs"],
            )
        recording.start_offset_ms = start_offset_ms
        await recording.save(update_fields=["start_offset_ms"])
        await cards.changed(made, space, recording)
    return recording


async def _playable(recording: Recording, viewer: Viewer, now: datetime) -> None:
    if not await visibility.is_admitted(viewer, recording):
        raise TicketRequired
    if not visibility.is_playable(recording, now):
        status = status_at(recording, now).value
        raise RecordingNotAvailable(
            f"The recording is {status}. Only an AVAILABLE one can be played or shared."
        )


async def delete(house: House, viewer: Viewer, recording_id: UUID) -> Recording | None:
    """Delete at once, for everyone, also while live. None when it was only armed: the toggle is off then."""
    async with change(house) as made:
        space, recording = await _deletable(made, viewer, recording_id)
        if recording.status is RecordingStatus.ARMED:
            await spaces.set_toggle(house, made, space, enabled=False)
            return None
    # Outside the transaction, which must not wait for audio. Told only once the recorder has stopped.
    facts = await stop_recorder(house, space.id) if recording.status in ICON_ON else None
    async with change(house) as made:
        space, recording = await _deletable(made, viewer, recording_id)
        take_facts(recording, facts)
        begin_review(recording, house.policies.of(recording), made.now)
        recording.ended_at = recording.ended_at or space.ended_at
        await move_and_tell(made, space, recording, RecordingStatus.DELETED)
        await made.audit(
            "recording.deleted",
            "recording",
            recording.id,
            actor_id=viewer.id,
            outcome=RecordingStatus.DELETED,
        )
    return recording


async def withdraw(house: House, recording_id: UUID, *, actor_id: UUID) -> None:
    """Delete a recording whose host goes for good, by the same clocks. Doing it twice is once."""
    async with change(house) as made:
        known = await Recording.get(id=recording_id)
        space = await made.space(known.space_id)
        recording = await Recording.select_for_update().get(id=recording_id)
        if recording.status not in {RecordingStatus.AVAILABLE, RecordingStatus.FINALIZING}:
            return
        if status_at(recording, made.now) is RecordingStatus.EXPIRED:
            return  # it went by itself, as of its own date
        begin_review(recording, house.policies.of(recording), made.now)
        await move_and_tell(made, space, recording, RecordingStatus.DELETED)
        await made.audit(
            "recording.deleted",
            "recording",
            recording.id,
            actor_id=actor_id,
            outcome=RecordingStatus.DELETED,
        )


async def _deletable(made: Change, viewer: Viewer, recording_id: UUID) -> tuple[Space, Recording]:
    space, recording = await _owned(made, viewer, recording_id)
    if not visibility.may_delete(recording, viewer, made.now):
        status = status_at(recording, made.now).value
        raise RecordingNotAvailable(f"The recording is {status} and cannot be deleted any more.")
    return space, recording


async def stop_recorder(house: House, space_id: UUID) -> RecordingFacts | None:
    """Stop writing at once; the room goes on unrecorded. Raises Unavailable."""
    try:
        return await house.engine.stop_recording(str(space_id))
    except EngineError as error:
        raise Unavailable(
            "The recorder cannot be reached. Try again shortly.", retry_after_ms=1000
        ) from error


async def save_position(
    house: House, viewer: Viewer, recording_id: UUID, *, position_ms: int, listened_at: datetime | None
) -> Recording:
    """Keep where the viewer stopped. The latest listening wins, whichever was told first."""
    account = viewer.signed_in()
    recording = await visible_recording(viewer, recording_id)
    async with change(house) as made:
        await _playable(recording, viewer, made.now)
        if not 0 <= position_ms <= recording.duration_ms:
            raise InvalidInput(
                f"positionMs must be 0 to {recording.duration_ms}, got {position_ms}.", path=["positionMs"]
            )
        # A player's clock may be ahead: what it says of the future counts as now.
        at = min(listened_at or made.now, made.now)
        mine = PlaybackPosition.select_for_update().filter(account_id=account.id)
        found = await mine.get_or_none(recording_id=recording.id)
        if found is None:
            await PlaybackPosition.create(
                id=new_id(),
                account_id=account.id,
                recording_id=recording.id,
                position_ms=position_ms,
                listened_at=at,
            )
        elif at >= found.listened_at:
            found.position_ms, found.listened_at = position_ms, at
            await found.save()
    return recording


async def count_play(house: House, recording_id: UUID, *, key: str) -> None:
    """Count a listening as a play, once."""
    if (recording_id, key) in house.counted:
        return
    if not await Listening.exists(recording_id=recording_id, key=key):
        # Two requests of one listening may race; the other one counted it then.
        with suppress(IntegrityError):
            async with change(house) as made:
                await Listening.create(id=new_id(), recording_id=recording_id, key=key, at=made.now)
                await Recording.filter(id=recording_id).update(play_count=F("play_count") + 1)
    house.counted[recording_id, key] = None
    if len(house.counted) > _COUNTED:
        del house.counted[next(iter(house.counted))]


async def forget_listenings(house: House) -> None:
    """Drop the keys of listenings whose links have long expired."""
    await Listening.filter(at__lt=house.clock.now() - timedelta(days=2)).delete()


async def expire(house: House, recording_id: UUID, *, now: datetime) -> None:
    """AVAILABLE to EXPIRED, as of its date, however late the worker comes."""
    async with change(house) as made:
        found = await made.recording(recording_id)
        if found is None or found[1].status is not RecordingStatus.AVAILABLE:
            return
        space, recording = found
        if recording.expires_at is None or recording.expires_at > now:
            return
        begin_review(recording, house.policies.of(recording), recording.expires_at)
        await move_and_tell(made, space, recording, RecordingStatus.EXPIRED)


async def end_what_is_gone(house: House, space: Space, recording: Recording) -> None:
    """What was deleted or taken down while live ends with its Space all the same."""
    recording.ended_at = space.ended_at
    set_expiry(recording, house.policies.of(recording))
    await recording.save(update_fields=["ended_at", "expires_at"])


async def begin_finalising(made: Change, space: Space, recording: Recording) -> None:
    """With the end of its Space the recorder closes: told in the Space's own ENDED event."""
    move_recording(recording, RecordingStatus.FINALIZING)
    recording.ended_at = space.ended_at
    await recording.save()
    await made.tell_space(space, SpaceEventKind.ENDED, recording=recording, of_recording=True)
