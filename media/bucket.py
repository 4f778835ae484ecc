"""A bucket of a store that speaks S3. What is not a coroutine blocks; a store that is away raises StoreAway.

What nobody has put there raises FileNotFoundError, and a bucket that is missing is a store that is away.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from media.plain import StoreAway
from media.playlist import PROGRAMME
from media.s3_requests import BucketAddress, Kept, S3Requests
from media.shelf import PART_BYTES

_READ_BYTES = 1024 * 1024
_CONNECT_TIMEOUT = timedelta(seconds=2)
# A listener waits for these, and a player asks again by itself.
_READ_TIMEOUT = timedelta(seconds=5)
_READ_RETRIES: Any = {
    "max_retries": 1,
    "retry_timeout": timedelta(seconds=5),
    "backoff": {
        "init_backoff": timedelta(milliseconds=50),
        "max_backoff": timedelta(milliseconds=500),
        "base": 2,
    },
}
# The last part and the completion of an upload together take no longer than a lease of 60 s has left.
_WRITE_TIMEOUT = timedelta(seconds=20)
_NO_RETRIES: Any = {"max_retries": 0, "retry_timeout": _WRITE_TIMEOUT}
# Nothing of it may outlive a deletion, in shared caches or private ones.
_CACHE = "private, no-store"


class Bucket:
    """Objects under the prefix of an address. `failures` counts calls that failed since the start."""

    def __init__(self, address: BucketAddress, *, now: Callable[[], datetime]) -> None:
        self.address = address
        self.failures = 0
        self.is_up = True
        self._requests = S3Requests(address, now=now)
        self._store = _opened(address, timeout=_READ_TIMEOUT, retries=_READ_RETRIES)
        self._writes = _opened(address, timeout=_WRITE_TIMEOUT, retries=_NO_RETRIES)

    def read(self, name: str, *, start: int, end: int) -> bytes:
        """Bytes `start` up to, not including, `end`; fewer where the object ends before."""
        if end <= start:
            return b""
        with self._told():
            return bytes(obstore.get_range(self._store, self._key(name), start=start, end=end))

    def read_all(self, name: str, *, most_bytes: int) -> bytes:
        """A small object. Raises StoreAway for one that is larger."""
        data = self.read(name, start=0, end=most_bytes + 1)
        if len(data) > most_bytes:
            raise StoreAway(f"expected at most {most_bytes} bytes, got more")
        return data

    async def fetch(self, name: str, *, start: int, end: int) -> bytes:
        """The same as `read`, without blocking."""
        if end <= start:
            return b""
        with self._told():
            return bytes(await obstore.get_range_async(self._store, self._key(name), start=start, end=end))

    def digest(self, kept: Kept) -> tuple[int, str]:
        """Size and SHA-256 of what the store has, by reading it all."""
        with self._told():
            return self._requests.digest(kept)

    async def put(self, name: str, data: bytes, *, kind: str) -> None:
        """One object in one request."""
        with self._told():
            await obstore.put_async(
                self._writes, self._key(name), data, attributes=_told_of(kind), use_multipart=False
            )

    async def put_parts(self, name: str, parts: AsyncIterator[bytes], *, kind: str) -> None:
        """One object in parts of PART_BYTES, which comes to be when the last is there.

        What the iterator raises ends the upload unfinished.
        """
        with self._told():
            await obstore.put_async(
                self._writes,
                self._key(name),
                parts,
                attributes=_told_of(kind),
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=1,
            )

    async def read_back(self, name: str) -> AsyncIterator[bytes]:
        """All of an object, in pieces."""
        with self._told():
            found = await obstore.get_async(self._writes, self._key(name))
            async for chunk in found.stream(_READ_BYTES):
                yield bytes(chunk)

    def kept(self, folder: str) -> Iterator[Kept]:
        """All that takes room under a folder: objects, old versions, delete markers, unfinished uploads."""
        prefix = self._key(folder)
        with self._told():
            versions = self._requests.versions(prefix)
            yield from self._requests.objects(prefix) if versions is None else versions
        yield from self.uploads(folder, names=[PROGRAMME] if folder.endswith("/") else [])

    def names(self, *, after: str) -> Iterator[str]:
        """The objects behind a name, in order, without the prefix."""
        with self._told():
            for found in self._requests.objects(self.address.prefix, after=self._key(after)):
                yield self.bare(found.key)

    def uploads(self, folder: str, *, names: Iterable[str] = ()) -> Iterator[Kept]:
        """Of these the unfinished uploads. `names` in it are asked for one by one too: MinIO knows no other way."""
        seen = set()
        with self._told():
            for prefix in (folder, *(folder + name for name in names)):
                for kept in self._requests.uploads(self._key(prefix)):
                    if kept.upload not in seen:
                        seen.add(kept.upload)
                        yield kept

    def remove(self, kept: Kept) -> None:
        """For good."""
        with self._told():
            self._requests.remove(kept)

    def link(self, name: str, *, good_for: timedelta) -> str:
        """A URL by which anybody can read one object for so long."""
        with self._told():
            return obstore.sign(self._store, "GET", self._key(name), good_for)

    def keeps_versions(self) -> bool:
        """Whether the bucket keeps what is overwritten or deleted."""
        with self._told():
            return self._requests.keeps_versions()

    def bare(self, key: str) -> str:
        """A key without the prefix."""
        return key.removeprefix(self.address.prefix)

    def close(self) -> None:
        """Let go of its connections."""
        self._requests.close()

    def _key(self, name: str) -> str:
        return self.address.prefix + name

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except StoreAway:
            self._failed()
            raise
        except (BaseError, OSError) as error:
            first = str(error).partition("\n")[0][:300]
            if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
                self.is_up = True
                raise FileNotFoundError(first) from None
            self._failed()
            raise StoreAway(first) from None
        else:
            self.is_up = True

    def _failed(self) -> None:
        self.failures += 1
        self.is_up = False


def _opened(address: BucketAddress, *, timeout: timedelta, retries: Any) -> S3Store:
    client: Any = {"allow_http": True, "timeout": timeout, "connect_timeout": _CONNECT_TIMEOUT}
    return S3Store(
        address.bucket,
        endpoint=address.endpoint,
        region=address.region,
        access_key_id=address.key_id,
        secret_access_key=address.secret,
        client_options=client,
        retry_config=retries,
    )


def _told_of(kind: str) -> Any:
    return {"Content-Type": kind, "Cache-Control": _CACHE}
