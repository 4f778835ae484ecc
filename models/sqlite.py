"""SQLite as several processes share it: a transaction takes the write lock when it begins, and ends in any case.

The stock client begins with a read lock. A transaction that reads first and writes then fails at once
("database is locked") when another process has written in between, and no timeout helps.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from tortoise.backends.base.client import ConnectionWrapper, TransactionalDBClient, TransactionContext
from tortoise.backends.sqlite.client import SqliteClient as StockClient
from tortoise.backends.sqlite.client import SqliteTransactionContext, SqliteTransactionWrapper
from tortoise.connection import get_connections
from tortoise.exceptions import OperationalError

from models.quick_reads import QuickReads


class _Acquired(ConnectionWrapper[Any]):
    """The stock one, which keeps the lock for ever when the connection cannot be opened."""

    __slots__ = ()

    async def __aenter__(self) -> Any:
        await self._lock.acquire()
        try:
            await self.ensure_connection()
        except BaseException:
            self._lock.release()
            raise
        return self.connection


class _Transaction(SqliteTransactionWrapper):
    """A transaction that waits for its turn at the start."""

    async def begin(self) -> None:
        """Take the write lock. Raises OperationalError when `busy_timeout` has passed."""
        begun = asyncio.create_task(self._begin(), name="begin")
        try:
            await asyncio.shield(begun)
        except sqlite3.OperationalError as error:
            raise OperationalError(error) from error
        except asyncio.CancelledError:
            # The connection's thread begins it all the same, and nobody would ever end it.
            with suppress(sqlite3.OperationalError):
                await begun
                await self._connection.rollback()
            raise

    async def _begin(self) -> None:
        await self._connection.execute("BEGIN IMMEDIATE")

    async def commit(self) -> None:
        """Raises OperationalError, and then nothing has happened: on a full disk it would stay open for ever."""
        try:
            await super().commit()
        except sqlite3.OperationalError as error:
            with suppress(sqlite3.OperationalError):
                await self.rollback()
            raise OperationalError(error) from error


class _Context(SqliteTransactionContext):
    """The stock context, which keeps the connection for ever when a transaction cannot begin."""

    async def __aenter__(self) -> TransactionalDBClient:
        await self._trxlock.acquire()
        try:
            await self.ensure_connection()
            self.token = get_connections().set(self.connection_name, self.connection)
            try:
                await self.connection.begin()
            except BaseException:
                get_connections().reset(self.token)
                raise
        except BaseException:
            self._trxlock.release()
            raise
        return cast(TransactionalDBClient, self.connection)


# As they are without whoever watches statements, who would see them twice.
_query: Any = StockClient.execute_query
_query_dict: Any = StockClient.execute_query_dict


class SqliteClient(StockClient):
    """The stock client but for how transactions begin and end, and for reads outside of them."""

    _quick: QuickReads | None = None

    async def execute_query(
        self, query: str, values: list[Any] | None = None
    ) -> tuple[int, Sequence[dict[Any, Any]]]:
        """Rows, and how many there are or were changed."""
        rows = await self._read(query, values)
        if rows is None:
            return cast(tuple[int, Sequence[dict[Any, Any]]], await _query(self, query, values))
        return len(rows), cast(Sequence[dict[Any, Any]], rows)

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> list[dict[Any, Any]]:
        """Rows as dicts."""
        rows = await self._read(query, values)
        if rows is None:
            return cast(list[dict[Any, Any]], await _query_dict(self, query, values))
        return list(map(dict, rows))

    async def close(self) -> None:
        """Close both connections."""
        if self._quick is not None:
            self._quick.close()
            self._quick = None
        await super().close()

    async def _read(self, query: str, values: list[Any] | None) -> list[sqlite3.Row] | None:
        # Until the first statement has opened the other connection, the file may be missing, or not in WAL.
        if self._connection is None or not query.startswith("SELECT") or "\0" in query:
            return None
        if self._quick is None:
            self._quick = QuickReads(self.filename)
        return await self._quick.rows(query, values)

    async def create_connection(self, with_db: bool) -> None:
        """Open the file, wholly or not at all. Raises OperationalError, also for what is no database."""
        try:
            await super().create_connection(with_db)
        except BaseException as error:
            # A thread that is left behind would keep the process from ending.
            await super().close()
            if isinstance(error, sqlite3.Error):
                raise OperationalError(f"{self.filename}: {error}") from error
            raise

    def acquire_connection(self) -> ConnectionWrapper[Any]:
        """The one connection, and its lock."""
        return _Acquired(self._lock, self)

    def _in_transaction(self) -> TransactionContext:
        return _Context(_Transaction(self), self._lock)


def get_client_class(_db_info: dict[str, Any]) -> type[SqliteClient]:
    """What Tortoise asks an engine for."""
    return SqliteClient
