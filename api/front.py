"""One of several API processes: all of the API, without the rooms, which the process that started it keeps.

It ends with that process. What it hears of people it tells over its link, and it asks the audio plane through it.
"""

import argparse
import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import structlog
from starlette.applications import Starlette
from tortoise.exceptions import OperationalError

from api.app import application, routes_of
from api.complaints import AWAY
from api.link import Link, LinkLost
from api.logs import configure_logs
from api.overview import AskedOverview
from api.running import build_house, cancel
from api.serve import QuietServer, server_of
from api.settings import Settings
from media.control import RemoteEngine
from media.process import STREAM_LIMIT_BYTES, die_with_parent
from models import database
from services import deadlines, wakes
from services.bus import DEADLINES
from services.clock import SystemClock
from services.errors import Unavailable
from services.fronts import TellingPresence
from services.house import House
from services.limits import OpenStreams, RateLimiter

log = structlog.get_logger(__name__)

# Names the process that answers.
HEADER = "Spaces-Process"
_COUNTS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The parts of one API process that its link works on."""

    settings: Settings
    house: House
    streams: OpenStreams
    link: Link
    overview: AskedOverview

    def hear(self, message: Sequence[Any]) -> None:
        """What other API processes have counted."""
        match message:
            case ["used", key, per_seconds, is_exact, uses]:
                self.house.limiter.take(key, per_seconds, is_exact=is_exact, uses=uses)
            case ["streams", person, by]:
                self.streams.take(person, by)

    async def answer(self, message: Sequence[Any]) -> Any:
        """Whether it is alive; nothing else is asked of it."""
        if message[:1] == ["alive"]:
            return True
        raise ValueError(f"expected another question, got {message[:1]}")

    async def keep_looking(self) -> None:
        """Know what is due of Spaces, and which policies there are, also when others have changed them."""
        with self.house.bus.listen(DEADLINES) as ear:
            while True:
                try:
                    await deadlines.look_ahead(self.house)
                    await self.house.policies.refresh()
                except OperationalError as error:
                    log.error("deadlines wait for the database", reason=str(error))
                await ear.wait(self.settings.worker_interval_s)

    async def keep_telling(self) -> None:
        """What was counted here, for the metrics."""
        while True:
            await asyncio.sleep(_COUNTS_EVERY_S)
            self.overview.tell_counts()


def build_front(settings: Settings, engine: RemoteEngine, link: Link) -> Front:
    """An API process whose rooms are kept elsewhere."""
    clock = SystemClock()
    house = build_house(settings, clock=clock, engine=engine)

    async def ask(message: Sequence[Any]) -> Any:
        try:
            return await link.ask(message)
        except LinkLost as error:
            raise Unavailable(retry_after_ms=1_000) from error

    def used(key: str, per_seconds: float, is_exact: bool, uses: int) -> None:
        link.tell(["used", key, per_seconds, is_exact, uses])

    house = replace(
        house,
        presence=TellingPresence(clock, like=house.presence, tell=link.tell, ask=ask),
        limiter=RateLimiter(monotonic=clock.monotonic, told=used),
    )
    streams = OpenStreams(lambda person, by: link.tell(["streams", person, by]))
    return Front(
        settings=settings, house=house, streams=streams, link=link, overview=AskedOverview(house, link)
    )


@asynccontextmanager
async def _running(front: Front) -> AsyncIterator[None]:
    """Once the keeper of the rooms is there, until this process ends."""
    settings, house = front.settings, front.house
    async with AsyncExitStack() as stack:
        if settings.traces:
            from api.tracing import traced

            await stack.enter_async_context(traced())
        stack.push_async_callback(database.close)
        for part in (house.payments, house.providers):
            if part is not None:
                stack.push_async_callback(part.aclose)
        await front.link.ask(["welcome"])
        await database.connect(settings.database)
        await house.policies.adopt(house.clock.now())
        tasks = [
            asyncio.create_task(wakes.hear(house.bus, settings.database), name="wake-ups"),
            asyncio.create_task(front.keep_looking(), name="deadlines"),
            asyncio.create_task(front.keep_telling(), name="counts"),
        ]
        stack.push_async_callback(cancel, tasks)
        front.link.tell(["serving"])
        yield


async def _serve(settings: Settings, *, name: str, listening: socket.socket, ends: tuple[int, int]) -> None:
    calls, told = (socket.socket(fileno=number) for number in ends)
    reader, writer = await asyncio.open_connection(sock=calls, limit=STREAM_LIMIT_BYTES)
    engine, link = RemoteEngine(reader, writer), await Link.over(told)
    front = build_front(settings, engine, link)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with _running(front):
            yield

    routes = routes_of(settings, front.house, front.overview, front.streams)
    server = server_of(
        settings, application(settings, front.house, routes, lifespan), headers=[(HEADER, name)]
    )
    linked = asyncio.create_task(_end_with_link(front, server), name="link")
    try:
        await server.serve(sockets=[listening])
    finally:
        linked.cancel()
        await asyncio.wait([linked])
        await engine.aclose()
        link.close()


async def _end_with_link(front: Front, server: QuietServer) -> None:
    """Without the keeper of the rooms nobody counts what is heard here."""
    await front.link.run(front.hear, front.answer)
    server.should_exit = True


def main() -> None:
    """Serve on inherited sockets."""
    parser = argparse.ArgumentParser(prog="api.front")
    for option in ("listening", "calls", "told"):
        parser.add_argument(f"--{option}", type=int, required=True)
    parser.add_argument("--name", required=True)
    options = parser.parse_args()
    die_with_parent()
    import uvloop

    settings = Settings()
    configure_logs(settings, options.name, AWAY)
    listening = socket.socket(fileno=options.listening)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(
            _serve(settings, name=options.name, listening=listening, ends=(options.calls, options.told))
        )


if __name__ == "__main__":
    main()
