"""A media process: `LocalEngine` behind a socket that it inherits, and how to reach one.

It ends with its parent. When the socket closes it closes the open fragment of every recording and
exits within a second.
"""

import argparse
import asyncio
import ctypes
import logging
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from media.control import RemoteEngine, serve_engine
from media.ice import IceConfig
from media.launch import Launched
from media.limits import EngineLimits

if TYPE_CHECKING:
    from media.local import LocalEngine

log = logging.getLogger(__name__)

START_TIMEOUT_S = 10.0
SUSPEND_TIMEOUT_S = 0.8
END_TIMEOUT_S = 1.2
STREAM_LIMIT_BYTES = 256 * 1024
# Each waits for the disk most of its time. Python's own number grows with the cores, and each thread keeps memory.
_DISK_THREADS = 8
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
    ended = asyncio.create_task(asyncio.to_thread(launched.process.wait), name="end of media process")
    if not (await asyncio.wait([ended], timeout=END_TIMEOUT_S))[0]:
        launched.process.kill()
    await ended


def main(fd: int, *, ice: IceConfig, limits: EngineLimits) -> None:
    """Serve an engine over an inherited socket until it closes."""
    die_with_parent()
    # A signal to the whole group is for the parent, which closes the socket once it has told everybody.
    for told_by_parent in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told_by_parent, signal.SIG_IGN)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(fd, ice=ice, limits=limits))


def die_with_parent() -> None:
    """Let the kernel end this process when the thread that started it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        log.warning("this process may outlive its parent: errno %s", ctypes.get_errno())


async def _serve(fd: int, *, ice: IceConfig, limits: EngineLimits) -> None:
    engine = new_engine(ice=ice, limits=limits)
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd), limit=STREAM_LIMIT_BYTES)
    try:
        await serve_engine(reader, writer, engine)
    finally:
        await shut_down(engine)
        writer.close()


def new_engine(*, ice: IceConfig, limits: EngineLimits) -> "LocalEngine":
    """An engine for a process of its own. Call it inside the loop."""
    # Before the first call is answered: else the first publisher's first words would wait for the import.
    import media.session  # noqa: F401
    from media.local import LocalEngine

    disk = ThreadPoolExecutor(_DISK_THREADS, thread_name_prefix="disk")
    asyncio.get_running_loop().set_default_executor(disk)
    return LocalEngine(ice=ice, limits=limits, now_ms=_wall_ms)


async def shut_down(engine: "LocalEngine") -> None:
    """Close the open fragment of every recording, within the time that there is."""
    try:
        async with asyncio.timeout(SUSPEND_TIMEOUT_S):
            await engine.suspend()
    except TimeoutError:
        log.error("a recording could not be closed in time; it will be repaired")


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000  # noqa: TID251 - the entry of a process of its own


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="media.process")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--ice-address", default=None)
    parser.add_argument("--ice-server", action="append", default=[])
    parser.add_argument("--rooms", type=int, default=EngineLimits().rooms)
    parser.add_argument("--sessions-per-room", type=int, default=EngineLimits().sessions_per_room)
    parser.add_argument("--disk-reserve-bytes", type=int, default=EngineLimits().disk_reserve_bytes)
    parser.add_argument("--log-level", default="WARNING")
    options = parser.parse_args()
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    main(
        options.fd,
        ice=IceConfig(address=options.ice_address, servers=tuple(options.ice_server)),
        limits=EngineLimits(
            rooms=options.rooms,
            sessions_per_room=options.sessions_per_room,
            disk_reserve_bytes=options.disk_reserve_bytes,
        ),
    )
