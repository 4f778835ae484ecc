"""The two state tables at work: a Space or a recording moves here and nowhere else."""

from datetime import datetime

from models.recording import RECORDING_MOVES, Recording, RecordingStatus
from models.space import SPACE_MOVES, Space, SpaceState
from models.space_event import SpaceEventKind
from services import cards
from services.changes import Change
from services.errors import AlreadyEnded, AlreadyLive, Conflict, NotLive
from services.removals import WITHDRAWN, Removal, RemovedKind


def move_space(space: Space, to: SpaceState, now: datetime) -> None:
    """Put a locked Space into its next state. Raises AlreadyLive, AlreadyEnded or NotLive."""
    if (space.state, to) not in SPACE_MOVES:
        raise {SpaceState.LIVE: AlreadyLive, SpaceState.SCHEDULED: NotLive}.get(space.state, AlreadyEnded)
    space.state = to
    if to is SpaceState.LIVE:
        space.started_at = now
    else:
        space.ended_at = now


def may_move(recording: Recording, to: RecordingStatus) -> bool:
    """Whether the table knows the move."""
    return (recording.status, to) in RECORDING_MOVES


def move_recording(recording: Recording, to: RecordingStatus) -> RecordingStatus:
    """Put a recording into its next status and return the one before. Raises Conflict."""
    if not may_move(recording, to):
        raise Conflict(f"A recording cannot go from {recording.status.value} to {to.value}.")
    before, recording.status = recording.status, to
    return before


async def move_and_tell(change: Change, space: Space, recording: Recording, to: RecordingStatus) -> None:
    """Move a recording, save it, and tell the Space and its cards."""
    before = move_recording(recording, to)
    await recording.save()
    if to in WITHDRAWN:
        change.removed.append(
            Removal(
                kind=RemovedKind.RECORDING, id=recording.id, at=recording.gone_at or change.now, status=to
            )
        )
    await change.tell_space(
        space,
        SpaceEventKind.RECORDING_STATUS_CHANGED,
        recording=recording,
        of_recording=True,
        facts={"from": before.value, "to": to.value},
    )
    await cards.changed(change, space, recording)
