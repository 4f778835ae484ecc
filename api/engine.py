"""The media processes of this server: its own, started again when it dies, and those that attach.

A Space sticks to the process that it was placed on. When one is lost its Spaces are told to `lost`, which opens
them again, and by then no other process writes their recordings any more.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from tortoise.exceptions import OperationalError

from api.member import Attached, EngineRun, Member
from api.pulse import Pulse
from media.engine import (
    AudioEngine,
    EngineDraining,
    EngineError,
    EngineEvent,
    EngineFull,
    EngineLost,
    EngineStats,
    EngineUnavailable,
    LiveWindow,
    PublishAnswer,
    RecordingFacts,
    RoomNotFound,
    RoomSpec,
)

log = structlog.get_logger(__name__)

__all__ = ["EngineRun", "WatchedEngine"]

OWN = "server"
_RESTART_AFTER_S = 0.5
_RETRY_AFTER_S = 1.0
Hear = Callable[[EngineEvent], Awaitable[None]]
Lost = Callable[[frozenset[str]], Awaitable[None]]


class WatchedEngine:
    """An AudioEngine over whichever media processes are alive; EngineUnavailable while none is."""

    def __init__(self, start: Callable[[], Awaitable[EngineRun]], *, rooms: int = 100) -> None:
        self._start = start
        self._own = Member(OWN, rooms=rooms)
        self._attached: dict[str, Member] = {}
        self._places: dict[str, Member] = {}
        # Spaces whose process was lost: they are placed anew even while no others are.
        self._orphans: set[str] = set()
        self._watching: asyncio.TaskGroup | None = None
        self._is_closing = False
        self._hear: Hear | None = None
        self._lost: Lost | None = None
        self.is_draining = False

    # --- who is there ---

    @property
    def is_up(self) -> bool:
        """Whether calls can go through now."""
        return any(member.run is not None for member in self.members)

    @property
    def members(self) -> list[Member]:
        """Every media process, the server's own first."""
        return [self._own, *self._attached.values()]

    @property
    def _engine(self) -> AudioEngine:
        return self._own.engine

    async def start(self) -> None:
        """Start the media process. Raises EngineUnavailable when it does not come up."""
        self._own.run = await self._start()

    async def close(self) -> None:
        """End the server's own media process, and let the others go."""
        for member in self.members:
            run, member.run = member.run, None
            if run is not None:
                await run.close()

    async def watch(self, hear: Hear, lost: Lost) -> None:
        """Hand every event on; call `lost` with the Spaces of a process that is gone. Runs until it is cancelled."""
        self._hear, self._lost = hear, lost
        try:
            async with asyncio.TaskGroup() as self._watching:
                self._watching.create_task(self._keep_own(), name="own media process")
                for member in self._attached.values():
                    self._keep(member)
        finally:
            self._watching, self._is_closing = None, True

    def _keep(self, member: Member) -> None:
        if self._watching is not None:
            self._watching.create_task(self._keep_attached(member), name=f"media process {member.name}")

    def attach(self, attached: Attached) -> Member:
        """Place rooms on another process from now on. Raises EngineError when its name is taken.

        One that comes before `watch` does is heard from then on: so the rooms of a server that is back are spread.
        """
        if self._is_closing:
            raise EngineUnavailable("the server is going down")
        if attached.name in self._attached or attached.name == OWN:
            raise EngineError(f"expected another name, {attached.name} is taken")
        member = Member(attached.name, rooms=attached.rooms)
        member.run = attached.run()
        member.is_draining = self.is_draining
        self._attached[member.name] = member
        self._keep(member)
        log.warning("media process attached", process=member.name)
        return member

    def drain(self, name: str = "") -> None:
        """Place nothing more on one process, or on any. Raises EngineError when there is none of this name."""
        if not name:
            self.is_draining = True
        found = [member for member in self.members if name in {"", member.name}]
        if not found:
            raise EngineError(f"no media process is called {name}")
        for member in found:
            member.is_draining = True

    def rooms_of(self, name: str) -> int:
        """How many rooms a process still carries."""
        return sum(member.name == name for member in self._places.values())

    async def retire(self, name: str) -> None:
        """Ask an attached process, which carries nothing any more, to end."""
        member = self._attached.get(name)
        if member is not None:
            await member.retire()

    # --- losing one ---

    async def _keep_own(self) -> None:
        while True:
            await self._follow(self._own)
            spaces = await self._bury(self._own)
            if self.is_up:
                await _safely(self._tell_lost(spaces), "engine loss")
                spaces = frozenset()
            await self._restart()
            if spaces:
                await _safely(self._tell_lost(spaces), "engine restart")

    async def _keep_attached(self, member: Member) -> None:
        await self._follow(member)
        spaces = await self._bury(member)
        del self._attached[member.name]
        await _safely(self._tell_lost(spaces), "engine loss")

    async def _follow(self, member: Member) -> None:
        """Hand on what one process tells, until it is gone, or answers no more."""
        beat = asyncio.create_task(_end_when_hung(member), name=f"heartbeat of {member.name}")
        try:
            async for event in member.engine.events():
                member.note(event)
                if isinstance(event, EngineLost):
                    break
                assert self._hear is not None
                await _taken_in(self._hear, event)
        finally:
            beat.cancel()
            await asyncio.wait([beat])

    async def _bury(self, member: Member) -> frozenset[str]:
        """Make sure that a lost process writes no more; the Spaces that it carried."""
        if member.was_retired:
            log.warning("media process ended", process=member.name)
        else:
            log.error("media process lost", process=member.name)
        run, member.run = member.run, None
        if run is not None:
            await run.close()
        spaces = frozenset(space_id for space_id, place in self._places.items() if place is member)
        for space_id in spaces:
            del self._places[space_id]
        self._orphans |= spaces
        member.publishers.clear()
        return spaces

    async def _tell_lost(self, spaces: frozenset[str]) -> None:
        if self._hear is not None:
            await _taken_in(self._hear, EngineLost())
        if spaces and self._lost is not None:
            await self._lost(spaces)

    async def _restart(self) -> None:
        while self._own.run is None:
            try:
                await self.start()
            except (EngineUnavailable, OSError):
                log.exception("media process does not start")
                await asyncio.sleep(_RESTART_AFTER_S)

    # --- placing ---

    def _where(self, space_id: str) -> AudioEngine | None:
        """Where a Space is; None where no room is open for it. Raises EngineUnavailable."""
        member = self._places.get(space_id)
        if member is not None:
            return member.engine
        if not self.is_up:
            raise EngineUnavailable("the media process is starting")
        return None

    def _of(self, space_id: str) -> AudioEngine:
        """Where a Space is. Raises RoomNotFound or EngineUnavailable."""
        engine = self._where(space_id)
        if engine is None:
            raise RoomNotFound(f"no room is open for Space {space_id}")
        return engine

    def _place(self, space_id: str) -> Member:
        """The process with the least to do. Raises EngineUnavailable, EngineDraining or EngineFull."""
        up = [member for member in self.members if member.run is not None]
        if not up:
            raise EngineUnavailable("the media process is starting")
        taking = [member for member in up if not member.is_draining]
        if not taking and space_id in self._orphans:
            taking = up
        if not taking:
            raise EngineDraining("no media process takes new rooms")
        free = [member for member in taking if self.rooms_of(member.name) < member.rooms]
        if not free:
            raise EngineFull("every media process has as many rooms as it may have")
        return min(free, key=lambda member: member.load(self.rooms_of(member.name)))

    async def open_room(self, spec: RoomSpec, /) -> RecordingFacts | None:
        """As AudioEngine has it, on the process where the Space is, or else on the one with the least to do."""
        known = self._places.get(spec.space_id)
        member = self._places[spec.space_id] = known or self._place(spec.space_id)
        try:
            facts = await member.engine.open_room(spec)
        except BaseException:
            if known is None and self._places.get(spec.space_id) is member:
                del self._places[spec.space_id]
            raise
        self._orphans.discard(spec.space_id)
        return facts

    async def close_room(self, space_id: str, /) -> RecordingFacts | None:
        """As AudioEngine has it."""
        self._orphans.discard(space_id)
        engine = self._where(space_id)
        facts = await engine.close_room(space_id) if engine is not None else None
        self._places.pop(space_id, None)
        return facts

    async def suspend(self) -> tuple[RecordingFacts, ...]:
        """As AudioEngine has it, for every process; one that does not answer is left out."""
        engines = [member.engine for member in self.members if member.run is not None]
        told = await asyncio.gather(*(engine.suspend() for engine in engines), return_exceptions=True)
        return tuple(fact for facts in told if not isinstance(facts, BaseException) for fact in facts)

    async def stats(self) -> EngineStats:
        """As AudioEngine has it, of the server's own process."""
        return await self._engine.stats()

    def events(self) -> AsyncIterator[EngineEvent]:
        """As AudioEngine has it, of the server's own process; `watch` is its one reader."""
        return self._engine.events()

    # --- in the room of a Space: as AudioEngine has it ---

    async def stop_recording(self, space_id: str, /) -> RecordingFacts | None:
        """As AudioEngine has it."""
        return await self._of(space_id).stop_recording(space_id)

    async def publish(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        """As AudioEngine has it."""
        return await self._of(space_id).publish(space_id, participant_id, offer_sdp, device)

    async def listen(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        """As AudioEngine has it."""
        return await self._of(space_id).listen(space_id, participant_id, offer_sdp, device)

    async def unlisten(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        """As AudioEngine has it."""
        engine = self._where(space_id)
        return engine is not None and await engine.unlisten(space_id, participant_id, session_id)

    async def has_session(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        """As AudioEngine has it."""
        engine = self._where(space_id)
        return engine is not None and await engine.has_session(space_id, participant_id, session_id)

    async def unpublish(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        """As AudioEngine has it."""
        engine = self._where(space_id)
        return engine is not None and await engine.unpublish(space_id, participant_id, session_id)

    async def remove_participant(self, space_id: str, participant_id: str, /) -> None:
        """As AudioEngine has it."""
        await self._of(space_id).remove_participant(space_id, participant_id)

    async def set_muted(self, space_id: str, participant_id: str, muted: bool, /) -> None:
        """As AudioEngine has it."""
        await self._of(space_id).set_muted(space_id, participant_id, muted)

    async def live_window(self, space_id: str, /) -> LiveWindow:
        """As AudioEngine has it."""
        return await self._of(space_id).live_window(space_id)

    async def live_init(self, space_id: str, generation: int, /) -> bytes | None:
        """As AudioEngine has it."""
        return await self._of(space_id).live_init(space_id, generation)

    async def live_fragment(self, space_id: str, sequence: int, /) -> bytes | None:
        """As AudioEngine has it."""
        return await self._of(space_id).live_fragment(space_id, sequence)

    async def live_part(self, space_id: str, sequence: int, number: int, /) -> bytes | None:
        """The bytes of one part of a fragment."""
        return await self._of(space_id).live_part(space_id, sequence, number)


async def _end_when_hung(member: Member) -> None:
    """End a process that hangs: its sockets stay open, and nobody else would notice."""
    if member.run is None:
        return
    await Pulse(member.engine.stats, member.run.pid).until_hung()
    log.error("media process does not answer", process=member.name)
    member.run.kill()
    await member.run.close()


async def _taken_in(hear: Callable[[EngineEvent], Awaitable[None]], event: EngineEvent) -> None:
    """Hand an event on. While the database is away or full it waits, and those behind it in their queue."""
    while True:
        try:
            await hear(event)
        except (OperationalError, OSError) as error:
            log.error("an event waits for the database", kind=type(event).__name__, reason=str(error))
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
