"""Carrying a long recording into the bucket while it is still written, so that its end has little left to carry.

Its parts are no object before the last is there: nobody can read them, and a purge calls them off like any upload.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import aiofiles

from media.plain import StoreAway
from media.playlist import PROGRAMME, read_index
from media.shelf import PART_BYTES, Shelf
from media.threads import in_store_thread
from models.recording import ICON_ON, Recording
from services.house import House
from services.inventory import Folders

# Not loaded where recordings stay on the disk.
if TYPE_CHECKING:
    from media.bucket import Bucket

# For who iterates in the library to hear that it is over, and to close its file.
_LAST_WORD_S = 0.5


async def growing(house: House) -> list[UUID]:
    """Recordings in the spool that are written now, and have come to be a part long."""
    spool = Folders(house.shelf.spool)
    found = await asyncio.to_thread(lambda: {one for _, one in spool.subjects() if one is not None})
    live = await Recording.filter(status__in=list(ICON_ON)).values_list("id", flat=True)
    ids: list[UUID] = [one for one in live if one in found]  # type: ignore[misc]
    return await asyncio.to_thread(
        lambda: [one for one in ids if _size(house.recording_dir(one) / PROGRAMME) >= PART_BYTES]
    )


class StoppedHere(Exception):
    """This upload is not to come to an end."""


class Growing:
    """The upload of one growing programme. What it has sent never changes: it ends where the playlist does."""

    def __init__(self, shelf: Shelf, bucket: "Bucket", recording_id: UUID) -> None:
        self._bucket = bucket
        self._folder = shelf.files(recording_id).folder
        self._name = f"{recording_id}/{PROGRAMME}"
        self._sent_bytes = 0
        self._total_bytes: int | None = None
        self._is_stopped = False
        self._more = asyncio.Event()
        self._task = asyncio.create_task(self._upload(), name=f"growing {recording_id}")

    @property
    def has_failed(self) -> bool:
        """Whether it has ended without being told to: then all is to be carried at the end."""
        return self._task.done() and self._total_bytes is None

    def look(self) -> None:
        """There may be more."""
        self._more.set()

    async def complete(self, *, size_bytes: int) -> None:
        """Send the rest; then it is an object. Raises StoreAway."""
        if self.has_failed or size_bytes < self._sent_bytes:
            await self.stop()
            raise StoreAway("the upload that went along with the recording broke off")
        self._total_bytes = size_bytes
        self.look()
        await self._task

    async def stop(self) -> None:
        """End it unfinished. Can be called twice."""
        self._is_stopped = True
        self.look()
        # A store that hangs is not waited for.
        await asyncio.wait([self._task], timeout=_LAST_WORD_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _upload(self) -> None:
        await in_store_thread(self._call_off_others)
        await self._bucket.put_parts(self._name, self._parts(), kind="audio/mp4")

    def _call_off_others(self) -> None:
        for kept in self._bucket.uploads(self._name):
            self._bucket.remove(kept)

    async def _parts(self) -> AsyncIterator[bytes]:
        path = self._folder / PROGRAMME
        while True:
            if self._is_stopped:
                raise StoppedHere
            whole_bytes = await asyncio.to_thread(self._whole_bytes, path)
            while whole_bytes - self._sent_bytes >= PART_BYTES:
                yield await self._part(path, PART_BYTES)
            if (total_bytes := self._total_bytes) is None:
                await self._more.wait()
                self._more.clear()
                continue
            left_bytes = total_bytes - self._sent_bytes
            if left_bytes:
                yield await self._part(path, left_bytes)
            return

    async def _part(self, path: Path, size_bytes: int) -> bytes:
        async with aiofiles.open(path, "rb") as file:
            await file.seek(self._sent_bytes)
            data = await file.read(size_bytes)
        if len(data) != size_bytes:
            raise StoreAway(f"expected {size_bytes} bytes in the spool, got {len(data)}")
        self._sent_bytes += len(data)
        return bytes(data)

    def _whole_bytes(self, path: Path) -> int:
        """Up to where nothing changes any more. The playlist is long: it is read when that may make a part."""
        if self._total_bytes is not None:
            return self._total_bytes
        if _size(path) - self._sent_bytes < PART_BYTES:
            return self._sent_bytes
        return read_index(self._folder).size_bytes


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
