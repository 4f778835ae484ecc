"""SQLite as several processes share it: a transaction takes the write lock when it begins.

The stock client begins with a read lock. A transaction that reads first and writes then fails at once
("database is locked") when another process has written in between, and no timeout helps.
"""

import sqlite3
from typing import Any

from tortoise.backends.base.client import TransactionContext
from tortoise.backends.sqlite.client import SqliteClient as StockClient
from tortoise.backends.sqlite.client import SqliteTransactionContext, SqliteTransactionWrapper
from tortoise.exceptions import OperationalError


class _Transaction(SqliteTransactionWrapper):
    """A transaction that waits for its turn at the start."""

    async def begin(self) -> None:
        """Take the write lock. Raises OperationalError when `busy_timeout` has passed."""
        try:
            await self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise OperationalError(error) from error


class SqliteClient(StockClient):
    """The stock client but for how transactions begin."""

    def _in_transaction(self) -> TransactionContext:
        return SqliteTransactionContext(_Transaction(self), self._lock)


def get_client_class(_db_info: dict[str, Any]) -> type[SqliteClient]:
    """What Tortoise asks an engine for."""
    return SqliteClient
