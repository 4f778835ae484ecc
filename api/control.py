"""The control socket in the data folder: media processes attach by it, and an operator drains by it.

Whoever may open the socket could as well kill the server or read its recordings: the file is the owner's alone.
"""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import structlog

from api.engine import WatchedEngine
from api.member import Attached
from media.attach import CONTROL, control_path
from media.control import RemoteEngine
from media.engine import EngineError
from media.process import STREAM_LIMIT_BYTES
from media.wire import FrameError, pack_frame, read_frame
from models.recording import Recording, RecordingStatus
from models.space import Space, SpaceState

log = structlog.get_logger(__name__)

_HELLO_TIMEOUT_S = 5.0
_LOOK_AGAIN_S = 0.25
_MOST_ROOMS = 10_000


class ControlSocket:
    """Open from `start` to `close`."""

    def __init__(self, data_dir: Path, engine: WatchedEngine) -> None:
        self._data_dir = data_dir
        self._engine = engine
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self._is_open = asyncio.Event()

    async def start(self) -> None:
        """Listen. The data folder is this server's alone, so a socket that is there is a dead one's. Raises OSError."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.fchmod(listening.fileno(), 0o600)
        (self._data_dir / CONTROL).unlink(missing_ok=True)
        with control_path(self._data_dir) as path:
            listening.bind(path)
        self._server = await asyncio.start_unix_server(self._accept, sock=listening, limit=STREAM_LIMIT_BYTES)

    def opened(self) -> None:
        """The rooms are open: from now on it can be told how many are left."""
        self._is_open.set()

    async def close(self) -> None:
        """Take nobody more. Processes that have attached stay, until the engine lets them go."""
        if self._server is not None:
            self._server.close()
        (self._data_dir / CONTROL).unlink(missing_ok=True)
        for talk in self._talks:
            talk.cancel()
        if self._talks:
            await asyncio.wait(self._talks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(reader, writer), name="control")
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HELLO_TIMEOUT_S):
                frame = await read_frame(reader)
            header = frame[0] if frame is not None else {}
            if header.get("hello") == "media":
                await self._attach(header, reader, writer)
                return
            if header.get("hello") == "drain":
                await self._drain(str(header.get("process", "")), writer)
        except (FrameError, EngineError, OSError, TimeoutError, ValueError) as error:
            log.warning("control connection refused", reason=str(error) or type(error).__name__)
            await _send(writer, {"error": str(error)})
        except Exception:
            log.exception("control connection failed")
        writer.close()

    async def _attach(
        self, header: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        name, rooms = str(header.get("name", "")), int(header.get("rooms", 0))
        if not 1 <= len(name) <= 64 or not 1 <= rooms <= _MOST_ROOMS:
            raise ValueError("expected a name and a number of rooms")
        remote = RemoteEngine(reader, writer)
        try:
            connection: socket.socket = writer.get_extra_info("socket")
            self._engine.attach(Attached(remote, name=name, rooms=rooms, connection=connection))
        except EngineError as error:
            log.warning("control connection refused", reason=str(error))
            await _send(writer, {"error": str(error)})
            await remote.aclose()

    async def _drain(self, process: str, writer: asyncio.StreamWriter) -> None:
        """Tell how many live Spaces are left until none is; then end the process, or the server."""
        await self._is_open.wait()
        self._engine.drain(process)
        log.warning("draining", process=process or "all")
        while left := await self._left(process):
            await _send(writer, {"left": left})
            await asyncio.sleep(_LOOK_AGAIN_S)
        await _send(writer, {"left": 0})
        if process:
            await self._engine.retire(process)
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    async def _left(self, process: str) -> int:
        if process:
            return self._engine.rooms_of(process)
        live = await Space.filter(state=SpaceState.LIVE).count()
        return live + await Recording.filter(status=RecordingStatus.FINALIZING).count()


async def _send(writer: asyncio.StreamWriter, header: dict[str, Any]) -> None:
    """What nobody reads any more does not matter: draining goes on without its operator."""
    try:
        writer.write(pack_frame(header))
        await writer.drain()
    except OSError:
        log.info("the other end of a control connection is gone")
