"""Carrying recordings that are over from the spool into the bucket, proven there before the spool lets go of them.

The recording's lease keeps this and its purge apart: who has lost it, or finds the purge begun, leaves it alone.
Cut off anywhere, it is done again from the beginning; what half an upload left behind is called off.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import aiofiles
import structlog
from tortoise.expressions import Q

from media.plain import StoreAway
from media.playlist import PLAYLIST, PROGRAMME
from media.repair import finish
from media.shelf import MANIFEST, PART_BYTES, Shelved, manifest_of
from media.threads import in_store_thread
from models.recording import GONE, Recording, RecordingStatus
from services.growing import Growing
from services.house import House
from services.inventory import Folders

# Not loaded where recordings stay on the disk.
if TYPE_CHECKING:
    from media.bucket import Bucket

log = structlog.get_logger(__name__)

_OVER = frozenset({RecordingStatus.AVAILABLE, *GONE})
# A lease is made anew when a sixth of it is over: two requests at their longest still fit into the rest.
_LEASE_PARTS = 6
_KINDS = {
    ".mp4": "audio/mp4",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".opus": "audio/ogg",
    ".json": "application/json",
}
_BATCH = 500
_ANY_KIND = "application/octet-stream"


class LeaseLost(Exception):
    """Somebody else has taken this recording on."""


class NotKept(StoreAway):
    """The store has other bytes than those it was given."""


async def waiting(house: House) -> list[UUID]:
    """Recordings in the spool that are over, the oldest first."""
    if house.shelf.bucket is None:
        return []
    spool = Folders(house.shelf.spool)
    found = await asyncio.to_thread(lambda: [one for _, one in spool.subjects() if one is not None])
    over: list[tuple[datetime, UUID]] = []
    # A database takes so many values in one statement; where the bucket is new, the spool holds everything.
    for start in range(0, len(found), _BATCH):
        rows = Recording.filter(
            id__in=found[start : start + _BATCH], status__in=list(_OVER), purge_sha256=None
        )
        over += await rows.values_list("created_at", "id")
    return [one for _, one in sorted(over)]


async def shelve(
    house: House, recording_id: UUID, owner: str, *, upload: Growing | None = None, let_go: bool = True
) -> bool:
    """Carry one recording into the bucket. False when it is not to be carried, now or any more.

    An `upload` has carried the programme as far as it was. Without `let_go` the spool keeps its copy.

    Raises StoreAway: then it is as before, and can be played from the spool.
    """
    bucket = house.shelf.bucket
    if bucket is None or not await _take(house, recording_id, owner):
        return False
    try:
        carrier = _Carrier(house, bucket, recording_id, owner, upload)
        if not await carrier.carry():
            return False
        if let_go:
            await carrier.let_go()
    except LeaseLost:
        return False
    else:
        return True
    finally:
        mine = Recording.filter(id=recording_id, lease_owner=owner)
        await mine.update(lease_owner=None, lease_until=None)


async def _take(house: House, recording_id: UUID, owner: str) -> bool:
    now = house.clock.now()
    free = (
        Q(lease_owner=owner)
        | Q(lease_until=None)
        | Q(lease_until__lte=now)
        | Q(lease_until__gt=now + 2 * house.rules.lease_for)
    )
    over = Recording.filter(free, id=recording_id, status__in=list(_OVER), purge_sha256=None)
    return bool(await over.update(lease_owner=owner, lease_until=now + house.rules.lease_for))


class _Carrier:
    """One recording on its way."""

    def __init__(
        self, house: House, bucket: "Bucket", recording_id: UUID, owner: str, upload: Growing | None
    ) -> None:
        self._house = house
        self._growing = upload
        self._bucket = bucket
        self._recording_id = recording_id
        self._owner = owner
        self._folder = house.recording_dir(recording_id)
        self._leased_at_s = house.clock.monotonic()

    async def carry(self) -> bool:
        """Whether all of it is in the bucket, proven."""
        spooled = await asyncio.to_thread(_measured, self._folder)
        self._house.shelf.forget(self._recording_id)
        proven = await in_store_thread(self._house.shelf.shelved, self._recording_id)
        if proven:
            if any(proven.get(one.name) != one for one in spooled):
                log.warning("spool and store differ: both are kept", subject=str(self._recording_id))
                return False
        elif {PROGRAMME, PLAYLIST} <= {one.name for one in spooled}:
            await self._carry_all()
        else:
            return False
        await self._lease()
        return True

    async def let_go(self) -> None:
        """Whoever reads goes on in the bucket, which has it all."""
        spool = Folders(self._house.shelf.spool)
        await asyncio.to_thread(spool.remove, self._recording_id, step=lambda: None)

    async def _carry_all(self) -> None:
        if self._growing is None:
            await self._call_off_uploads(await asyncio.to_thread(_names_of_parts, self._folder))
        # What a crash has torn is cut off first.
        await asyncio.to_thread(finish, self._folder, recording_id=str(self._recording_id))
        files = await asyncio.to_thread(_measured, self._folder)
        for file in files:
            await self._lease()
            if file.name == PROGRAMME and self._growing is not None:
                await self._growing.complete(size_bytes=file.size_bytes)
            else:
                await self._upload(file)
            await self._prove(file)
        manifest = manifest_of(files)
        await self._lease()
        await self._bucket.put(f"{self._recording_id}/{MANIFEST}", manifest, kind=_KINDS[".json"])
        said = Shelved(name=MANIFEST, size_bytes=len(manifest), sha256=hashlib.sha256(manifest).hexdigest())
        await self._prove(said)

    async def _upload(self, file: Shelved) -> None:
        key, path = f"{self._recording_id}/{file.name}", self._folder / file.name
        kind = _KINDS.get(path.suffix, _ANY_KIND)
        if file.size_bytes > PART_BYTES:
            await self._bucket.put_parts(key, self._parts(path), kind=kind)
        else:
            await self._bucket.put(key, await asyncio.to_thread(path.read_bytes), kind=kind)

    async def _parts(self, path: Path) -> AsyncIterator[bytes]:
        async with aiofiles.open(path, "rb") as opened:
            while part := await opened.read(PART_BYTES):
                yield part
                await self._lease()

    async def _prove(self, file: Shelved) -> None:
        """Read it back. Raises NotKept."""
        size_bytes, digest = 0, hashlib.sha256()
        async for chunk in self._bucket.read_back(f"{self._recording_id}/{file.name}"):
            size_bytes += len(chunk)
            digest.update(chunk)
            await self._lease()
        if (size_bytes, digest.hexdigest()) != (file.size_bytes, file.sha256):
            raise NotKept(f"expected {file.size_bytes} bytes of {file.name}, got {size_bytes} or others")

    async def _call_off_uploads(self, names: list[str]) -> None:
        """Of an earlier attempt, which was cut off."""

        def call_off() -> None:
            for kept in self._bucket.uploads(f"{self._recording_id}/", names=names):
                self._bucket.remove(kept)

        await in_store_thread(call_off)

    async def _lease(self) -> None:
        """Make the lease anew when some of it is over. Raises LeaseLost."""
        now_s = self._house.clock.monotonic()
        if now_s - self._leased_at_s < self._house.rules.lease_for.total_seconds() / _LEASE_PARTS:
            return
        until = self._house.clock.now() + self._house.rules.lease_for
        mine = Recording.filter(id=self._recording_id, lease_owner=self._owner, purge_sha256=None)
        if not await mine.update(lease_until=until):
            raise LeaseLost
        self._leased_at_s = now_s


def _measured(folder: Path) -> list[Shelved]:
    """Every file of a folder with its size and digest. Blocks on the disk."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, hashlib.sha256).hexdigest()
            name = path.relative_to(folder).as_posix()
            found.append(Shelved(name=name, size_bytes=path.stat().st_size, sha256=sha256))
    return found


def _names_of_parts(folder: Path) -> list[str]:
    """Of files that are large enough to be sent in parts."""
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_size > PART_BYTES
    ]
