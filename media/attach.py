"""A media process beside the server's own: it attaches by the control socket, and again when the server is back."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from media.control import Refused, serve_engine
from media.ice import IceConfig
from media.limits import EngineLimits
from media.process import STREAM_LIMIT_BYTES, new_engine, shut_down
from media.wire import FrameError, pack_frame

log = logging.getLogger(__name__)

CONTROL = "control.sock"
RETRY_S = 0.2
_LONGEST_PAUSE_S = 5.0


@contextlib.contextmanager
def control_path(data_dir: Path) -> Iterator[str]:
    """The control socket's path, short enough for the kernel however deep the folder lies. Raises OSError."""
    descriptor = os.open(data_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{CONTROL}"
    finally:
        os.close(descriptor)


async def connect_control(data_dir: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the server of a data folder. Raises OSError while there is none."""
    with control_path(data_dir) as path:
        return await asyncio.open_unix_connection(path, limit=STREAM_LIMIT_BYTES)


async def serve_attached(
    data_dir: Path,
    *,
    name: str,
    ice: IceConfig,
    limits: EngineLimits,
    stop: asyncio.Event,
    told: Callable[[str], None],
) -> None:
    """Carry rooms for the server until `stop`. Then recordings are closed, and the server places them anew."""
    stopping = asyncio.create_task(stop.wait(), name="stop")
    waiting, refusal, pause_s = False, "", RETRY_S
    try:
        while not stop.is_set():
            try:
                reader, writer = await connect_control(data_dir)
            except OSError:
                if not waiting:
                    told("waiting for the server of this data folder")
                waiting = True
                await asyncio.wait([stopping], timeout=RETRY_S)
                continue
            waiting = False
            if not refusal:
                told(f"carrying rooms as {name}")
            writer.write(pack_frame({"hello": "media", "name": name, "rooms": limits.rooms}))
            said = await _serve(reader, writer, ice=ice, limits=limits, stop=stop, stopping=stopping)
            if said and said != refusal:
                told(f"the server refuses: {said}")
            refusal = said
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S) if said else RETRY_S
            await asyncio.wait([stopping], timeout=pause_s)
    finally:
        stopping.cancel()


async def _serve(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    ice: IceConfig,
    limits: EngineLimits,
    stop: asyncio.Event,
    stopping: "asyncio.Task[bool]",
) -> str:
    """One connection; why it was refused, if it was. What was recorded meanwhile is whole when this returns."""
    engine = new_engine(ice=ice, limits=limits)
    serving = asyncio.create_task(serve_engine(reader, writer, engine, retire=stop.set), name="engine")
    try:
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        # Before the connection closes, for with that others take the recordings over.
        await shut_down(engine)
    finally:
        serving.cancel()
        await asyncio.wait([serving])
        writer.close()
        await engine.aclose()
    error = None if serving.cancelled() else serving.exception()
    if isinstance(error, BaseExceptionGroup) and (refused := error.subgroup(Refused)) is not None:
        return str(refused.exceptions[0])
    if error is not None:
        log.log(logging.ERROR if isinstance(error, FrameError) else logging.INFO, "disconnected: %s", error)
    return ""
