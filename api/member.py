"""One media process, as the server sees it."""

import os
import signal
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

from media.control import RemoteEngine
from media.engine import AudioEngine, EngineEvent, EngineUnavailable, PublisherConnected, PublisherLost

# An empty room costs as much CPU as some three people who speak in it.
_ROOM_WEIGHT = 3
_CREDENTIALS = struct.Struct("3i")


class EngineRun:
    """One life of an engine: how to reach it, how to end it, and how when it does not answer."""

    def __init__(
        self,
        engine: AudioEngine,
        close: Callable[[], Awaitable[None]],
        kill: Callable[[], None] = lambda: None,
        pid: int | None = None,
    ) -> None:
        self.engine = engine
        self.close = close
        self.kill = kill
        self.pid = pid


class Member:
    """A media process of this server, alive while it has a run."""

    def __init__(self, name: str, *, rooms: int) -> None:
        self.name = name
        self.rooms = rooms
        self.run: EngineRun | None = None
        self.is_draining = False
        self.was_retired = False
        self.publishers: set[str] = set()

    @property
    def engine(self) -> AudioEngine:
        """Raises EngineUnavailable while it is away."""
        if self.run is None:
            raise EngineUnavailable("the media process is starting")
        return self.run.engine

    def note(self, event: EngineEvent) -> None:
        """Count who publishes there."""
        if isinstance(event, PublisherConnected):
            self.publishers.add(event.session_id)
        elif isinstance(event, PublisherLost):
            self.publishers.discard(event.session_id)

    def load(self, rooms: int) -> int:
        """How much it has to do with so many rooms, for comparison."""
        return _ROOM_WEIGHT * rooms + len(self.publishers)

    async def retire(self) -> None:
        """Ask it to end by itself. Raises EngineUnavailable."""
        if isinstance(self.engine, RemoteEngine):
            self.was_retired = True
            await self.engine.retire()


class Attached:
    """A media process that came by the control socket. It is nobody's child: a descriptor stands for it."""

    def __init__(self, engine: RemoteEngine, *, name: str, rooms: int, connection: socket.socket) -> None:
        """Raises OSError when it is gone already."""
        self.engine = engine
        self.name = name
        self.rooms = rooms
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self.pid = int(_CREDENTIALS.unpack(credentials)[0])
        # Zero is a process that we cannot see: in a container of its own.
        self._descriptor = os.pidfd_open(self.pid) if self.pid else -1

    def run(self) -> EngineRun:
        """How the house reaches and ends it."""
        return EngineRun(self.engine, self.hang_up, self.kill, self.pid or None)

    async def hang_up(self) -> None:
        """Let it close its recordings and go, or come back. Until then it holds on to their folders."""
        await self.engine.aclose()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def kill(self) -> None:
        """End it at once: it hangs, and would hold on to its recordings."""
        if self._descriptor >= 0:
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
