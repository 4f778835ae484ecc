"""A backup of everything that an installation keeps, made while it serves, and putting it back.

In this order, so that what is put back is never worse than a server that was cut off at some instant:

1. the signed head of the audit log, which must not be ahead of the rows
2. the rows, as of one instant
3. the recordings that these rows know; one that was being written is mended like after a crash
4. the journals of what was purged and removed, which know of what has gone since
5. the keys, which are never taken away
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import orjson

from models import snapshot
from services import restored
from services.journals import Journal, sync_folder

HEAD, RECORDINGS, KEYS = "audit.jws", "recordings", "keys"
JOURNALS = ("receipts.jws", "removals.jsonl")
SUMS, FACTS = "SHA256SUMS", "backup.json"
_FORMAT = 1
_CHUNK_BYTES = 2**20
Told = Callable[[int], None]


class BackupFailed(Exception):
    """It could not be made, or not be put back; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFacts:
    """What a finished backup says of itself. `sums` is the SHA-256 of its list of files."""

    made_at: str
    files: int
    size_bytes: int
    sums: str


# ---------- making one ----------


def back_up(data_dir: Path, url: str, target: Path, *, now: datetime, told: Told) -> BackupFacts:
    """Write a backup into `target`, a new folder. `told` hears of every file's bytes. Blocks. Raises BackupFailed."""
    if target.exists() and any(target.iterdir()):
        raise BackupFailed(f"{target} is not empty. A backup goes into a folder of its own.")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    (target / KEYS).mkdir(mode=0o700)
    sums: dict[str, str] = {}
    copying = _Copying(data_dir, target, sums, told)
    copying.file(HEAD)
    try:
        known = asyncio.run(snapshot.take(url, target))
    except snapshot.SnapshotFailed as error:
        raise BackupFailed(str(error)) from error
    for name in (snapshot.SQLITE_FILE, snapshot.POSTGRES_FILE):
        if (target / name).exists():
            sums[name] = _sum_of(target / name, told)
    copying.recordings(known)
    for name in JOURNALS:
        copying.file(name)
    copying.tree(KEYS)
    return _conclude(target, sums, now)


class _Copying:
    """Files of a data folder on their way into a backup."""

    def __init__(self, source: Path, target: Path, sums: dict[str, str], told: Told) -> None:
        self._source, self._target, self._sums, self._told = source, target, sums, told

    def recordings(self, known: set[UUID]) -> None:
        """Of those that the rows know: others began later."""
        folder = self._source / RECORDINGS
        for name in sorted(map(str, known)):
            if (folder / name).is_dir():
                self.tree(f"{RECORDINGS}/{name}")

    def tree(self, name: str) -> None:
        """Everything in a folder."""
        for path in files_in(self._source / name):
            self.file(path.relative_to(self._source).as_posix())

    def file(self, name: str) -> None:
        """One file; what is purged meanwhile is left out, and its receipt comes along."""
        target = self._target / name
        with suppress(FileNotFoundError):
            source = self._source / name
            size_bytes = source.stat().st_size
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sums[name] = _copy(source, target)
            self._told(size_bytes)


