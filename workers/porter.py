"""The porter: carries recordings that are over into the bucket, and tries again when the store was away."""

import asyncio
from secrets import token_hex
from uuid import UUID

import structlog

from media.plain import StoreAway
from services import shelving
from services.growing import Growing, growing
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
        self._uploads: dict[UUID, Growing] = {}
        # Those that broke off are carried when they are over, from their beginning.
        self._broken: set[UUID] = set()

    async def run(self) -> None:
        """A round now and every interval; after one that failed sooner, with growing pauses. Until cancelled."""
        pause_s = self._interval_s
        try:
            while True:
                if await self.round():
                    pause_s = self._interval_s
                else:
                    first = pause_s == self._interval_s
                    pause_s = min(_FIRST_PAUSE_S if first else 2 * pause_s, self._interval_s)
                await asyncio.sleep(pause_s)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End unfinished what grows; whoever comes next begins it anew."""
        uploads, self._uploads = self._uploads, {}
        await asyncio.gather(*(upload.stop() for upload in uploads.values()))

    async def round(self) -> bool:
        """Carry all that waits; whether that went well. The first that the store refuses ends it."""
        try:
            live = await self._go_along()
            left = await shelving.waiting(self._house)
            await self._let_go_of_others({*live, *left})
            self._house.shelf.waiting = len(left)
            while left:
                batch, left = left[:_AT_ONCE], left[_AT_ONCE:]
                if not all(await asyncio.gather(*(self._attempt(one) for one in batch))):
                    return False
                self._house.shelf.waiting = len(left)
        except Exception:
            log.exception("the spool could not be carried away")
            return False
        return True

    async def _go_along(self) -> list[UUID]:
        """With recordings that are being written; which those are."""
        bucket = self._house.shelf.bucket
        if bucket is None:
            return []
        live = await growing(self._house)
        for one in live:
            upload = self._uploads.get(one)
            if upload is not None and upload.has_failed:
                log.warning("a recording will be carried at its end", subject=str(one))
                self._broken.add(one)
                await self._uploads.pop(one).stop()
            elif upload is not None:
                upload.look()
            elif one not in self._broken:
                self._uploads[one] = Growing(self._house.shelf, bucket, one)
        return live

    async def _let_go_of_others(self, known: set[UUID]) -> None:
        """What is neither written nor waits will never be carried: it is purged, or has failed."""
        for one in self._uploads.keys() - known:
            await self._uploads.pop(one).stop()

    async def _attempt(self, one: UUID) -> bool:
        upload = self._uploads.pop(one, None)
        try:
            await shelving.shelve(self._house, one, self._owner, upload=upload)
        except StoreAway as error:
            log.warning(
                "the store is away: a recording stays in the spool", subject=str(one), reason=str(error)
            )
            return False
        except Exception:
            log.exception("a recording could not be carried away", subject=str(one))
        finally:
            if upload is not None:
                await upload.stop()
        self._broken.discard(one)
        return True
