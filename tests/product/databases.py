"""Where the server of a test keeps its rows: the SQLite file of its data folder, or a PostgreSQL database.

Migrating takes longer than most tests do: it is done once, and every test gets a copy.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from models import database
from tests.product.postgres import Postgres, in_a_thread

KINDS = ("sqlite", "postgres")
_TEMPLATE = "template"
_FILE = "spaces.sqlite3"


class Databases:
    """The databases of this run."""

    def __init__(self) -> None:
        self.kind = KINDS[0]
        self._postgres: Postgres | None = None
        self._template: Path | None = None
        self._folders: dict[str, Path] = {}

    @contextlib.contextmanager
    def on(self, kind: str) -> Iterator[None]:
        """Until the end of the block, servers keep their rows in databases of this kind."""
        assert kind in KINDS, f"expected one of {KINDS}, got {kind}"
        before, self.kind = self.kind, kind
        try:
            yield
        finally:
            self.kind = before

    @property
    def postgres(self) -> Postgres:
        """The server of this run, started when it is first asked for."""
        if self._postgres is None:
            self._postgres = Postgres()
            self._postgres.run(f"CREATE DATABASE {_TEMPLATE}")
            in_a_thread(database.migrate(self._postgres.url(_TEMPLATE)))
        return self._postgres

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
            in_a_thread(database.migrate(database.sqlite_url(self._template)))
        return self._template

    def _cloned(self, data_dir: Path, template: str) -> str:
        name = "spaces_" + hashlib.sha256(str(data_dir.absolute()).encode()).hexdigest()[:16]
        server = self.postgres
        if name not in self._folders:
            server.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
            self._folders[name] = data_dir.absolute()
        return server.url(name)

    def forget(self, folder: Path) -> None:
        """Drop the databases of all data folders under this one."""
        names = [name for name, data_dir in self._folders.items() if data_dir.is_relative_to(folder)]
        if names:
            self.postgres.run(*(f"DROP DATABASE {name} WITH (FORCE)" for name in names))
        for name in names:
            del self._folders[name]

    def close(self) -> None:
        """End what was started."""
        if self._postgres is not None:
            self._postgres.remove()
        # `make mutants` runs session after session in one process, and forks it for each mutant.
        if self._template is not None and "MUTANT_UNDER_TEST" not in os.environ:
            shutil.rmtree(self._template.parent, ignore_errors=True)
            self._template = None


databases = Databases()
