"""The whole database as one file, as of one instant, while it is in use; and back."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from models import postgres
from models.location import SQLITE

SQLITE_FILE, POSTGRES_FILE = "spaces.sqlite3", "spaces.pgdump"


class SnapshotFailed(Exception):
    """The database could not be copied, or not be put back; the message says why."""


def is_postgres(url: str) -> bool:
    """Whether rows are in PostgreSQL."""
    return url.startswith(postgres.SCHEMES)


async def take(url: str, folder: Path) -> set[UUID]:
    """Write the database into `folder`; the ids of the recordings that it knows. Raises SnapshotFailed."""
    return await _take_postgres(url, folder) if is_postgres(url) else _take_sqlite(url, folder)


async def is_there(url: str) -> bool:
    """Whether there is a database with our tables. Raises SnapshotFailed."""
    if not is_postgres(url):
        return _path(url).exists()
    async with _connected(url) as database:
        return await database.fetchval("SELECT to_regclass('recording')") is not None


async def is_in_use(url: str) -> bool:
    """Whether processes of ours are connected; SQLite's are known by the lock on the data folder."""
    if not is_postgres(url):
        return False
    async with _connected(url) as database:
        found = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1"
        return await database.fetchval(found, postgres.APPLICATION) is not None


def refuse_other_kind(url: str, folder: Path) -> None:
    """Raises SnapshotFailed when `folder` has a file of the other kind of database."""
    if is_postgres(url) and not (folder / POSTGRES_FILE).exists():
        raise SnapshotFailed("the backup is one of SQLite. Leave SPACES_DATABASE_URL empty.")
    if not is_postgres(url) and not (folder / SQLITE_FILE).exists():
        raise SnapshotFailed("the backup is one of PostgreSQL. Set SPACES_DATABASE_URL to an empty database.")


def put_back(url: str, folder: Path) -> None:
    """Put the file in `folder` in the place of a database that nobody uses. Blocks. Raises SnapshotFailed."""
    refuse_other_kind(url, folder)
    if is_postgres(url):
        _put_back_postgres(url, folder / POSTGRES_FILE)
    else:
        _put_back_sqlite(_path(url), folder / SQLITE_FILE)


def _path(url: str) -> Path:
    return Path(url.removeprefix(SQLITE))


# ---------- SQLite ----------


def _take_sqlite(url: str, folder: Path) -> set[UUID]:
    """By SQLite's online backup, in one step: readers and writers go on meanwhile."""
    path = _path(url)
    if not path.exists():
        raise SnapshotFailed("there is no database yet")
    try:
        with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(folder / SQLITE_FILE)) as copy:
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            found = copy.execute("PRAGMA quick_check").fetchone()[0]
            if found != "ok":
                raise SnapshotFailed(f"the database is damaged: {found}")
            return {UUID(row[0]) for row in copy.execute("SELECT id FROM recording")}
    except sqlite3.Error as error:
        raise SnapshotFailed(str(error)) from error


def _put_back_sqlite(path: Path, file: Path) -> None:
    draft = path.with_suffix(".restoring")
    with file.open("rb") as source, draft.open("wb") as target:
        shutil.copyfileobj(source, target)
        target.flush()
        os.fsync(target.fileno())
    # Changes of the database that goes must not be replayed into the one that comes.
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)
    draft.replace(path)


# ---------- PostgreSQL ----------


async def _take_postgres(url: str, folder: Path) -> set[UUID]:
    """By pg_dump, from the very snapshot in which the recordings are read."""
    file = folder / POSTGRES_FILE
    async with (
        _connected(url) as database,
        database.transaction(isolation="repeatable_read", readonly=True),
    ):
        instant = await database.fetchval("SELECT pg_export_snapshot()")
        known = {row[0] for row in await database.fetch("SELECT id FROM recording")}
        _run(url, "pg_dump", "-Fc", f"--snapshot={instant}", f"--file={file}")
    return known


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    import asyncpg

    try:
        connection = await asyncpg.connect(**_login(url))
        try:
            yield connection
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError) as error:
        raise SnapshotFailed(str(error)) from error


def _put_back_postgres(url: str, file: Path) -> None:
    _run(url, "pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", str(file))


def _login(url: str) -> dict[str, Any]:
    found = postgres.connection(url)["credentials"]
    wanted = ("host", "port", "user", "password", "database", "ssl")
    return {name: found[name] for name in wanted if found.get(name)}


def _run(url: str, program: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs, which must be on the path. Blocks."""
    with _conninfo(url) as where:
        try:
            done = subprocess.run(  # noqa: S603 (a program of a fixed name, and no shell)
                [program, "--dbname", where, *arguments], capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise SnapshotFailed(f"{program} is not installed. It comes with PostgreSQL's client.") from error
    if done.returncode:
        raise SnapshotFailed(f"{program}: {done.stderr.strip()}")


@contextmanager
def _conninfo(url: str) -> Iterator[str]:
    """libpq's words for a URL. The password is in a file: what stands in a command is for everybody to read."""
    login = _login(url)
    names = {"database": "dbname", "ssl": "sslmode"}
    with tempfile.TemporaryDirectory() as folder:
        if password := login.pop("password", None):
            path = Path(folder) / "pgpass"
            path.touch(mode=0o600)
            path.write_text("*:*:*:*:" + str(password).replace("\\", "\\\\").replace(":", "\\:") + "\n")
            login["passfile"] = str(path)
        yield " ".join(f"{names.get(name, name)}={_quoted(str(value))}" for name, value in login.items())


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
