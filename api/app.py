"""The application: the house built from settings, and its routes."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Lifespan, Message, Receive, Scope, Send

from api import operations, pages
from api.accounts import AccountRoutes
from api.answers import HANDLERS
from api.client import ClientRoutes, Nowhere
from api.complaints import complaint
from api.counted import CountedRequests
from api.door import HouseDoor
from api.engine import WatchedEngine
from api.feeds import FeedRoutes
from api.graphql.routes import graphql_routes
from api.heads import Heads
from api.indexes import Indexes
from api.live import LiveRoutes
from api.media import MediaRoutes
from api.member import EngineRun
from api.notices import NoticeRoutes
from api.overview import Overview, OwnOverview
from api.payments import PaymentRoutes
from api.pieces import PieceRoutes
from api.running import MediaStarter, build_house, running
from api.settings import Settings
from api.whip import WhipRoutes
from schema.build import build_schema
from services.clock import Clock, SystemClock
from services.house import House
from services.idempotency import KeptAnswers
from services.limits import OpenStreams

_HERE = Path(__file__).parent
_CORS = Middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_methods=["*"],
    allow_headers=["*"],
    expose_headers=[
        "Location",
        "ETag",
        "Link",
        "Accept-Patch",
        "Accept-Post",
        "Retry-After",
        "Idempotency-Replayed",
        "Content-Range",
    ],
    max_age=timedelta(hours=2) // timedelta(seconds=1),
)


class App(Starlette):
    """Starlette, but that sockets go straight to their endpoint: its layers would keep 4 kB of each idle one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket":
            for route in self.routes:
                if isinstance(route, WebSocketRoute) and route.path == scope["path"]:
                    await route.app(scope, receive, send)
                    return
        await super().__call__(scope, receive, _plainly(send) if scope["type"] == "lifespan" else send)


def _plainly(send: Send) -> Send:
    """A start that fails for what an operator can mend is logged as a line, and not as a trace."""

    async def tell(message: Message) -> None:
        if message["type"] == "lifespan.startup.failed" and (said := complaint(sys.exception())):
            message = {**message, "message": said}
        await send(message)

    return tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The application and the parts that its start and stop work on."""

    app: Starlette
    house: House
    engine: WatchedEngine


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    start_engine: Callable[[], Awaitable[EngineRun]] | None = None,
) -> Built:
    """The application. `clock` and `start_engine` are for tests; the rest is as in production."""
    engine = WatchedEngine(start_engine or MediaStarter(settings), rooms=settings.rooms_per_process)
    house = build_house(settings, clock=clock or SystemClock(), engine=engine)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with running(settings, house, engine):
            yield

    routes = routes_of(settings, house, OwnOverview(house, engine))
    return Built(app=application(settings, house, routes, lifespan), house=house, engine=engine)


def routes_of(
    settings: Settings, house: House, overview: Overview, streams: OpenStreams | None = None
) -> list[BaseRoute]:
    """Every route. `streams` counts open sockets together with other processes."""
    indexes = Indexes()
    recorded = MediaRoutes(house, indexes, handed_below=settings.x_accel_path)
    own_pages = pages.Pages(house)
    client = ClientRoutes(own_pages, Heads(house), settings.public)
    return [
        *graphql_routes(
            build_schema(),
            HouseDoor(house),
            settings.limits(),
            graphiql=own_pages.graphiql,
            rates=house.limiter,
            streams=streams,
            answers=KeptAnswers(house),
            compiled=settings.compiled_operations,
            trusted=settings.manifest(),
        ),
        *WhipRoutes(house, ice_links=settings.ice_links).routes(),
        *recorded.routes(),
        *LiveRoutes(house, indexes, recorded).routes(),
        *PieceRoutes(house, indexes).routes(),
        *FeedRoutes(house, indexes).routes(),
        *NoticeRoutes(house).routes(),
        *PaymentRoutes(house).routes(),
        *AccountRoutes(house).routes(),
        *own_pages.routes(),
        *client.routes(),
        *operations.Operations(house, overview).routes(),
        Mount("/assets", StaticFiles(directory=_HERE / "assets")),
        Nowhere(client.nowhere),
    ]


def application(
    settings: Settings, house: House, routes: list[BaseRoute], lifespan: Lifespan[Any]
) -> Starlette:
    """The application of these routes."""
    counted = Middleware(CountedRequests, answered=house.answered, monotonic=house.clock.monotonic)
    layers = [counted, *_traced_requests(settings), _CORS]
    app = App(routes=routes, lifespan=lifespan, exception_handlers=HANDLERS, middleware=layers)
    # A redirect would name the Host that the client sent, with the token of the path in it.
    app.router.redirect_slashes = False
    return app


def _traced_requests(settings: Settings) -> list[Middleware]:
    if not settings.traces:
        return []
    from api.tracing import TracedRequests

    return [Middleware(TracedRequests)]
