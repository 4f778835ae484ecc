"""Where everything of a recording lies: the one list that the purge and the reconciler go by.

A new kind of artefact outside the recording's folder (remote objects, caches on disk) gets a `Place` here,
and is from then on counted, destroyed, proven gone and reconciled like the rest.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """One file or object: its size, and its SHA-256 in hexadecimal."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What there is of one recording: bytes, and SHA-256 over the sorted digests of its artefacts."""

    size_bytes: int
    sha256: str


class Place(Protocol):
    """One kind of place that keeps something of recordings. Every call blocks."""

    def artefacts(self, recording_id: UUID) -> Iterator[Artefact]:
        """Everything of a recording, read once."""

    def remove(self, recording_id: UUID, *, step: Callable[[], None]) -> None:
        """Remove it all, for good when this returns; calls `step` after each piece. Again is harmless."""

    def left(self, recording_id: UUID) -> list[str]:
        """The names of what is there now, by looking."""

    def held(self, recording_ids: Sequence[UUID]) -> dict[UUID, set[str]]:
        """Of recordings, given in order, the files that can be read now, each by its last name."""

    def subjects(self) -> Iterator[tuple[str, UUID | None]]:
        """Every name at the top of this place, and the recording it belongs to; None: to none of ours."""

    def age(self, name: str, now: datetime) -> timedelta:
        """How long ago something of that name was last changed."""


class Folders:
    """A folder a recording: programme, tracks, playlist, waveform, journal, spool, clips."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _folder(self, recording_id: UUID) -> Path:
        return self._root / str(recording_id)

    def artefacts(self, recording_id: UUID) -> Iterator[Artefact]:
        """Every file; what a symbolic link points at is not ours."""
        for path in _files(self._folder(recording_id)):
            if path.is_symlink():
                yield Artefact(size_bytes=0, sha256=hashlib.sha256(b"").hexdigest())
                continue
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, hashlib.sha256).hexdigest()
            yield Artefact(size_bytes=path.stat().st_size, sha256=digest)

    def remove(self, recording_id: UUID, *, step: Callable[[], None]) -> None:
        """Files, then folders, then the parent to disk: else a power cut brings them back."""
        folder = self._folder(recording_id)
        for path in _files(folder):
            path.unlink(missing_ok=True)
            step()
        for emptied, _, _ in os.walk(folder, topdown=False):
            Path(emptied).rmdir()
        _sync(self._root)

    def left(self, recording_id: UUID) -> list[str]:
        """Every file, or the bare folder."""
        folder = self._folder(recording_id)
        if not os.path.lexists(folder):
            return []
        return [path.relative_to(self._root).as_posix() for path in _files(folder)] or [folder.name]

    def held(self, recording_ids: Sequence[UUID]) -> dict[UUID, set[str]]:
        """A look into each folder."""
        return {
            one: {name.rpartition("/")[2] for name in found}
            for one in recording_ids
            if (found := self.left(one))
        }

    def subjects(self) -> Iterator[tuple[str, UUID | None]]:
        """The entries of the recordings folder."""
        with os.scandir(self._root) as entries:
            for entry in entries:
                yield entry.name, uuid_of(entry.name)

    def age(self, name: str, now: datetime) -> timedelta:
        """Since the last change of the folder; of one that is gone meanwhile, none."""
        try:
            return timedelta(seconds=now.timestamp() - (self._root / name).lstat().st_mtime)
        except FileNotFoundError:
            return timedelta(0)


def take_inventory(places: Sequence[Place], recording_id: UUID) -> Inventory:
    """Read everything once. Nothing at all is an inventory too."""
    found = [artefact for place in places for artefact in place.artefacts(recording_id)]
    digests = "".join(sorted(artefact.sha256 for artefact in found))
    return Inventory(
        size_bytes=sum(artefact.size_bytes for artefact in found),
        sha256=hashlib.sha256(digests.encode()).hexdigest(),
    )


def left_of(places: Sequence[Place], recording_id: UUID) -> list[str]:
    """What there is of a recording now, by looking everywhere."""
    return [name for place in places for name in place.left(recording_id)]


def _files(folder: Path) -> list[Path]:
    """All files under a folder, links to folders included; a link or a file in its place is itself one."""
    if folder.is_symlink() or folder.is_file():
        return [folder]
    found: list[Path] = []
    for path, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(path) / name).is_symlink()]
        found += [Path(path) / name for name in [*files, *links]]
    return sorted(found)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def uuid_of(name: str) -> UUID | None:
    """The recording that a folder of this name belongs to; None for one that is not ours."""
    try:
        found = UUID(name)
    except ValueError:
        return None
    return found if str(found) == name else None
