"""The application: the house built from settings, and its routes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Lifespan, Receive, Scope, Send
from tortoise.exceptions import OperationalError

from api import keys, operations, pages
from api.accounts import AccountRoutes
from api.answers import HANDLERS
from api.bucket import remembered_bucket
from api.carriers import carriers_for
from api.client import ClientRoutes, Nowhere
from api.control import ControlSocket
from api.door import HouseDoor
from api.engine import WatchedEngine
from api.feeds import FeedRoutes
from api.graphql.routes import graphql_routes
from api.indexes import Indexes
from api.launch import launch_media
from api.live import LiveRoutes
from api.media import MediaRoutes
from api.member import EngineRun
from api.notices import NoticeRoutes
from api.openid import providers_for
from api.overview import Overview, OwnOverview
from api.payments import PaymentRoutes
from api.pieces import PieceRoutes
from api.settings import Settings
from api.whip import WhipRoutes
from media.launch import Launched
from media.shelf import Shelf
from models import database, notify
from schema.build import build_schema
from services import attendance, restore, rooms, wakes
from services.audit import AuditHead
from services.bus import Bus
from services.clock import Clock, SystemClock
from services.deadline import Deadlines
from services.house import House
from services.idempotency import KeptAnswers
from services.ingest import Ingest
from services.limits import OpenStreams, RateLimiter
from services.links import LinkSigner
from services.outbound import Outbound
from services.payments import PaymentProvider
from services.policies import PolicyBook
from services.presence import Presence
from services.receipts import ReceiptSigner
from services.removals import Removals
from services.seals import Sealer
from services.signing import Signer
from workers.courier import Courier
from workers.payments import pay_when_woken
from workers.porter import Porter
from workers.postman import Postman
from workers.timetable import Timetable

log = structlog.get_logger(__name__)

_HERE = Path(__file__).parent
_PROGRESS_S = 1.0
_ATTENDANCE_S = 0.2
_CANCEL_AGAIN_S = 0.2
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
        await super().__call__(scope, receive, send)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The application and the parts that its start and stop work on."""

    app: Starlette
    house: House
    engine: WatchedEngine


def build_house(settings: Settings, *, clock: Clock, engine: Any) -> House:
    """What the services need, from settings. Makes the data folder and its keys."""
    rules = settings.rules()
    recordings = settings.data_dir.absolute() / "recordings"
    key_dir = settings.data_dir.absolute() / "keys"
    recordings.mkdir(parents=True, exist_ok=True)
    key_dir.mkdir(mode=0o700, exist_ok=True)
    (settings.data_dir.absolute() / "logs").mkdir(exist_ok=True)
    # Made before the first backup: a receipt that outlives this machine can then be verified on the next.
    receipt_keys = keys.ReceiptKeys(key_dir)
    receipt_keys()
    signer = Signer(receipt_keys)
    return House(
        clock=clock,
        rules=rules,
        engine=engine,
        bus=Bus(),
        links=LinkSigner(keys.load_or_make(key_dir / "links.key"), settings.public),
        limiter=RateLimiter(monotonic=clock.monotonic),
        presence=Presence(clock, window=rules.present_for, key=keys.load_or_make(key_dir / "links.key")),
        deadlines=Deadlines(),
        policies=PolicyBook(rules.retention),
        receipts=ReceiptSigner(
            signer, issuer=settings.public, journal=settings.data_dir.absolute() / "receipts.jws"
        ),
        removals=Removals(settings.data_dir.absolute() / "removals.jsonl"),
        audit_head=AuditHead(signer, settings.data_dir.absolute() / "audit.jws"),
        signer=signer,
        seals=Sealer(keys.load_or_make(key_dir / "webhooks.key")),
        outbound=Outbound(allow_private=settings.webhook_private_addresses),
        shelf=Shelf(recordings, remembered_bucket(settings), links_for=settings.store_links_for),
        payments=_provider(settings),
        providers=providers_for(settings.openid_providers, clock=clock),
        carriers=carriers_for(settings, key_dir),
    )


def _provider(settings: Settings) -> PaymentProvider | None:
    key = settings.stripe_secret_key.get_secret_value()
    if not key:
        return None
    from api.stripe_checkout import StripeCheckout

    secret = settings.stripe_webhook_secret.get_secret_value()
    return StripeCheckout(api_key=key, webhook_secret=secret, api_base=settings.stripe_url)


class MediaStarter:
    """Starts media processes, children of this one; the first may have been launched already."""

    def __init__(self, settings: Settings, launched: Launched | None = None) -> None:
        self._settings = settings
        self._launched = launched

    async def __call__(self) -> EngineRun:
        """The next one. Raises EngineUnavailable or OSError."""
        from media.process import connect, end

        launched, self._launched = self._launched or launch_media(self._settings), None
        engine = await connect(launched)
        process = launched.process
        return EngineRun(engine, lambda: end(launched, engine), process.kill, process.pid)


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
    return Built(app=application(settings, routes, lifespan), house=house, engine=engine)


