"""The media process of this server: started, watched, started again when it dies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from tortoise.exceptions import OperationalError

from media.engine import (
    AudioEngine,
    EngineEvent,
    EngineLost,
    EngineUnavailable,
    LiveWindow,
    PublishAnswer,
    RecordingFacts,
    RoomSpec,
)

log = structlog.get_logger(__name__)

_RESTART_AFTER_S = 0.5
_RETRY_AFTER_S = 1.0


class EngineRun:
    """One life of an engine: how to reach it and how to end it."""

    def __init__(self, engine: AudioEngine, close: Callable[[], Awaitable[None]]) -> None:
        self.engine = engine
        self.close = close


class WatchedEngine:
    """An AudioEngine over whichever media process is alive; EngineUnavailable while none is."""

    def __init__(self, start: Callable[[], Awaitable[EngineRun]]) -> None:
        self._start = start
        self._run: EngineRun | None = None

    @property
    def is_up(self) -> bool:
        """Whether calls can go through now."""
        return self._run is not None

    async def start(self) -> None:
        """Start the media process. Raises EngineUnavailable when it does not come up."""
        self._run = await self._start()

    async def watch(
        self, hear: Callable[[EngineEvent], Awaitable[None]], lost: Callable[[], Awaitable[None]]
    ) -> None:
        """Hand every event on; after a loss start again and call `lost`. Runs until it is cancelled."""
        while True:
            async for event in self._engine.events():
                await _taken_in(hear, event)
                if isinstance(event, EngineLost):
                    break
            await self._restart()
            await _safely(lost(), "engine restart")

    async def _restart(self) -> None:
        run, self._run = self._run, None
        log.error("media process lost")
        if run is not None:
            await run.close()
        while self._run is None:
            try:
                await self.start()
            except (EngineUnavailable, OSError):
                log.exception("media process does not start")
                await asyncio.sleep(_RESTART_AFTER_S)

    async def close(self) -> None:
        """End the media process."""
        run, self._run = self._run, None
        if run is not None:
            await run.close()

    @property
    def _engine(self) -> AudioEngine:
        if self._run is None:
            raise EngineUnavailable("the media process is starting")
        return self._run.engine

    async def open_room(self, spec: RoomSpec, /) -> RecordingFacts | None:
        """As AudioEngine has it."""
        return await self._engine.open_room(spec)

    async def close_room(self, space_id: str, /) -> RecordingFacts | None:
        """As AudioEngine has it."""
        return await self._engine.close_room(space_id)

    async def stop_recording(self, space_id: str, /) -> RecordingFacts | None:
        """As AudioEngine has it."""
        return await self._engine.stop_recording(space_id)

    async def publish(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        """As AudioEngine has it."""
        return await self._engine.publish(space_id, participant_id, offer_sdp, device)

    async def listen(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        """As AudioEngine has it."""
        return await self._engine.listen(space_id, participant_id, offer_sdp, device)

    async def unlisten(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        """As AudioEngine has it."""
        return await self._engine.unlisten(space_id, participant_id, session_id)

    async def has_session(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        """As AudioEngine has it."""
        return await self._engine.has_session(space_id, participant_id, session_id)

    async def unpublish(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        """As AudioEngine has it."""
        return await self._engine.unpublish(space_id, participant_id, session_id)

    async def remove_participant(self, space_id: str, participant_id: str, /) -> None:
        """As AudioEngine has it."""
        await self._engine.remove_participant(space_id, participant_id)

    async def set_muted(self, space_id: str, participant_id: str, muted: bool, /) -> None:
        """As AudioEngine has it."""
        await self._engine.set_muted(space_id, participant_id, muted)

    async def live_window(self, space_id: str, /) -> LiveWindow:
        """As AudioEngine has it."""
        return await self._engine.live_window(space_id)

    async def live_init(self, space_id: str, generation: int, /) -> bytes | None:
        """As AudioEngine has it."""
        return await self._engine.live_init(space_id, generation)

    async def live_fragment(self, space_id: str, sequence: int, /) -> bytes | None:
        """As AudioEngine has it."""
        return await self._engine.live_fragment(space_id, sequence)

    async def suspend(self) -> tuple[RecordingFacts, ...]:
        """As AudioEngine has it."""
        return await self._engine.suspend()

    def events(self) -> AsyncIterator[EngineEvent]:
        """As AudioEngine has it; `watch` is its one reader."""
        return self._engine.events()


async def _taken_in(hear: Callable[[EngineEvent], Awaitable[None]], event: EngineEvent) -> None:
    """Hand an event on. While the database is away or full it waits, and those behind it in their queue."""
    while True:
        try:
            await hear(event)
        except (OperationalError, OSError):
            log.exception("an event waits for the database", kind=type(event).__name__)
            await asyncio.sleep(_RETRY_AFTER_S)
        except Exception:
            log.exception("could not take in", what=type(event).__name__)
            return
        else:
            return


async def _safely(work: Awaitable[None], what: str) -> None:
    """One event that cannot be taken in must not silence all that follow."""
    try:
        await work
    except Exception:
        log.exception("could not take in", what=what)
