"""Every audio engine that there is, to be held to the same promises.

An engine that is to take the place of ours gets a line in ENGINES, and is ready when `test_engine.py` passes.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from api.engine import EngineRun, WatchedEngine
from media.engine import AudioEngine
from media.ice import IceConfig
from media.launch import launch
from media.local import LocalEngine
from media.process import connect, end

LOOPBACK = "127.0.0.1"


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def local() -> AsyncIterator[AudioEngine]:
    """In this process."""
    engine = LocalEngine(ice=IceConfig(address=LOOPBACK), now_ms=wall_ms)
    try:
        yield engine
    finally:
        await engine.aclose()


@asynccontextmanager
async def process() -> AsyncIterator[AudioEngine]:
    """In a process of its own, across its socket."""
    launched = launch(ice_address=LOOPBACK)
    engine = await connect(launched)
    try:
        yield engine
    finally:
        await end(launched, engine)


@asynccontextmanager
async def placed() -> AsyncIterator[AudioEngine]:
    """As the server reaches it, which places rooms on processes."""
    async with process() as engine:

        async def close() -> None:
            """The block around this ends it."""

        async def start() -> EngineRun:
            return EngineRun(engine, close)

        watched = WatchedEngine(start)
        await watched.start()
        yield watched


Opened = Callable[[], AbstractAsyncContextManager[AudioEngine]]
ENGINES: dict[str, Opened] = {"local": local, "process": process, "placed": placed}
