"""A media process: `LocalEngine` behind a socket that it inherits, and how to reach one.

It is ready for calls before aiortc is imported, ends with its parent, and when the socket closes it
closes the open fragment of every recording and exits within a second.
"""

import argparse
import asyncio
import ctypes
import logging
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from media.control import RemoteEngine, serve_engine
from media.ice import IceConfig
from media.launch import Launched

if TYPE_CHECKING:
    from media.local import LocalEngine

log = logging.getLogger(__name__)

START_TIMEOUT_S = 10.0
SUSPEND_TIMEOUT_S = 0.8
END_TIMEOUT_S = 1.2
STREAM_LIMIT_BYTES = 256 * 1024
_PR_SET_PDEATHSIG = 1


async def connect(launched: Launched) -> RemoteEngine:
    """The engine of a launched process, once it answers calls. Raises `EngineUnavailable` when it does not."""
    reader, writer = await asyncio.open_connection(sock=launched.socket, limit=STREAM_LIMIT_BYTES)
    engine = RemoteEngine(reader, writer)
    try:
        await engine.ping()
    except BaseException:
        launched.process.kill()
        await engine.aclose()
        raise
    return engine


async def end(launched: Launched, engine: RemoteEngine) -> None:
    """Close the socket, at which the process closes its recordings and ends; kill it when it does not."""
    await engine.aclose()
    try:
        await asyncio.to_thread(launched.process.wait, END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        launched.process.kill()
        await asyncio.to_thread(launched.process.wait)


def main(fd: int, *, ice_address: str | None, ice_servers: tuple[str, ...] = ()) -> None:
    """Serve an engine over an inherited socket until it closes."""
    _die_with_parent()
    # A signal to the whole group is for the parent, which closes the socket once it has told everybody.
    for told_by_parent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told_by_parent, signal.SIG_IGN)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(fd, ice_address=ice_address, ice_servers=ice_servers))


def _die_with_parent() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        log.warning("this process may outlive its parent: errno %s", ctypes.get_errno())


async def _serve(fd: int, *, ice_address: str | None, ice_servers: tuple[str, ...]) -> None:
    from media.local import LocalEngine

    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd), limit=STREAM_LIMIT_BYTES)
    engine = LocalEngine(ice=IceConfig(address=ice_address, servers=ice_servers), now_ms=_wall_ms)
    serving = asyncio.create_task(serve_engine(reader, writer, engine), name="control")
    warming = asyncio.create_task(asyncio.to_thread(_warm_up), name="warm up")
    await asyncio.wait([serving])
    await _shut_down(engine)
    # The last events are on their way out; one turn of the loop sends them.
    await asyncio.sleep(0.01)
    ended = await asyncio.gather(*map(_cancelled, (serving, warming)), return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            log.error("the media process ends after an error", exc_info=error)
    writer.close()


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _shut_down(engine: "LocalEngine") -> None:
    try:
        async with asyncio.timeout(SUSPEND_TIMEOUT_S):
            await engine.suspend()
    except TimeoutError:
        log.error("a recording could not be closed in time; it will be repaired")


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000  # noqa: TID251 - the entry of a process of its own


def _warm_up() -> None:
    """Import aiortc before the first publisher waits for it."""
    import media.session  # noqa: F401


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="media.process")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--ice-address", default=None)
    parser.add_argument("--ice-server", action="append", default=[])
    parser.add_argument("--log-level", default="WARNING")
    options = parser.parse_args()
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    main(options.fd, ice_address=options.ice_address, ice_servers=tuple(options.ice_server))
