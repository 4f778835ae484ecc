"""What the bucket keeps of recordings: counted, destroyed and proven gone with everything that takes room there."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from media.shelf import MANIFEST, Shelf
from services.inventory import Artefact, uuid_of

# Not loaded where recordings stay on the disk.
if TYPE_CHECKING:
    from media.bucket import Bucket
    from media.s3_requests import Kept

# A store may go on handing out what it was told to remove, or finish a part while its upload is called off.
_ROUNDS = 3


class Objects:
    """A folder of keys a recording. Every call blocks, and raises StoreAway."""

    def __init__(self, shelf: Shelf, bucket: "Bucket") -> None:
        self._shelf = shelf
        self._bucket = bucket

    def artefacts(self, recording_id: UUID) -> Iterator[Artefact]:
        """Every object and old version. Digests are those that were proven when it was carried there, else read now."""
        self._shelf.forget(recording_id)
        proven = {f"{recording_id}/{one.name}": one for one in self._shelf.shelved(recording_id).values()}
        for kept in self._kept(recording_id):
            if kept.is_marker or kept.upload is not None:
                continue
            known = proven.get(self._bucket.bare(kept.key)) if kept.is_latest else None
            if known is not None and known.size_bytes == kept.size_bytes:
                yield Artefact(size_bytes=known.size_bytes, sha256=known.sha256)
                continue
            size_bytes, sha256 = self._bucket.digest(kept)
            yield Artefact(size_bytes=size_bytes, sha256=sha256)

    def remove(self, recording_id: UUID, *, step: Callable[[], None]) -> None:
        """Each version by its id, each marker, each unfinished upload; what comes to light meanwhile too."""
        self._shelf.forget(recording_id)
        for _ in range(_ROUNDS):
            found = list(self._kept(recording_id))
            for kept in found:
                self._bucket.remove(kept)
                step()
            if not found:
                return

    def left(self, recording_id: UUID) -> list[str]:
        """The key of everything; an old version, a marker or an upload under a name of its own."""
        return [self._bucket.bare(kept.name) for kept in self._kept(recording_id)]

    def held(self, recording_ids: Sequence[UUID]) -> dict[UUID, set[str]]:
        """One list for all of them, for keys are in order too: a request for each would take hours."""
        found: dict[UUID, set[str]] = {}
        if not recording_ids:
            return found
        wanted, last = set(recording_ids), str(recording_ids[-1])
        for name in self._bucket.names(after=str(recording_ids[0])):
            folder, _, rest = name.partition("/")
            if folder > last:
                break
            if (one := uuid_of(folder)) in wanted and one is not None:
                found.setdefault(one, set()).add(rest.rpartition("/")[2])
        # Without its manifest nobody can play it.
        return {one: names for one, names in found.items() if MANIFEST in names}

    def subjects(self) -> Iterator[tuple[str, UUID | None]]:
        """The first folder of every key."""
        for name in {self._bucket.bare(kept.key).partition("/")[0] for kept in self._bucket.kept("")}:
            yield name, uuid_of(name)

    def age(self, name: str, now: datetime) -> timedelta:
        """Since anything in this folder last changed; of what is gone meanwhile, none."""
        moments = [kept.changed_at for kept in self._bucket.kept(name)]
        return now - max(moments) if moments else timedelta(0)

    def _kept(self, recording_id: UUID) -> Iterator["Kept"]:
        return self._bucket.kept(f"{recording_id}/")
