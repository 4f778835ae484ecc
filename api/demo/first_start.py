"""What `make run` does: serve, and on a first start play the demo."""

import asyncio
import ctypes
import errno
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

from api.doctor import local_url, port_problem, serves_spaces
from api.settings import Settings
from models.location import sqlite_url

_READY_TIMEOUT_S = 60.0
_ASK_EVERY_S = 0.1
_STOP_TIMEOUT_S = 10.0
_LONGEST_LINE_BYTES = 2**22
_PR_SET_PDEATHSIG = 1
# Ends that were asked for.
_STOPPED = frozenset({0, -signal.SIGTERM, -signal.SIGINT})


class NotServing(Exception):
    """The server did not come up; the message says why, and the way out."""


def run_with_demo(settings: Settings, console: Console) -> int:
    """Serve until SIGINT or SIGTERM, and on a first start play the demo meanwhile. Returns the exit code.

    The server is a child in this process group and ends with this process, however that ends. A demo that
    fails leaves the server running. 0 when the server was stopped from outside.
    """
    return asyncio.run(_run(settings, console))


async def _run(settings: Settings, console: Console) -> int:
    is_first = is_first_start(settings)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        _check_port(settings)
        async with _server(console) as server:
            await _until_ready(settings, server, stopped=stopped, console=console)
            await _serve(settings, server, stopped=stopped, console=console, is_first=is_first)
        return server.exit_code
    except NotServing as failure:
        _tell(console, f"[bold red]Spaces could not be started.[/] {escape(str(failure))}")
        return 1


def is_first_start(settings: Settings) -> bool:
    """Whether nothing was ever kept: no database in the data folder; with one elsewhere, no keys."""
    folder = settings.data_dir.absolute()
    file = folder / "spaces.sqlite3"
    return not (file if settings.database == sqlite_url(file) else folder / "keys").exists()


def _check_port(settings: Settings) -> None:
    problem = port_problem(settings)
    if problem is None:
        return
    place = f"{settings.host}:{settings.port}"
    if problem.errno != errno.EADDRINUSE:
        raise NotServing(
            f"{place} cannot be listened on: {problem.strerror}. Set SPACES_HOST or SPACES_PORT."
        )
    holder = "Spaces already runs" if serves_spaces(local_url(settings)) else "Another program listens"
    way_out = f"SPACES_PORT={settings.port % 65535 + 1} make run"
    raise NotServing(f"{holder} at {place}. Stop it, or take another port: {way_out}")


# ---------- the child ----------


class Server:
    """The child, and its log."""

    def __init__(self, process: asyncio.subprocess.Process, console: Console) -> None:
        self._process = process
        self._console = console
        self._reading = asyncio.create_task(self._read(), name="server log")

    @property
    def exit_code(self) -> int:
        """For our own end: 0 for an end that was asked for; 128 and the number for another signal."""
        code = self._process.returncode
        if code is None or code in _STOPPED:
            return 0
        return 128 - code if code < 0 else code

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._process.returncode is not None

    async def ended(self) -> None:
        """Wait for its end, and for its last words."""
        await self._process.wait()
        await asyncio.shield(self._reading)

    async def stop(self) -> None:
        """Let it close what it writes; kill it when it does not."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
        await self.ended()

    async def _read(self) -> None:
        """Show what in its log is not routine, above a progress bar if there is one."""
        stream = self._process.stderr
        if stream is None:
            raise RuntimeError("expected the server's standard error, got none")
        while line := await stream.readline():
            text = line.decode(errors="replace").rstrip()
            if not _is_routine(text):
                self._console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)


def _is_routine(line: str) -> bool:
    """Whether a log line tells of nothing that needs somebody; it stands in the log file too."""
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and entry.get("level") in {"debug", "info"}


@asynccontextmanager
async def _server(console: Console) -> AsyncIterator[Server]:
    """`spaces serve`, until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "api.cli", "serve"),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE_BYTES,
        preexec_fn=_tied_to(os.getpid()),
    )
    server = Server(process, console)
    try:
        yield server
    finally:
        await server.stop()


def _tied_to(parent: int) -> Callable[[], None]:
    """What the child does first: ask to be ended with its parent, and leave Ctrl-C to it."""
    libc = ctypes.CDLL(None)

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before we asked
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    return tie


# ---------- what is shown ----------


async def _until_ready(
    settings: Settings, server: Server, *, stopped: asyncio.Event, console: Console
) -> None:
    """Wait until the server answers. Raises `NotServing` when it ends instead, or takes too long."""
    with console.status("Spaces is starting"):
        ready = asyncio.Event()
        asking = _ask(local_url(settings), ready=ready)
        await _first_of(asking, server.ended(), stopped.wait(), timeout_s=_READY_TIMEOUT_S)
    if ready.is_set() or stopped.is_set():
        return
    why = "It ended" if server.has_ended else f"It was not ready within {_READY_TIMEOUT_S:.0f} s"
    raise NotServing(f"{why}: see above, and {_log_file(settings)}. `spaces doctor` checks what it needs.")


def _log_file(settings: Settings) -> Path:
    return settings.data_dir / "logs" / "server.log"


async def _ask(url: str, *, ready: asyncio.Event) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            with suppress(httpx.TransportError):
                if (await http.get(f"{url}/readyz")).status_code == httpx.codes.OK:
                    ready.set()
                    return
            await asyncio.sleep(_ASK_EVERY_S)


async def _serve(
    settings: Settings, server: Server, *, stopped: asyncio.Event, console: Console, is_first: bool
) -> None:
    """Say where everything is, play the demo on a first start, and stay until the end."""
    if stopped.is_set():
        return
    _tell(console, f"[bold green]Spaces is running.[/] The timeline: [bold cyan]{settings.public}/[/]")
    _tell(console, f"GraphQL, for browsers with GraphiQL: [bold cyan]{settings.public}/graphql[/]")
    if is_first:
        _tell(
            console, "This is a first start: three demo people hold a Space of half a minute, in real time."
        )
        await _first_of(_play(settings, console), server.ended(), stopped.wait())
    if not (stopped.is_set() or server.has_ended):
        _tell(
            console,
            f"Ctrl-C stops Spaces. Its log: {_log_file(settings)}. Another demo: .venv/bin/spaces demo",
        )
        await _first_of(server.ended(), stopped.wait())
    if not stopped.is_set():
        _tell(console, f"[bold red]The server ended by itself.[/] Its log: {_log_file(settings)}")


async def _play(settings: Settings, console: Console) -> None:
    from api.demo.play import DemoFailed, perform

    try:
        await perform(local_url(settings), console)
    except DemoFailed as failure:
        reason = str(failure)
    except Exception as error:  # noqa: BLE001 (whatever is wrong with the demo, the server serves)
        reason = f"{type(error).__name__}: {error}"
    else:
        return
    _tell(
        console,
        f"[bold yellow]The demo could not be played.[/] {escape(reason)} Spaces goes on without it.",
    )


async def _first_of(*things: Coroutine[Any, Any, Any], timeout_s: float | None = None) -> None:
    """Wait for the first to end, and cancel the others. Raises what the first raised."""
    tasks = [asyncio.create_task(thing) for thing in things]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tell(console: Console, text: str) -> None:
    """A line of markup; a line without a terminal too."""
    console.print(text, highlight=False, soft_wrap=True)
