"""The porter: carries recordings that are over into the bucket, and tries again when the store was away."""

import asyncio
from secrets import token_hex
from uuid import UUID

import structlog

from media.plain import StoreAway
from services import shelving
from services.house import House

log = structlog.get_logger(__name__)

# So many are carried at once.
_AT_ONCE = 4
_FIRST_PAUSE_S = 1.0


class Porter:
    """One worker beside the timetable, where the spool is: a slow store must not hold up the end of a Space."""

    def __init__(self, house: House, *, interval_s: float) -> None:
        self._house = house
        self._interval_s = interval_s
        self._owner = token_hex(8)

    async def run(self) -> None:
        """A round now and every interval; after one that failed sooner, with growing pauses. Until cancelled."""
        pause_s = self._interval_s
        while True:
            if await self.round():
                pause_s = self._interval_s
            else:
                pause_s = min(
                    _FIRST_PAUSE_S if pause_s == self._interval_s else 2 * pause_s, self._interval_s
                )
            await asyncio.sleep(pause_s)

    async def round(self) -> bool:
        """Carry all that waits; whether that went well. The first that the store refuses ends it."""
        try:
            left = await shelving.waiting(self._house)
            while left:
                batch, left = left[:_AT_ONCE], left[_AT_ONCE:]
                if not all(await asyncio.gather(*(self._attempt(one) for one in batch))):
                    return False
        except Exception:
            log.exception("the spool could not be carried away")
            return False
        return True

    async def _attempt(self, one: UUID) -> bool:
        try:
            await shelving.shelve(self._house, one, self._owner)
        except StoreAway as error:
            log.warning(
                "the store is away: a recording stays in the spool", subject=str(one), reason=str(error)
            )
            return False
        except Exception:
            log.exception("a recording could not be carried away", subject=str(one))
        return True
