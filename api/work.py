"""Commands that work on the database without serving."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.app import build_house
from api.engine import EngineRun, WatchedEngine
from api.settings import Settings
from media.engine import EngineUnavailable
from models import database
from services import accounts
from services.clock import SystemClock
from services.house import House
from workers.timetable import Timetable


async def _no_engine() -> EngineRun:
    raise EngineUnavailable("this command has no audio plane")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[House]:
    """The house with its database, without audio."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    house = build_house(settings, clock=SystemClock(), engine=WatchedEngine(_no_engine))
    await database.migrate(settings.database)
    await database.connect(settings.database)
    try:
        yield house
    finally:
        await database.close()


async def promote(settings: Settings, handle: str) -> None:
    """Make an account a moderator. Raises NotFound."""
    async with opened(settings) as house:
        await accounts.promote(house, handle)


async def run_round(settings: Settings) -> None:
    """One round of retention."""
    async with opened(settings) as house:
        await Timetable(house, interval_s=settings.worker_interval_s, owns_rooms=False).round()


async def run_worker(settings: Settings) -> None:
    """Rounds of retention until stopped."""
    async with opened(settings) as house:
        await Timetable(house, interval_s=settings.worker_interval_s, owns_rooms=False).run()