def _conclude(target: Path, sums: dict[str, str], now: datetime) -> BackupFacts:
    """The list of files and, once all of it is on disk, the facts: without them it is no backup."""
    listed = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    (target / SUMS).write_text(listed)
    os.sync()
    facts = BackupFacts(
        made_at=now.isoformat(timespec="milliseconds"),
        files=len(sums),
        size_bytes=sum((target / name).stat().st_size for name in sums),
        sums=hashlib.sha256(listed.encode()).hexdigest(),
    )
    draft = target / f"{FACTS}.draft"
    with draft.open("wb") as file:
        file.write(orjson.dumps({"format": _FORMAT, **_as_dict(facts)}, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target / FACTS)
    sync_folder(target)
    return facts


def _as_dict(facts: BackupFacts) -> dict[str, object]:
    return {name: getattr(facts, name) for name in BackupFacts.__slots__}


# ---------- putting one back ----------


def check(backup: Path, told: Told = lambda _size: None) -> BackupFacts:
    """Read every byte of a backup and hold it against its list. Blocks. Raises BackupFailed."""
    facts = read_facts(backup)
    for name, digest in _listed(backup, facts).items():
        path = backup / name
        if not path.is_file():
            raise BackupFailed(f"{name} is missing from the backup.")
        if _sum_of(path, told) != digest:
            raise BackupFailed(f"{name} is not what was backed up: its SHA-256 differs.")
    return facts


def read_facts(backup: Path) -> BackupFacts:
    """What a backup says of itself. Raises BackupFailed."""
    try:
        said = orjson.loads((backup / FACTS).read_bytes())
        if said.pop("format") != _FORMAT:
            raise BackupFailed("The backup was made by a newer version. Restore it with that.")
        return BackupFacts(**said)
    except FileNotFoundError:
        raise BackupFailed(f"There is no finished backup in {backup}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BackupFailed(f"{FACTS} cannot be read: {error}") from error


def _listed(backup: Path, facts: BackupFacts) -> dict[str, str]:
    listed = (backup / SUMS).read_bytes() if (backup / SUMS).exists() else b""
    if hashlib.sha256(listed).hexdigest() != facts.sums:
        raise BackupFailed(f"{SUMS} is not the list that was made with the backup.")
    pairs = (line.split("  ", 1) for line in listed.decode().splitlines())
    found = {name: digest for digest, name in pairs}
    for name in found:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BackupFailed(f"{name} would be put outside of the data folder.")
    return found


def would_replace(data_dir: Path, url: str) -> bool:
    """Whether a database is lost when a backup is put back; one that a restore has left half-way is not. Blocks."""
    try:
        return not restored.is_unfinished(data_dir) and asyncio.run(snapshot.is_there(url))
    except snapshot.SnapshotFailed as error:
        raise BackupFailed(str(error)) from error


def refuse_used(url: str) -> None:
    """Raises BackupFailed while a server, with whichever data folder, works on the database. Blocks."""
    try:
        if asyncio.run(snapshot.is_in_use(url)):
            raise BackupFailed(
                "Processes of Spaces are at work on this database. End them all first; to rehearse a restore, set"
                " SPACES_DATABASE_URL to a database of its own."
            )
    except snapshot.SnapshotFailed as error:
        raise BackupFailed(str(error)) from error


def put_back(backup: Path, data_dir: Path, url: str, *, told: Told) -> None:
    """Put a backup that was checked into a data folder that nobody uses. Blocks. Raises BackupFailed.

    Journals, keys and the audit log's head that are there stay: they know what has gone since. Interrupted, it can be
    done again; until `restored.finish` nothing serves from the folder.
    """
    listed = _listed(backup, read_facts(backup))
    _refuse_other_database(backup, url)
    _refuse_other_keys(backup, data_dir)
    restored.begin(data_dir)
    (data_dir / KEYS).mkdir(mode=0o700, exist_ok=True)
    for name in listed:
        if name.startswith(f"{RECORDINGS}/"):
            if not _is_grown(backup / name, data_dir / name):
                _place(backup / name, data_dir / name)
            told((backup / name).stat().st_size)
        elif (name.startswith(f"{KEYS}/") or name == HEAD) and not (data_dir / name).exists():
            _place(backup / name, data_dir / name)
    for name in JOURNALS:
        _merge(backup / name, data_dir / name)
    try:
        snapshot.put_back(url, backup)
    except snapshot.SnapshotFailed as error:
        raise BackupFailed(str(error)) from error
    os.sync()


def _refuse_other_database(backup: Path, url: str) -> None:
    """Before anything is copied."""
    try:
        snapshot.refuse_other_kind(url, backup)
    except snapshot.SnapshotFailed as error:
        raise BackupFailed(str(error)) from error


def _refuse_other_keys(backup: Path, data_dir: Path) -> None:
    """Keys never change: where they differ, the backup is another installation's."""
    for path in files_in(backup / KEYS):
        here = data_dir / KEYS / path.name
        if here.exists() and here.read_bytes() != path.read_bytes():
            raise BackupFailed(f"The backup is another installation's: its {KEYS}/{path.name} differs.")


def _place(source: Path, target: Path) -> None:
    """A file that appears whole, with the rights that it had."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.restoring")
    _copy(source, draft)
    shutil.copymode(source, draft)
    draft.replace(target)


def _is_grown(source: Path, target: Path) -> bool:
    """Whether a file in place is the one of the backup, or that one and what was appended since."""
    if not target.is_file() or target.stat().st_size < source.stat().st_size:
        return False
    with source.open("rb") as theirs, target.open("rb") as ours:
        while chunk := theirs.read(_CHUNK_BYTES):
            if ours.read(len(chunk)) != chunk:
                return False
    return True


def _merge(source: Path, target: Path) -> None:
    """What the backup's journal knows and the one in place does not."""
    theirs, ours = Journal(source), Journal(target)
    known = set(ours.lines())
    if lacking := [line for line in theirs.lines() if line not in known]:
        ours.append(*lacking)


# ---------- files ----------


def files_in(folder: Path) -> Iterator[Path]:
    """Every plain file under a folder, in the order of names; what a link points at is not ours."""
    for path, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if (found := Path(path) / name).is_file() and not found.is_symlink():
                yield found


def size_of(data_dir: Path) -> int:
    """Bytes that a backup will have, about: files come and go meanwhile. Blocks."""
    total = 0
    for path in [data_dir / snapshot.SQLITE_FILE, *files_in(data_dir / RECORDINGS)]:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _copy(source: Path, target: Path) -> str:
    """Copy a file as long as it is now; the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with source.open("rb") as reader:
        left = os.fstat(reader.fileno()).st_size
        with target.open("wb") as writer:
            while left and (chunk := reader.read(min(_CHUNK_BYTES, left))):
                digest.update(chunk)
                writer.write(chunk)
                left -= len(chunk)
    shutil.copymode(source, target)
    return digest.hexdigest()


def _sum_of(path: Path, told: Told) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, hashlib.sha256).hexdigest()
    told(path.stat().st_size)
    return digest
