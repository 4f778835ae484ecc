"""Carrying all recordings of a data folder into the bucket, while nobody serves."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from media.plain import StoreAway
from services import shelving
from services.house import House
from services.inventory import Folders

AT_ONCE = 8
# Nobody else moves this folder: what a move that was killed had leased is taken up at once.
_OWNER = "move"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """How many recordings are in the bucket, proven; which are over and are not; which of the spool go on there."""

    count: int
    left: list[UUID]
    unfinished: list[UUID]


async def carry_recordings(
    house: House, *, planned: Callable[[int], None], told: Callable[[], None]
) -> Carried:
    """Carry what is over; the spool keeps its copies. `planned` hears how many there are, `told` of each.

    Raises StoreAway; what is there by then is not carried again.
    """
    spooled = Folders(house.shelf.spool)
    there = {one for _, one in await asyncio.to_thread(lambda: list(spooled.subjects())) if one is not None}
    waiting = await shelving.waiting(house)
    planned(len(waiting))
    carried: set[UUID] = set()
    queue = iter(waiting)
    away: list[StoreAway] = []

    async def carry() -> None:
        for one in queue:
            try:
                if await shelving.shelve(house, one, _OWNER, let_go=False):
                    carried.add(one)
            except StoreAway as error:
                away.append(error)
            if away:
                return
            told()

    await asyncio.gather(*(carry() for _ in range(AT_ONCE)))
    if away:
        raise away[0]
    over = set(waiting)
    return Carried(count=len(carried), left=sorted(over - carried), unfinished=sorted(there - over))
