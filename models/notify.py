"""Wake-ups between processes by PostgreSQL: sent with the commit, heard by whoever listens.

Nothing is kept for those who are away: what is told here only says that a look at the rows is worth it.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import asyncpg
import structlog
from tortoise.connection import get_connection
from tortoise.exceptions import OperationalError

from models.dialect import is_postgres
from models.postgres import SCHEMES, connect_alone

log = structlog.get_logger(__name__)

_CHANNEL = "spaces_wakes"
# Of 8,000 that PostgreSQL takes.
MOST_BYTES = 7_000
_RETRY_S = 0.5
# A connection that broke without a word is found out so soon.
_PROBE_EVERY_S, _PROBE_S = 10.0, 5.0


async def notify(texts: Iterable[str]) -> None:
    """Tell every listening process once the transaction is committed. On SQLite there are none."""
    if is_postgres():
        for text in texts:
            await get_connection("default").execute_query("SELECT pg_notify($1, $2)", [_CHANNEL, text])


def is_heard(url: str) -> bool:
    """Whether processes on this database hear each other."""
    return url.startswith(SCHEMES)


async def listen(url: str, hear: Callable[[str], None], missed: Callable[[], None]) -> None:
    """Hand every text on, until cancelled. `missed` is called when some may have been lost: at each connection."""
    while True:
        try:
            connection = await connect_alone(url)
            try:
                await _follow(connection, hear, missed)
            finally:
                connection.terminate()
        except (OperationalError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            log.warning(
                "wake-ups of other processes are not heard", reason=str(error) or type(error).__name__
            )
        await asyncio.sleep(_RETRY_S)


async def _follow(connection: Any, hear: Callable[[str], None], missed: Callable[[], None]) -> None:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _connection: lost.set())
    await connection.add_listener(_CHANNEL, lambda _connection, _pid, _channel, text: hear(text))
    missed()
    while not lost.is_set():
        try:
            async with asyncio.timeout(_PROBE_EVERY_S):
                await lost.wait()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=_PROBE_S)
