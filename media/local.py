"""`AudioEngine` in this process."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any

from media.disk import Reserve
from media.engine import (
    EngineError,
    EngineEvent,
    EngineFull,
    EngineStats,
    ListenerConnected,
    ListenerLost,
    LiveWindow,
    PublishAnswer,
    PublisherConnected,
    PublisherLost,
    RecordingFacts,
    RoomFull,
    RoomNotFound,
    RoomSpec,
    TooManySessions,
)
from media.events import EventQueue
from media.ice import IceConfig
from media.limits import EngineLimits
from media.offer import Offer, Way, parse_offer
from media.publisher import Publisher
from media.recorder import Recorder
from media.returns import Listener
from media.room import Room
from media.store import RecordingStore
from media.ticker import Ticker

if TYPE_CHECKING:
    # aiortc takes half a second to import; the first publisher brings it, or `warm_up`.
    from media.session import Session

log = logging.getLogger(__name__)

MAX_SESSIONS_PER_PARTICIPANT = 4
CHECK_INTERVAL_NS = 1_000_000_000


@dataclass(slots=True)
class _Seat:
    """A session, and the publisher that it feeds or the listener that feeds it."""

    room: Room
    member: Publisher | Listener
    device: str
    session: "Session | None" = None
    replaced: bool = False

    @property
    def participant_id(self) -> str:
        return self.member.participant_id


def _sum(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]


class LocalEngine:
    """Rooms, sessions and recorders of one process. Create it inside the loop; `aclose` it."""

    def __init__(
        self,
        *,
        ice: IceConfig | None = None,
        limits: EngineLimits | None = None,
        now_ms: Callable[[], int],
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._ice = ice or IceConfig()
        self._limits = limits or EngineLimits()
        self._now_ms = now_ms
        self._monotonic_ns = monotonic_ns
        self._rooms: dict[str, Room] = {}
        self._seats: dict[str, _Seat] = {}
        self._events = EventQueue()
        self._opening = asyncio.Lock()
        self._suspended = False
        self._packets_gone = (0, 0)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ticker = Ticker(monotonic_ns=monotonic_ns)
        self._next_check_ns = 0
        self._own(self.ticker.run(), name="ticker")

    # --- rooms ---

    async def open_room(self, spec: RoomSpec, /) -> RecordingFacts | None:
        async with self._opening:
            if self._suspended:
                raise EngineError("expected a running engine, it is shutting down")
            room = self._rooms.get(spec.space_id)
            if room is None:
                if len(self._rooms) >= self._limits.rooms:
                    raise EngineFull(f"expected at most {self._limits.rooms} rooms in this process")
                room = await self._open(spec)
            return room.recorder.facts if room.recorder is not None else None

    async def _open(self, spec: RoomSpec) -> Room:
        recorder = None
        if spec.recording is not None:
            recorder = Recorder(
                space_id=spec.space_id,
                recording_id=spec.recording.recording_id,
                store=RecordingStore(
                    spec.recording.directory, reserve=Reserve(self._limits.disk_reserve_bytes)
                ),
                emit=self._events.put,
                now_ms=self._now_ms,
            )
            try:
                await recorder.open()
            except OSError as error:
                raise EngineError(f"the recording cannot be opened: {error}") from error
        room = Room(space_id=spec.space_id, emit=self._events.put, now_ms=self._now_ms, recorder=recorder)
        if not self._rooms:
            self.ticker.add(self._check)
        self._rooms[spec.space_id] = room
        self.ticker.add(room.tick, pace=lambda: room.pace)
        return room

    async def close_room(self, space_id: str, /) -> RecordingFacts | None:
        async with self._opening:
            room = self._take_out(space_id)
            return await room.close() if room is not None else None

    def _take_out(self, space_id: str) -> Room | None:
        room = self._rooms.pop(space_id, None)
        if room is not None:
            self.ticker.remove(room.tick)
            for session_id in [key for key, seat in self._seats.items() if seat.room is room]:
                self._end(session_id)
        if not self._rooms:
            self.ticker.remove(self._check)
        return room

    async def stop_recording(self, space_id: str, /) -> RecordingFacts | None:
        return await self._room(space_id).stop_recording()

    def _room(self, space_id: str) -> Room:
        try:
            return self._rooms[space_id]
        except KeyError:
            raise RoomNotFound(f"no room is open for Space {space_id}") from None

    # --- sessions ---

    async def publish(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        room = self._room(space_id)
        offer = parse_offer(offer_sdp)
        # One that has not connected yet gives way at once, a connected one when the newer connects.
        self._replace(room, participant_id, connected=False)
        self._check_limits(room, participant_id)
        return await self._answer(_Seat(room, room.add_publisher(participant_id), device), offer)

    async def listen(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        room = self._room(space_id)
        offer = parse_offer(offer_sdp, way=Way.LISTEN)
        self._check_limits(room, participant_id)
        return await self._answer(_Seat(room, room.add_listener(participant_id), device), offer)

    def _check_limits(self, room: Room, participant_id: str) -> None:
        seats = [seat for seat in self._seats.values() if seat.room is room]
        if sum(seat.participant_id == participant_id for seat in seats) >= MAX_SESSIONS_PER_PARTICIPANT:
            raise TooManySessions(f"expected at most {MAX_SESSIONS_PER_PARTICIPANT} sessions a participant")
        if len(seats) >= self._limits.sessions_per_room:
            raise RoomFull(f"expected at most {self._limits.sessions_per_room} sessions in a room")

    async def _answer(self, seat: _Seat, offer: Offer) -> PublishAnswer:
        session_id = secrets.token_urlsafe(16)
        session = seat.session = self._new_session(session_id, seat.member)
        self._seats[session_id] = seat
        try:
            return PublishAnswer(session_id=session_id, sdp=await session.answer(offer))
        except BaseException:
            self._end(session_id)
            raise

    def _new_session(self, session_id: str, member: Publisher | Listener) -> "Session":
        from media.session import ListenSession, PublishSession

        common: dict[str, Any] = {
            "session_id": session_id,
            "config": self._ice,
            "monotonic_ns": self._monotonic_ns,
            "on_connected": lambda: self._connected(session_id),
            "on_gone": lambda: self._gone(session_id),
        }
        if isinstance(member, Listener):
            return ListenSession(listener=member, **common)
        return PublishSession(sink=member, **common)

    def _connected(self, session_id: str) -> None:
        seat = self._seats.get(session_id)
        if seat is None:
            return  # let go while it connected
        seat.member.connected = True
        if seat.session is not None:
            seat.session.wait_in(seat.room.ports)
        whose = {
            "space_id": seat.room.space_id,
            "participant_id": seat.participant_id,
            "session_id": session_id,
        }
        if isinstance(seat.member, Listener):
            self._events.put(ListenerConnected(**whose))
            return
        self._events.put(PublisherConnected(**whose))
        self._replace(seat.room, seat.participant_id, connected=True, but=session_id)
        self._end_listening_elsewhere(seat)

    def _replace(self, room: Room, participant_id: str, *, connected: bool, but: str = "") -> None:
        for session_id, seat in self._seats_of(room, participant_id):
            publishes = isinstance(seat.member, Publisher) and session_id != but
            if publishes and seat.member.connected == connected:
                seat.replaced = True
                self._end(session_id)

    def _end_listening_elsewhere(self, publishing: _Seat) -> None:
        """The device that publishes is the one that a participant is in the room with."""
        for session_id, seat in self._seats_of(publishing.room, publishing.participant_id):
            if isinstance(seat.member, Listener) and seat.device != publishing.device:
                self._end(session_id)

    def _seats_of(self, room: Room, participant_id: str) -> list[tuple[str, _Seat]]:
        return [
            (session_id, seat)
            for session_id, seat in self._seats.items()
            if seat.room is room and seat.participant_id == participant_id
        ]

    def _end(self, session_id: str) -> bool:
        """Let a session go; closing its sockets is not waited for."""
        seat = self._seats.get(session_id)
        if seat is None or seat.session is None:
            return False
        self._gone(session_id)
        return True

    def _gone(self, session_id: str) -> None:
        seat = self._seats.pop(session_id, None)
        if seat is None:
            return
        seat.room.ports.drain()  # what it sent before is still taken
        if seat.session is not None:
            self._own(seat.session.close(), name=f"close {session_id}")
        if isinstance(seat.member, Listener):
            if seat.member.connected:
                self._events.put(
                    ListenerLost(
                        space_id=seat.room.space_id,
                        participant_id=seat.participant_id,
                        session_id=session_id,
                    )
                )
            seat.member.connected = False
            seat.room.remove_listener(seat.member)
            return
        seat.member.leave()
        self._packets_gone = _sum(self._packets_gone, seat.member.packets)
        self._events.put(
            PublisherLost(
                space_id=seat.room.space_id,
                participant_id=seat.participant_id,
                session_id=session_id,
                replaced=seat.replaced,
            )
        )

    async def unpublish(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        return self._holds(Publisher, space_id, participant_id, session_id) and self._end(session_id)

    async def unlisten(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        return self._holds(Listener, space_id, participant_id, session_id) and self._end(session_id)

    async def has_session(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        return self._holds(Publisher | Listener, space_id, participant_id, session_id)

    def _holds(self, kind: type | UnionType, space_id: str, participant_id: str, session_id: str) -> bool:
        seat = self._seats.get(session_id)
        if seat is None or not isinstance(seat.member, kind):
            return False
        return (seat.room.space_id, seat.participant_id) == (space_id, participant_id)

    async def remove_participant(self, space_id: str, participant_id: str, /) -> None:
        for session_id, _ in self._seats_of(self._room(space_id), participant_id):
            self._end(session_id)

    async def set_muted(self, space_id: str, participant_id: str, muted: bool, /) -> None:
        self._room(space_id).set_muted(participant_id, muted=muted)

    # --- listening ---

    async def live_window(self, space_id: str, /) -> LiveWindow:
        return self._room(space_id).window.window

    async def live_init(self, space_id: str, generation: int, /) -> bytes | None:
        return self._room(space_id).window.init(generation)

    async def live_fragment(self, space_id: str, sequence: int, /) -> bytes | None:
        return self._room(space_id).window.fragment(sequence)

    async def live_part(self, space_id: str, sequence: int, number: int, /) -> bytes | None:
        return self._room(space_id).window.part(sequence, number)

    # --- the end ---

    async def suspend(self) -> tuple[RecordingFacts, ...]:
        self._suspended = True
        async with self._opening:
            rooms = [self._take_out(space_id) for space_id in list(self._rooms)]
            facts = await asyncio.gather(*(room.suspend() for room in rooms if room is not None))
        return tuple(fact for fact in facts if fact is not None)

    async def stats(self) -> EngineStats:
        packets = self._packets_gone
        for seat in self._seats.values():
            if isinstance(seat.member, Publisher):
                packets = _sum(packets, seat.member.packets)
        return EngineStats(
            rooms=len(self._rooms),
            sessions=len(self._seats),
            late=tuple(self.ticker.late),
            late_worst_ms=self.ticker.worst_lateness_ns / 1_000_000,
            received_packets=packets[0],
            dropped_packets=packets[1],
            dropped_events=self._events.dropped,
        )

    def events(self) -> AsyncIterator[EngineEvent]:
        return self._events.read()

    async def aclose(self) -> None:
        """Suspend, and end every task of this engine."""
        await self.suspend()
        for task in self._tasks:
            if task.get_name() == "ticker":
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)

    def _check(self, tick_ns: int, *, ticks: int = 1) -> None:  # noqa: ARG002 - a listener of ticks
        if tick_ns < self._next_check_ns:
            return
        self._next_check_ns = tick_ns + CHECK_INTERVAL_NS
        for seat in list(self._seats.values()):
            if seat.session is not None:
                seat.session.check(tick_ns)

    def _own(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)
