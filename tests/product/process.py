"""The real server: a process of its own with its media process, started, stopped and killed from outside."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import IO

import httpx
import orjson

from tests.product.databases import databases
from tests.product.town import Town, free_port

START_PATIENCE_S = 60.0
STOP_PATIENCE_S = 30.0
_ROOT = Path(__file__).parent.parent.parent


async def gone(pids: Iterable[int]) -> None:
    """Wait until none of these processes runs any more."""
    async with asyncio.timeout(STOP_PATIENCE_S):
        for pid in pids:
            await _gone(pid)


async def _gone(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started; its threads come and go while one looks."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, task.read_text().split())
    return found


class Server:
    """`spaces serve` in a process group of its own; the port stays the same over restarts."""

    def __init__(self, folder: Path, **environment: str) -> None:
        """`environment` is added to every start; SPACES_DATA_DIR is `folder`/data."""
        self.folder = folder
        self.data_dir = folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._forgiven: tuple[str, ...] = ()

    @property
    def pid(self) -> int:
        """Of the server itself, which is also its process group."""
        assert self._process is not None, "expected a running server, it was not started"
        return self._process.pid

    async def start(self, **environment: str) -> float:
        """Return once it is ready; the seconds that it took."""
        began_s = time.monotonic()
        scratch = self.folder / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.err").open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "api.cli", "serve"),
                env={**os.environ, **self._environment(scratch), **self.environment, **environment},
                cwd=scratch,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        await self._until_ready()
        return time.monotonic() - began_s

    def _environment(self, scratch: Path) -> dict[str, str]:
        return {
            "SPACES_DATA_DIR": str(self.data_dir),
            "SPACES_DATABASE_URL": databases.url(self.data_dir),
            "SPACES_HOST": "127.0.0.1",
            "SPACES_PORT": str(self.port),
            "SPACES_PUBLIC_URL": self.url,
            "SPACES_RATE_LIMIT_ENABLED": "false",
            "SPACES_PASSWORD_HASH_MIB": "1",
            "SPACES_LOG_LEVEL": "WARNING",
            "PYTHONPATH": str(_ROOT),
            "PYTHONWARNINGS": "error",
            # It starts from what was compiled before, as an installed one does.
            "PYTHONDONTWRITEBYTECODE": "",
            "TMPDIR": str(scratch),
        }

    async def command(self, *words: str, **environment: str) -> asyncio.subprocess.Process:
        """Another command on the same data folder, under way; what it prints can be read."""
        return await self.command_into(asyncio.subprocess.PIPE, *words, **environment)

    async def command_into(
        self, output: int | IO[bytes], *words: str, **environment: str
    ) -> asyncio.subprocess.Process:
        """Another command on the same data folder, under way; what it prints goes there."""
        scratch = self.folder / "scratch"
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "api.cli", *words),
            env={**os.environ, **self._environment(scratch), **self.environment, **environment},
            cwd=scratch,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )

    async def _until_ready(self) -> None:
        assert self._process is not None
        async with asyncio.timeout(START_PATIENCE_S), httpx.AsyncClient(base_url=self.url) as http:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get("/readyz")).status_code == 200:
                        return
                assert self._process.returncode is None, f"it did not start: {self.errors()}"
                await asyncio.sleep(0.02)

    async def stop(self) -> float:
        """SIGTERM, as an operator stops it; the seconds until it and its children are gone."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> float:
        """`kill -9` of the server's pid alone; the seconds until its children are gone too."""
        return await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> float:
        assert self._process is not None
        family = [*children_of(self.pid), self.pid]
        began_s = time.monotonic()
        os.kill(self.pid, how)
        await gone(family)
        await self._process.wait()
        self._process = None
        return time.monotonic() - began_s

    async def reap(self) -> None:
        """Wait until a server that was killed from outside is gone, its children too."""
        assert self._process is not None
        await self._process.wait()
        self._process = None

    async def ended(self) -> int:
        """Wait until it has ended by itself; its exit code."""
        assert self._process is not None
        code = await self._process.wait()
        self._process = None
        return code

    async def clean_up(self) -> None:
        """Whatever became of the test, leave nothing running."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    def errors(self) -> list[str]:
        """What it complained of: its logged errors, and lines that are no log lines at all."""
        file = self.folder / "server.err"
        lines = file.read_bytes().splitlines() if file.exists() else []
        complaints = [line.decode(errors="replace") for line in lines if _is_complaint(line)]
        return [line for line in complaints if not any(word in line for word in self._forgiven)]

    def forgive(self, *words: str) -> None:
        """Complaints with these words are what the test is about."""
        self._forgiven += words

    def recordings(self) -> list[Path]:
        """The directories of its recordings."""
        folder = self.data_dir / "recordings"
        return sorted(folder.iterdir()) if folder.exists() else []


def _is_complaint(line: bytes) -> bool:
    try:
        return orjson.loads(line)["level"] in {"error", "critical"}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return bool(line.strip())


class ServedTown(Town):
    """People of a server that runs elsewhere: it has an address and files, no insides and no clock."""

    def __init__(self, server: Server, http: httpx.AsyncClient) -> None:
        self.server = server
        self.live = ""
        self.url = server.url
        self.http = http
        self.data_dir = server.data_dir
        self._people = 0


@contextlib.asynccontextmanager
async def served_town(folder: Path, **environment: str) -> AsyncIterator[ServedTown]:
    """A real server on a fresh folder; when all went well it has complained of nothing."""
    server = Server(folder, **environment)
    try:
        await server.start()
        async with httpx.AsyncClient(base_url=server.url, timeout=20) as http:
            yield ServedTown(server, http)
        complaints = server.errors()
        assert complaints == [], "\n".join(complaints[:3])
    finally:
        await server.clean_up()
