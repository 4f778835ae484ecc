"""Several API processes on one port: this process keeps the rooms, the clockwork and the port, and answers nobody.

Each front listens on a socket of its own, and the kernel spreads connections evenly over them: with one socket for
all, the first to be woken took nearly every one. A front that dies is started again, with growing pauses; whatever
came in by it is taken back at that moment, and new connections go to the others. One that hangs is killed: the kernel
would go on giving it its part of the connections.
"""

import asyncio
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, replace
from typing import Any

import structlog

from api.complaints import AWAY
from api.engine import WatchedEngine
from api.link import Link
from api.logs import configure_logs
from api.overview import COUNTED, OwnOverview, Seen, counts_of, stats_on_wire
from api.pulse import Pulse
from api.running import MediaStarter, build_house, running
from api.settings import Settings
from media.control import serve_engine
from media.engine import EngineEvent
from media.launch import Launched
from media.process import STREAM_LIMIT_BYTES
from media.wire import FrameError
from services.clock import SystemClock
from services.fronts import Guests, Message
from services.house import House

log = structlog.get_logger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
# One that has lived so long did not die of how it was started.
_SETTLED_AFTER_S = 10.0
# A start takes some seconds; one that takes so long hangs.
_START_S = 30.0
# After SIGTERM: a second for requests under way, and some for the end of the process.
_END_TIMEOUT_S = 2.0


