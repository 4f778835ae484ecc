"""Where the files of recordings lie: in the spool, a folder each on this disk, and from there in the bucket.

A recording is written in the spool. Once it is over it is carried into the bucket, file by file, and its manifest
last: what has one is complete there, and the spool lets go of it. Whoever reads looks into the spool first.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID

import orjson

from media.plain import Opened, StoreAway, is_there, open_plain, stat_of
from media.threads import in_store_thread

# Not loaded where recordings stay on the disk.
if TYPE_CHECKING:
    from media.bucket import Bucket

MANIFEST = "manifest.json"
# A store takes parts of 5 MiB and more, but for the last.
PART_BYTES = 5 * 1024 * 1024
_MOST_MANIFESTS = 512
_MOST_MANIFEST_BYTES = 4_000_000
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """One file in the bucket: its name within the recording, its size, and its SHA-256 in hexadecimal."""

    name: str
    size_bytes: int
    sha256: str


def manifest_of(files: list[Shelved]) -> bytes:
    """What says that a recording is complete in the bucket."""
    told = [
        {"name": one.name, "size_bytes": one.size_bytes, "sha256": one.sha256}
        for one in sorted(files, key=lambda one: one.name)
    ]
    return orjson.dumps({"version": _VERSION, "files": told}, option=orjson.OPT_INDENT_2)


def _parse_manifest(data: bytes) -> dict[str, Shelved]:
    try:
        told = orjson.loads(data)
        found = [
            Shelved(name=str(one["name"]), size_bytes=int(one["size_bytes"]), sha256=str(one["sha256"]))
            for one in told["files"]
        ]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StoreAway("expected a manifest in the store, got something else") from error
    return {one.name: one for one in found}


class Shelf:
    """All recordings. `bucket` is None where they stay on this disk; with `links_for` 0 nobody is sent to it."""

    def __init__(
        self, spool: Path, bucket: "Bucket | None" = None, *, links_for: timedelta = timedelta(0)
    ) -> None:
        self.spool = spool
        self.bucket = bucket
        self.links_for = links_for
        # Recordings that were over and had not been carried when that was last looked at.
        self.waiting = 0
        self._manifests: OrderedDict[UUID, dict[str, Shelved]] = OrderedDict()

    def files(self, recording_id: UUID) -> "Files":
        """The files of one recording, whether there are any or not."""
        return Files(self, recording_id)

    def shelved(self, recording_id: UUID) -> dict[str, Shelved]:
        """What of a recording is complete in the bucket; nothing without a manifest. Blocks. Raises StoreAway."""
        if self.bucket is None:
            return {}
        if (known := self._manifests.get(recording_id)) is not None:
            return known
        try:
            data = self.bucket.read_all(f"{recording_id}/{MANIFEST}", most_bytes=_MOST_MANIFEST_BYTES)
        except FileNotFoundError:
            return {}
        found = self._manifests[recording_id] = _parse_manifest(data)
        while len(self._manifests) > _MOST_MANIFESTS:
            self._manifests.popitem(last=False)
        return found

    def forget(self, recording_id: UUID) -> None:
        """Look into the bucket anew."""
        self._manifests.pop(recording_id, None)


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one recording."""

    shelf: Shelf
    recording_id: UUID

    @property
    def folder(self) -> Path:
        """Where they are written."""
        return self.shelf.spool / str(self.recording_id)

    def file(self, name: str) -> "Held":
        """One of them, by its name within the recording, whether it is there or not."""
        return Held(self, name)


@dataclass(frozen=True, slots=True)
class Held:
    """One file of a recording. Everything blocks, and raises StoreAway where the bucket had to be asked."""

    files: Files
    name: str

    @property
    def path(self) -> Path:
        """Where it is, or was, in the spool."""
        return self.files.folder / self.name

    def is_spooled(self) -> bool:
        """Whether the spool has it."""
        return is_there(self.path)

    def spooled_bytes(self) -> int | None:
        """Its size in the spool; None where that has nothing of it. Blocks."""
        try:
            return stat_of(self.path).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_there(self) -> bool:
        """Whether it is anywhere."""
        return self.is_spooled() or self.shelved() is not None

    def shelved(self) -> Shelved | None:
        """What the bucket has of it, once the recording is complete there."""
        return self.files.shelf.shelved(self.files.recording_id).get(self.name)

    def link(self, *, size_bytes: int) -> str | None:
        """Where the bucket itself hands out all of these bytes, for a while; None: they come through this server."""
        bucket, good_for = self.files.shelf.bucket, self.files.shelf.links_for
        if bucket is None or not good_for or self.is_spooled():
            return None
        found = self.shelved()
        if found is None or found.size_bytes != size_bytes:
            return None
        return bucket.link(f"{self.files.recording_id}/{self.name}", good_for=good_for)

    def open(self) -> Opened:
        """For reading. Raises FileNotFoundError when it is nowhere."""
        try:
            return open_plain(self.path)
        except FileNotFoundError:
            found, bucket = self.shelved(), self.files.shelf.bucket
            if found is None or bucket is None:
                raise
            return _InBucket(bucket, f"{self.files.recording_id}/{self.name}", found.size_bytes)

    def read(self) -> bytes:
        """All of a small file. Raises FileNotFoundError."""
        with self.open() as file:
            return file.read()

    async def fetcher(self) -> "Fetcher":
        """The same file in the bucket, read without blocking. Raises FileNotFoundError."""
        found, bucket = await in_store_thread(self.shelved), self.files.shelf.bucket
        if found is None or bucket is None:
            raise FileNotFoundError(self.name)
        return Fetcher(bucket, f"{self.files.recording_id}/{self.name}")


class Fetcher:
    """A file in the bucket: each read is a request."""

    def __init__(self, bucket: "Bucket", name: str) -> None:
        self._bucket = bucket
        self._name = name
        self._at = 0

    async def read(self, size: int, /) -> bytes:
        """So many bytes. The caller knows how many there are."""
        data = await self._bucket.fetch(self._name, start=self._at, end=self._at + size)
        self._at += len(data)
        return data

    async def seek(self, offset: int, /) -> int:
        """Go on reading there."""
        self._at = offset
        return offset

    async def close(self) -> None:
        """Nothing is held open."""


class _InBucket:
    """The same, for who may block."""

    def __init__(self, bucket: "Bucket", name: str, size_bytes: int) -> None:
        self._bucket = bucket
        self._name = name
        self._size_bytes = size_bytes
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        end = self._size_bytes if size < 0 else min(self._at + size, self._size_bytes)
        data = self._bucket.read(self._name, start=self._at, end=end)
        self._at += len(data)
        return data

    def seek(self, offset: int, /) -> int:
        self._at = offset
        return offset

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
