"""What must be said to PostgreSQL and goes without saying on SQLite, where transactions come one after another.

On PostgreSQL they run side by side and each statement sees what was committed before it. What a change decides
on it must therefore have locked: the row (`select_for_update`), or one of the locks below where there is no row.
Whoever locks several takes account, Space, recording, participant, card, in this order, and a lock of this file last.
"""

from enum import IntEnum, unique
from functools import lru_cache

from tortoise.connection import get_connection
from tortoise.context import TortoiseContext, require_context
from tortoise.exceptions import OperationalError

# Advisory locks are numbers that all programs in one database share: these are ours.
_SPACES = 0x5BACE5


# Held by whoever migrates, over several transactions.
MIGRATION = (_SPACES, 0)


@unique
class Lock(IntEnum):
    """What only one transaction at a time may do, until it is committed."""

    CARD_EVENTS = 1
    AUDIT_CHAIN = 2
    ROLLOUT = 3


class Clash(OperationalError):
    """Two transactions got in each other's way, and this one was undone: run it again."""


class DatabaseAway(OperationalError):
    """The database does not answer, or not in time."""


def is_postgres() -> bool:
    """Whether the rows are in PostgreSQL."""
    return _is_postgres(require_context())


# Asked several times a statement.
@lru_cache(maxsize=2)
def _is_postgres(context: TortoiseContext) -> bool:
    return context.connections.get("default").capabilities.dialect == "postgres"


async def alone(lock: Lock) -> None:
    """Wait until no other transaction holds this lock, and hold it until the commit. Raises Clash."""
    if is_postgres():
        await get_connection("default").execute_query(
            "SELECT pg_advisory_xact_lock($1, $2)", [_SPACES, lock.value]
        )
