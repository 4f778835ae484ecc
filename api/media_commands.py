"""What `spaces media` and `spaces drain` do."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from api.alive import signs_of_life
from api.settings import Settings
from media.attach import connect_control, serve_attached
from media.ice import IceConfig
from media.wire import pack_frame, read_frame


class NoServer(Exception):
    """No Spaces server runs on this data folder. Look at SPACES_DATA_DIR."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class DrainFailed(Exception):
    """The server refused, or ended before its Spaces did."""


async def carry(settings: Settings, name: str, told: Callable[[str], None]) -> None:
    """Carry rooms beside the server of the data folder, until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with signs_of_life():
        await serve_attached(
            settings.data_dir.absolute(),
            name=name or f"media-{os.getpid()}",
            ice=IceConfig(address=settings.audio_address, servers=settings.ice_servers),
            limits=settings.engine_limits(),
            stop=stop,
            told=told,
        )


async def drain(data_dir: Path, process: str, told: Callable[[int], None]) -> None:
    """Return once the server, or one attached process, carries nothing any more. Raises NoServer or DrainFailed."""
    try:
        reader, writer = await connect_control(data_dir)
    except OSError as error:
        raise NoServer from error
    try:
        writer.write(pack_frame({"hello": "drain", "process": process}))
        left = -1
        while (frame := await read_frame(reader)) is not None:
            if "error" in frame[0]:
                raise DrainFailed(str(frame[0]["error"]))
            if frame[0]["left"] != left:
                left = int(frame[0]["left"])
                told(left)
        if left != 0:
            raise DrainFailed("The server ended before its Spaces did.")
    finally:
        writer.close()
