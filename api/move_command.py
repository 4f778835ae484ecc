"""`spaces move`: an embedded installation's rows to PostgreSQL and its recordings to the object store."""

import asyncio
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tortoise.exceptions import BaseORMException

from api.bucket import remembered_bucket
from api.settings import Settings
from api.work import opened
from media.plain import StoreAway
from models import moving
from models.location import sqlite_url
from models.postgres import SCHEMES
from services.moving import carry_recordings

FILE = "spaces.sqlite3"
MOVED = f"moved-{FILE}"


class NothingToMove(Exception):
    """The settings name neither a PostgreSQL database nor an object store to move to."""

    def __init__(self, why: str) -> None:
        super().__init__(why)


async def move(settings: Settings, console: Console) -> bool:
    """Move all that the settings have a new place for; whether nothing is left behind. Can be cut off and run again.

    Raises NothingToMove, moving.Differs, StoreAway, or what a database that is away raises.
    """
    folder = settings.data_dir.absolute()
    source = folder / FILE
    to_postgres = settings.database.startswith(SCHEMES)
    if not to_postgres and not settings.store_url:
        raise NothingToMove("Set SPACES_DATABASE_URL, SPACES_STORE_URL or both to where everything is to go.")
    is_moved = (folder / MOVED).exists()
    if to_postgres and source.exists() is is_moved:
        wanted = f"Remove {MOVED} of an earlier move first." if is_moved else "Look at SPACES_DATA_DIR."
        raise NothingToMove(f"Expected one embedded database in {folder}. {wanted}")
    if not to_postgres and settings.database != sqlite_url(source):
        raise NothingToMove("SPACES_DATABASE_URL names another file than the data folder's own.")
    # Before any row is moved: a name that was mistyped is found out now.
    if (bucket := remembered_bucket(settings)) is not None:
        bucket.close()
    with _progress(console) as progress:
        if to_postgres and not is_moved:
            await _move_rows(source, settings.database, progress)
            # From here on the rows of the target change, and must never be compared with these again.
            for one in sorted(folder.glob(f"{FILE}*")):
                one.rename(folder / f"moved-{one.name}")
        whole = not settings.store_url or await _carry(settings, progress, console)
    if to_postgres:
        console.print(f"The old database stays as {folder / MOVED} until you remove it.")
    return whole


async def _move_rows(source: Path, target_url: str, progress: Progress) -> None:
    tables = await moving.tables()
    async with moving.opened(source, target_url) as work:
        total = sum([await work.count(table) for table in tables])
        copying = progress.add_task("Rows copied", total=total)
        comparing = progress.add_task("Rows compared", total=total)
        for table in tables:
            await work.copy(table, told=lambda count: progress.advance(copying, count))
        for table in tables:
            await work.compare(table, told=lambda count: progress.advance(comparing, count))


async def _carry(settings: Settings, progress: Progress, console: Console) -> bool:
    task = progress.add_task("Recordings carried and compared", total=None)
    async with opened(settings) as house:
        carried = await carry_recordings(
            house,
            planned=lambda count: progress.update(task, total=count),
            told=lambda: progress.advance(task),
        )
        if house.shelf.bucket is not None:
            house.shelf.bucket.close()
    for one in carried.unfinished:
        console.print(
            f"{one} is not over, or is nobody's: it stays in the data folder, where the server goes on with it."
        )
    for one in carried.left:
        console.print(
            f"{one} could not be carried: its files are not whole, or others than those in the store."
        )
    return not carried.left


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def run(settings: Settings, console: Console, problems: Console) -> int:
    """Move, and say what went wrong. 1 when something is left to do, else 0."""
    try:
        return int(not asyncio.run(move(settings, console)))
    except (NothingToMove, moving.Differs) as error:
        problems.print(str(error))
    except StoreAway as error:
        problems.print(f"The store is away: {error}. What is there stays; move again to go on.")
    except (BaseORMException, OSError) as error:
        problems.print(f"The database does not answer: {error}. Move again to go on.")
    return 1
