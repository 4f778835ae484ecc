"""Live rooms across restarts: what was open is repaired, told, and opened again or ended."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from media.engine import EngineError, RecordingFacts
from models.participant import Participant, ParticipantRole
from models.process import Process
from models.recording import ICON_ON, Recording, RecordingStatus
from models.space import Space, SpaceState
from services import deadlines, endings, spaces
from services.changes import change
from services.house import House
from services.recordings import take_facts
from services.states import may_move, move_and_tell

_NAME = "server"


async def sign_of_life(house: House) -> None:
    """Note that this server is here now."""
    now = house.clock.now()
    # Every second: one statement, not the transaction that the first time takes.
    if not await Process.filter(name=_NAME).update(seen_at=now):
        await Process.update_or_create(name=_NAME, defaults={"seen_at": now})


async def last_seen(house: House) -> datetime:
    """When this server was last there, before now."""
    found = await Process.get_or_none(name=_NAME)
    return min(found.seen_at, house.clock.now()) if found else house.clock.now()


async def lose_connections(house: House, since: datetime, *, only: Collection[UUID] | None = None) -> None:
    """Media connections broke at `since`, all or those of some Spaces: hosts who had one get their window."""
    async with change(house):
        connected = Participant.filter(is_connected=True)
        if only is not None:
            connected = connected.filter(space_id__in=list(only))
        hosts = connected.filter(role=ParticipantRole.HOST)
        space_ids = list(await hosts.values_list("space_id", flat=True))
        await Space.filter(id__in=space_ids, state=SpaceState.LIVE, host_lost_at=None).update(
            host_lost_at=since
        )
        await connected.update(is_connected=False, is_speaking=False)
    house.presence.lose_media(only=only)


async def reopen(house: House, since: datetime, *, only: Collection[UUID] | None = None) -> None:
    """After a start or the crash of a media process: end what is over, open the other rooms, finish the rest.

    `only` are the Spaces that were lost; all when None.
    """
    await lose_connections(house, since, only=only)
    await deadlines.run(house)
    live = Space.filter(state=SpaceState.LIVE)
    for space in await (live if only is None else live.filter(id__in=list(only))):
        await _reopen_room(house, space)
    for recording_id in await Recording.filter(status=RecordingStatus.FINALIZING).values_list(
        "id", flat=True
    ):
        await endings.finalise_stuck(house, recording_id)  # type: ignore[arg-type]


async def _reopen_room(house: House, space: Space) -> None:
    recording = await Recording.get_or_none(space_id=space.id, status__in=list(ICON_ON))
    try:
        facts = await house.engine.open_room(spaces.room_spec(house, space, recording))
    except EngineError:
        facts = None  # told as interrupted all the same; the next round tries again
    if recording is not None:
        await interrupt(house, recording.id, facts)


async def interrupt(house: House, recording_id: UUID, facts: RecordingFacts | None) -> None:
    """RECORDING to INTERRUPTED with what is on disk."""
    async with change(house) as made:
        found = await made.recording(recording_id)
        if found is None or found[1].status not in ICON_ON:
            return
        space, recording = found
        take_facts(recording, facts)
        if may_move(recording, RecordingStatus.INTERRUPTED):
            await move_and_tell(made, space, recording, RecordingStatus.INTERRUPTED)
        else:
            await recording.save()


async def suspend(house: House) -> None:
    """Before a shutdown: open fragments are closed and live recordings told as INTERRUPTED."""
    now = house.clock.now()
    try:
        on_disk = {UUID(facts.recording_id): facts for facts in await house.engine.suspend()}
    except EngineError:
        on_disk = {}
    await lose_connections(house, now)
    for recording_id in await Recording.filter(status=RecordingStatus.RECORDING).values_list("id", flat=True):
        await interrupt(house, recording_id, on_disk.get(recording_id))  # type: ignore[arg-type,call-overload]
    await sign_of_life(house)
