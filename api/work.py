"""Commands that work on the database without serving."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from api.alive import signs_of_life
from api.engine import EngineRun, WatchedEngine
from api.running import build_house
from api.settings import Settings
from media.engine import EngineUnavailable
from models import database
from services import accounts, audit, forecast, installation, restore, restored
from services.audit import Verdict
from services.clock import SystemClock
from services.forecast import ForecastDay
from services.house import House
from services.reconcile import Finding
from workers.timetable import Timetable


async def no_engine() -> EngineRun:
    """Where an audio plane would be. Raises EngineUnavailable."""
    raise EngineUnavailable("this command has no audio plane")


@asynccontextmanager
async def at_work(settings: Settings) -> AsyncIterator[House]:
    """The house for a worker. Raises RestoreUnfinished."""
    restored.refuse(settings.data_dir.absolute())
    async with opened(settings) as house:
        await restore.refuse_older(house, settings.data_dir.absolute())
        yield house


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[House]:
    """The house with its database, without audio. Raises Mismatch."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    house = build_house(settings, clock=SystemClock(), engine=WatchedEngine(no_engine))
    await database.migrate(settings.database)
    await database.connect(settings.database)
    try:
        await installation.belong(house, settings.data_dir.absolute())
        await house.policies.read()
        yield house
    finally:
        await database.close()


async def promote(settings: Settings, handle: str) -> None:
    """Make an account a moderator. Raises NotFound."""
    async with opened(settings) as house:
        await accounts.promote(house, handle)


async def run_round(settings: Settings) -> None:
    """One round of retention. Raises RestoreUnfinished."""
    async with at_work(settings) as house:
        await Timetable(house, interval_s=settings.worker_interval_s, owns_rooms=False).round()


async def run_worker(settings: Settings) -> None:
    """Rounds of retention until stopped. Raises RestoreUnfinished."""
    async with AsyncExitStack() as stack:
        if settings.traces:
            from api.tracing import traced

            await stack.enter_async_context(traced())
        house = await stack.enter_async_context(at_work(settings))
        await stack.enter_async_context(signs_of_life())
        await Timetable(house, interval_s=settings.worker_interval_s, owns_rooms=False).run()


async def forecast_days(
    settings: Settings, days: int, public_days: int | None, review_days: int | None
) -> list[ForecastDay]:
    """What the coming days will expire and purge; with other lengths, what they would."""
    async with opened(settings) as house:
        if public_days is None and review_days is None:
            return await forecast.forecast(house, days=days)
        changed = forecast.what_if(house.policies.current, public_days=public_days, review_days=review_days)
        return await forecast.forecast(house, days=days, changed=changed)


async def verify_audit(settings: Settings) -> Verdict:
    """Whether the audit log's chain is whole."""
    async with opened(settings) as house:
        return await audit.verify(house.audit_head)


async def after_restore(settings: Settings) -> list[Finding]:
    """Purge again what a restored backup brought back, and compare rows and store."""
    async with opened(settings) as house:
        return await restore.after_restore(house)