def routes_of(
    settings: Settings, house: House, overview: Overview, streams: OpenStreams | None = None
) -> list[BaseRoute]:
    """Every route. `streams` counts open sockets together with other processes."""
    indexes = Indexes()
    recorded = MediaRoutes(house, indexes, handed_below=settings.x_accel_path)
    own_pages = pages.Pages(house)
    client = ClientRoutes(own_pages, settings.public)
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


def application(settings: Settings, routes: list[BaseRoute], lifespan: Lifespan[Any]) -> Starlette:
    """The application of these routes."""
    layers = [*_traced_requests(settings), _CORS]
    app = App(routes=routes, lifespan=lifespan, exception_handlers=HANDLERS, middleware=layers)
    # A redirect would name the Host that the client sent, with the token of the path in it.
    app.router.redirect_slashes = False
    return app


def _traced_requests(settings: Settings) -> list[Middleware]:
    if not settings.traces:
        return []
    from api.tracing import TracedRequests

    return [Middleware(TracedRequests)]


@asynccontextmanager
async def running(settings: Settings, house: House, engine: WatchedEngine) -> AsyncIterator[None]:
    """Database, audio plane and clockwork, from start-up with its repairs to an orderly stop."""
    async with AsyncExitStack() as stack:
        if settings.traces:
            from api.tracing import traced

            await stack.enter_async_context(traced())
        stack.push_async_callback(database.close)
        stack.push_async_callback(engine.close)
        if house.payments is not None:
            stack.push_async_callback(house.payments.aclose)
        if house.providers is not None:
            stack.push_async_callback(house.providers.aclose)
        # First of all: who was attached before comes back while the rest starts, and gets its part of the rooms.
        control = ControlSocket(settings.data_dir.absolute(), engine)
        stack.push_async_callback(control.close)
        await control.start()
        await asyncio.gather(_open_database(settings), engine.start())
        await restore.refuse_older(house, settings.data_dir.absolute())
        await house.policies.adopt(house.clock.now())
        since = await rooms.last_seen(house)
        await attendance.begin(house, since)
        await rooms.reopen(house, since)
        stack.push_async_callback(rooms.suspend, house)
        ingest = Ingest(house)
        postman = Postman(house, interval_s=settings.worker_interval_s)
        courier = Courier(house, interval_s=settings.worker_interval_s)
        timetable = Timetable(house, interval_s=settings.worker_interval_s, owns_rooms=True)

        async def after_loss(space_ids: frozenset[str]) -> None:
            await rooms.reopen(house, house.clock.now(), only={UUID(space_id) for space_id in space_ids})

        tasks = [
            asyncio.create_task(engine.watch(ingest.hear, after_loss), name="engine"),
            asyncio.create_task(_keep_progress(house, ingest), name="progress"),
            asyncio.create_task(_keep_attendance(house), name="attendance"),
            asyncio.create_task(timetable.run(), name="timetable"),
            asyncio.create_task(pay_when_woken(house), name="payments"),
            asyncio.create_task(postman.run(), name="postman"),
            asyncio.create_task(courier.run(), name="courier"),
        ]
        if house.shelf.bucket is not None:
            stack.callback(house.shelf.bucket.close)
            porter = Porter(house, interval_s=settings.worker_interval_s)
            tasks.append(asyncio.create_task(porter.run(), name="porter"))
        if notify.is_heard(settings.database):
            tasks.append(asyncio.create_task(wakes.hear(house.bus, settings.database), name="wake-ups"))
        stack.push_async_callback(cancel, tasks)
        # Nobody comes any more once all the others end.
        stack.push_async_callback(control.close)
        control.opened()
        yield


async def _open_database(settings: Settings) -> None:
    await database.migrate(settings.database)
    await database.connect(settings.database)


async def _keep_progress(house: House, ingest: Ingest) -> None:
    """Write progress and a sign of life, again and again."""
    while True:
        await asyncio.sleep(_PROGRESS_S)
        try:
            await ingest.flush()
            await rooms.sign_of_life(house)
        except OperationalError as error:
            log.error("progress waits for the database", reason=str(error))
        except Exception:
            log.exception("progress could not be written")


async def _keep_attendance(house: House) -> None:
    """Write who has come and gone, soon after it was heard; what comes at once is written at once."""
    while True:
        await house.presence.ear.wait(None)
        try:
            await attendance.settle_changed(house)
        except Exception:
            log.exception("attendance could not be written")
        await asyncio.sleep(_ATTENDANCE_S)


async def cancel(tasks: list[asyncio.Task[None]]) -> None:
    """End tasks; one that ended badly by itself is told."""
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task ended badly", exc_info=error)
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        # One that takes the end of its statement for a database that is away goes on: it is told again.
        _, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_S)
