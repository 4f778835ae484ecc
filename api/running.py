"""The house as it runs: built from settings, with its audio plane and clockwork, for whichever process keeps it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import structlog
from tortoise.exceptions import OperationalError

from api import keys
from api.alive import signs_of_life
from api.bucket import remembered_bucket
from api.carriers import carriers_for
from api.control import ControlSocket
from api.engine import WatchedEngine
from api.launch import launch_media
from api.member import EngineRun
from api.openid import providers_for
from api.settings import Settings
from media.launch import Launched
from media.shelf import Shelf
from models import database, notify
from services import attendance, installation, restore, rooms, wakes
from services.audit import AuditHead
from services.bus import Bus
from services.clock import Clock
from services.deadline import Deadlines
from services.house import House
from services.ingest import Ingest
from services.limits import RateLimiter
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

_PROGRESS_S = 1.0
_ATTENDANCE_S = 0.2
_CANCEL_AGAIN_S = 0.2


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
        await installation.belong(house, settings.data_dir.absolute())
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
        await stack.enter_async_context(signs_of_life())
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
