"""Where the server of a test keeps its rows: the SQLite file of its data folder, or a PostgreSQL database.

Migrating takes longer than most tests do: it is done once, and every test gets a copy. Processes that a test starts
learn from the environment what its process has chosen.
"""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
from tortoise.backends.base.executor import EXECUTOR_CACHE

from models import database
from models.location import sqlite_url
from tests.product.postgres import Postgres, Running, in_a_thread

KINDS = ("sqlite", "postgres")
_KIND, _SERVER = "SPACES_TEST_DATABASE", "SPACES_TEST_POSTGRES"
_TEMPLATE = "template"
_FILE = "spaces.sqlite3"


class Databases:
    """The databases of this run."""

    def __init__(self) -> None:
        self.kind = os.environ.get(_KIND, KINDS[0])
        folder = os.environ.get(_SERVER)
        self._server = Running(Path(folder)) if folder else None
        self._own: Postgres | None = None
        self._template: Path | None = None
        self._folders: dict[str, Path] = {}

    @contextlib.contextmanager
    def on(self, kind: str) -> Iterator[None]:
        """Until the end of the block, servers keep their rows in databases of this kind."""
        assert kind in KINDS, f"expected one of {KINDS}, got {kind}"
        before = self.kind
        self._choose(kind)
        try:
            yield
        finally:
            self._choose(before)

    def _choose(self, kind: str) -> None:
        if kind != self.kind:
            # Tortoise keeps statements by table, as if a process only ever knew one kind of database.
            EXECUTOR_CACHE.clear()
        self.kind = os.environ[_KIND] = kind

    @property
    def postgres(self) -> Postgres:
        """The server of this run, to be stopped and started."""
        _ = self.server
        assert self._own is not None, "expected a server of this process, it uses another one's"
        return self._own

    @property
    def server(self) -> Running:
        """The server of this run, started when it is first asked for."""
        if self._server is None:
            self._server = self._own = Postgres()
            os.environ[_SERVER] = str(self._own.folder)
            self._own.run(f"CREATE DATABASE {_TEMPLATE}")
            in_a_thread(database.migrate(self._own.url(_TEMPLATE)))
        return self._server

    def url(self, data_dir: Path) -> str:
        """The database URL of a data folder. A database that is not there yet is empty."""
        if self.kind == "sqlite":
            return ""
        return self._cloned(data_dir, "template0")

    def migrated(self, data_dir: Path) -> str:
        """The database URL of a data folder, whose database is migrated when this returns."""
        if self.kind != "sqlite":
            return self._cloned(data_dir, _TEMPLATE)
        if not (data_dir / _FILE).exists():
            data_dir.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._file(), data_dir / _FILE)
        return ""

    def _file(self) -> Path:
        if self._template is None:
            self._template = Path(tempfile.mkdtemp(prefix="spaces-template-")) / _FILE
            in_a_thread(database.migrate(sqlite_url(self._template)))
        return self._template

    def _cloned(self, data_dir: Path, template: str) -> str:
        name = _name(data_dir)
        if name not in self._folders:
            with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                self.server.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
            self._folders[name] = data_dir.absolute()
        return self.server.url(name)

    def read(self, data_dir: Path, query: str) -> list[tuple[Any, ...]]:
        """Rows of the database of a data folder, past its server."""
        if self.kind != "sqlite":
            return self.server.read(query, _name(data_dir))
        with contextlib.closing(sqlite3.connect(data_dir / _FILE, timeout=5)) as rows:
            return [tuple(row) for row in rows.execute(query)]

    def write(self, data_dir: Path, *statements: str) -> None:
        """Change the database of a data folder behind its server's back."""
        if self.kind != "sqlite":
            self.server.run(*statements, database=_name(data_dir))
            return
        with contextlib.closing(sqlite3.connect(data_dir / _FILE, timeout=5)) as rows, rows:
            for statement in statements:
                rows.execute(statement)

    def back_up(self, data_dir: Path, file: Path) -> None:
        """A backup of the database of a data folder, made while it is in use."""
        if self.kind != "sqlite":
            self.server.dump(_name(data_dir), file)
            return
        live, copy = sqlite3.connect(data_dir / _FILE), sqlite3.connect(file)
        with contextlib.closing(live), contextlib.closing(copy):
            live.backup(copy)

    def restore(self, data_dir: Path, file: Path) -> None:
        """Put a backup in the place of the database of a data folder, which nobody uses."""
        if self.kind != "sqlite":
            self.server.restore(_name(data_dir), file)
            return
        for name in (_FILE, f"{_FILE}-wal", f"{_FILE}-shm"):
            (data_dir / name).unlink(missing_ok=True)
        shutil.copy(file, data_dir / _FILE)

    def forget(self, folder: Path) -> None:
        """Drop the databases of all data folders under this one."""
        names = [name for name, data_dir in self._folders.items() if data_dir.is_relative_to(folder)]
        if names:
            self.server.run(*(f"DROP DATABASE {name} WITH (FORCE)" for name in names))
        for name in names:
            del self._folders[name]

    def close(self) -> None:
        """End what was started."""
        if self._own is not None:
            self._own.remove()
            del os.environ[_SERVER]
        # `make mutants` runs session after session in one process, and forks it for each mutant.
        if self._template is not None and "MUTANT_UNDER_TEST" not in os.environ:
            shutil.rmtree(self._template.parent, ignore_errors=True)
            self._template = None


def _name(data_dir: Path) -> str:
    return "spaces_" + hashlib.sha256(str(data_dir.absolute()).encode()).hexdigest()[:16]


databases = Databases()
