"""What becomes due of Spaces, seen to when it is: by the clockwork, and by a read that comes before it.

So a Space whose minute is over is never told as live, not even while a worker sleeps.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from services import attendance, endings
from services.changes import again
from services.deadline import NEVER
from services.house import House

log = structlog.get_logger(__name__)

# After a failure, so that a database that is away is not asked at every read.
_RETRY_AFTER = timedelta(seconds=1)


def next_at(house: House) -> datetime:
    """When something is next due."""
    return min(house.deadlines.next_at, house.presence.due_at)


async def look_ahead(house: House) -> None:
    """Read anew from the rows when something is next due."""
    known = house.deadlines
    while True:
        moves = known.moves
        found = await endings.next_deadline(house.rules) or NEVER
        # What was read before a change does not replace what the change has told.
        if known.moves == moves:
            known.next_at = found
            return


async def settle(house: House) -> None:
    """See to what is due, if anything is. Costs a comparison when nothing is."""
    if next_at(house) > house.clock.now():
        return
    async with house.deadlines.turn:
        if next_at(house) <= house.clock.now():
            await run(house)


async def run(house: House) -> None:
    """See to whatever is due. What fails is logged, and tried again."""
    now = house.clock.now()
    for space_id in {*house.presence.due(now), *house.presence.changed}:
        await _attempt(attendance.settle, house, space_id)
    try:
        for space_id in await endings.due_spaces(house.rules, now):
            await _attempt(endings.end_due, house, space_id)
        await look_ahead(house)
        if house.deadlines.next_at <= now:
            house.deadlines.next_at = now + _RETRY_AFTER
    except Exception:
        log.exception("deadlines could not be read")
        house.deadlines.next_at = now + _RETRY_AFTER


async def _attempt(job: Callable[[House, UUID], Awaitable[None]], house: House, space_id: UUID) -> None:
    try:
        await again(lambda: job(house, space_id))
    except Exception:
        log.exception("a Space could not be settled", subject=str(space_id))
        room = house.presence.rooms.get(space_id)
        if room is not None:
            room.due_at = max(room.due_at, house.clock.now() + _RETRY_AFTER)