class _Calls:
    """The audio plane as a front may use it: calls, but no events, which this process alone takes in."""

    def __init__(self, engine: WatchedEngine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def events(self) -> AsyncIterator[EngineEvent]:
        """None."""
        nothing: tuple[EngineEvent, ...] = ()
        for event in nothing:
            yield event


class _Front:
    """One life of an API process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, link: Link, guests: Guests) -> None:
        self.name = name
        self.process = process
        self.link = link
        self.guests = guests
        self.streams: Counter[str] = Counter()
        self.counts: dict[str, dict[str, int]] = {}
        self.serving = asyncio.Event()


class Keeper:
    """The fronts of one server. What one has counted it tells the others."""

    def __init__(
        self, house: House, engine: WatchedEngine, bind: Callable[[], socket.socket], *, processes: int
    ) -> None:
        self._house = house
        self._engine = engine
        self._bind = bind
        self._processes = processes
        self._overview = OwnOverview(house, engine)
        self._fronts: dict[str, _Front] = {}
        # Of those that have ended.
        self._counted: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
        self._restarts = 0
        self._welcome = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closing = False

    def start(self) -> None:
        """Start every front: they come up while the house does, and wait for `welcome`."""
        names = [f"api-{number}" for number in range(1, self._processes + 1)]
        self._tasks = [asyncio.create_task(self._keep(name), name=name) for name in names]

    def welcome(self) -> None:
        """The rooms are open: let the fronts serve."""
        self._welcome.set()

    async def close(self) -> None:
        """End every front: requests that are under way are answered, within a second."""
        self._is_closing = True
        for front in list(self._fronts.values()):
            with suppress(ProcessLookupError):
                front.process.terminate()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_END_TIMEOUT_S)
        for front in list(self._fronts.values()):
            with suppress(ProcessLookupError):
                front.process.kill()
        for task in self._tasks:
            if not task.done():
                await asyncio.wait([task], timeout=1)
                task.cancel()

    # --- one front ---

    async def _keep(self, name: str) -> None:
        pause_s = _FIRST_PAUSE_S
        monotonic = self._house.clock.monotonic
        while True:
            began_s = monotonic()
            try:
                code = await self._live(name)
            except Exception:
                log.exception("an API process could not be kept", process=name)
                code = -1
            if self._is_closing:
                return
            pause_s = _FIRST_PAUSE_S if monotonic() - began_s > _SETTLED_AFTER_S else pause_s
            log.error("an API process has ended and is started again", process=name, code=code)
            self._restarts += 1
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _live(self, name: str) -> int:
        """Start a front and serve it until it is gone; its exit code."""
        (calls, their_calls), (told, their_told) = socket.socketpair(), socket.socketpair()
        listening = self._bind()
        inherited = {"listening": listening, "calls": their_calls, "told": their_told}
        arguments = [part for name_, one in inherited.items() for part in (f"--{name_}", str(one.fileno()))]
        with listening, their_calls, their_told:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "api.front", "--name", name, *arguments),
                pass_fds=[one.fileno() for one in inherited.values()],
                stdin=asyncio.subprocess.DEVNULL,
            )
        front = _Front(name, process, await Link.over(told), Guests(self._house.presence))
        self._fronts[name] = front
        if self._is_closing:
            process.kill()
        work = [
            asyncio.create_task(self._answer_calls(calls), name=f"calls of {name}"),
            asyncio.create_task(self._listen_to(front), name=f"link of {name}"),
            asyncio.create_task(_end_when_hung(front, self._welcome), name=f"pulse of {name}"),
        ]
        try:
            return await process.wait()
        finally:
            self._bury(front)
            for task in work:
                task.cancel()
            await asyncio.wait(work)

    async def _answer_calls(self, end: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=end, limit=STREAM_LIMIT_BYTES)
        try:
            await serve_engine(reader, writer, _Calls(self._engine))
        except* (FrameError, OSError) as errors:
            log.warning("calls of an API process ended", reason=str(errors.exceptions[0]))
        finally:
            writer.close()

    async def _listen_to(self, front: _Front) -> None:
        for name, other in self._fronts.items():
            if name != front.name:
                for person, number in other.streams.items():
                    front.link.tell(["streams", person, number])
        try:
            await front.link.run(lambda message: self._hear(front, message), lambda m: self._answer(front, m))
        except (FrameError, OSError, ValueError, TypeError):
            log.exception("an API process cannot be understood", process=front.name)
            front.process.kill()

    def _bury(self, front: _Front) -> None:
        """Whoever was present through it, or had a connection to it, has none now."""
        del self._fronts[front.name]
        front.link.close()
        front.guests.gone()
        for person, number in front.streams.items():
            self._tell_others(front, ["streams", person, -number])
        for name, counts in front.counts.items():
            self._counted[name].update(counts)

    # --- what fronts tell and ask ---

    def _hear(self, front: _Front, message: Message) -> None:
        match message:
            case ["used", *_]:
                self._tell_others(front, message)
            case ["streams", person, by]:
                front.streams[person] += by
                if not front.streams[person]:
                    del front.streams[person]
                self._tell_others(front, message)
            case ["counts", counts]:
                front.counts = counts
            case ["serving"]:
                front.serving.set()
            case _:
                if not front.guests.hear(message):
                    log.error("an API process told what nobody knows", process=front.name)

    def _tell_others(self, front: _Front, message: Message) -> None:
        for other in self._fronts.values():
            if other is not front:
                other.link.tell(message)

    async def _answer(self, front: _Front, message: Message) -> Any:
        match message:
            case ["welcome"]:
                await self._welcome.wait()
                return True
            case ["seen"]:
                return asdict(await self._seen())
            case ["media"]:
                return stats_on_wire(await self._overview.media())
            case ["counts"]:
                return self._counts()
        return await front.guests.answer(message)

    async def _seen(self) -> Seen:
        own = await self._overview.seen()
        serving = {name: front.process.pid for name, front in self._fronts.items() if front.serving.is_set()}
        pids = {**own.pids, **serving}
        return replace(own, answering=len(serving), pids=pids, restarts=self._restarts)

    def _counts(self) -> dict[str, Counter[str]]:
        own = counts_of(self._house)
        total = {name: self._counted[name] + own[name] for name in COUNTED}
        for front in self._fronts.values():
            for name, counts in front.counts.items():
                total[name].update(counts)
        return total


async def _end_when_hung(front: _Front, welcome: asyncio.Event) -> None:
    await welcome.wait()
    with suppress(TimeoutError):
        async with asyncio.timeout(_START_S):
            await front.serving.wait()
    # One that never came up does not answer either.
    if front.serving.is_set():
        await Pulse(lambda: front.link.ask(["alive"]), front.process.pid).until_hung()
    log.error("an API process does not answer", process=front.name)
    front.process.kill()


def _bound(settings: Settings) -> socket.socket:
    """A socket on the port, beside others of ours; nothing comes in before it listens. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind((settings.host, settings.port))
    except BaseException:
        found.close()
        raise
    return found


def _port_is_free(settings: Settings) -> socket.socket:
    """The port, kept for this server. Raises OSError when another one, of ours too, listens on it."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Without sharing the port: so it tells whether anybody listens.
    socket.create_server((settings.host, settings.port), family=family).close()
    return _bound(settings)


async def _serve(settings: Settings, launched: Launched, processes: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    engine = WatchedEngine(MediaStarter(settings, launched), rooms=settings.rooms_per_process)
    house = build_house(settings, clock=SystemClock(), engine=engine)
    keeper = Keeper(house, engine, lambda: _bound(settings), processes=processes)
    async with AsyncExitStack() as stack:
        keeper.start()
        stack.push_async_callback(keeper.close)
        await stack.enter_async_context(_opened(settings, house, engine, keeper))
        await stop.wait()


@asynccontextmanager
async def _opened(
    settings: Settings, house: House, engine: WatchedEngine, keeper: Keeper
) -> AsyncIterator[None]:
    """The house, until the fronts are gone: they need the rooms to the end."""
    async with running(settings, house, engine):
        keeper.welcome()
        try:
            yield
        finally:
            await keeper.close()


def serve_many(settings: Settings, launched: Launched, processes: int) -> None:
    """Serve by several API processes until SIGTERM or SIGINT."""
    import uvloop

    configure_logs(settings, "server", AWAY)
    try:
        port = _port_is_free(settings)
    except OSError as error:
        log.critical("the port cannot be opened", reason=str(error))
        sys.exit(1)
    with port, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, launched, processes))
