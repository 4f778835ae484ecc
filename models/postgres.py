"""PostgreSQL as several processes share it: what the driver says of a lost server reads as everywhere else.

asyncpg has some fifty exceptions, and Tortoise translates a few. A transaction of the stock client keeps its
connection for ever when it cannot begin.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient as StockClient
from tortoise.backends.asyncpg.client import TransactionWrapper
from tortoise.backends.base.client import TransactionalDBClient, TransactionContext, TransactionContextPooled
from tortoise.backends.base.config_generator import expand_db_url
from tortoise.connection import get_connections
from tortoise.exceptions import IntegrityError, OperationalError

from models.dialect import MIGRATION, Clash, DatabaseAway

# What the sessions of our processes are called.
APPLICATION = "spaces"
SCHEMES = ("postgres://", "postgresql://", "asyncpg://")
# A statement, a new connection and a lock that take longer than this are given up: seconds.
_STATEMENT_S, _CONNECT_S, _LOCK_S = 30.0, 5.0, 5
_CONNECTIONS = 10
# It is there, and takes no work: it starts, stops, has run out of something, or was told to give up.
_NOT_SERVING = (
    asyncpg.PostgresConnectionError | asyncpg.OperatorInterventionError | asyncpg.InsufficientResourcesError
)


def connection(url: str) -> dict[str, Any]:
    """Tortoise's description of a connection. `max_size`, `sslmode` and the like stand in the URL's query."""
    found = expand_db_url(url)["credentials"]
    if mode := found.pop("sslmode", None):
        found["ssl"] = mode
    settings = {
        "application_name": APPLICATION,
        "timezone": "UTC",
        "lock_timeout": f"{_LOCK_S}s",
        # A process that hangs in a transaction must not hold its locks for ever.
        "idle_in_transaction_session_timeout": "60s",
    }
    defaults = {
        "min_size": 0,
        "max_size": _CONNECTIONS,
        "command_timeout": _STATEMENT_S,
        "timeout": _CONNECT_S,
    }
    return {"engine": "models.postgres", "credentials": {**defaults, "server_settings": settings, **found}}


def place(credentials: dict[str, Any]) -> dict[str, Any]:
    """Of a connection's description, what says where the database is and who asks."""
    wanted = ("host", "port", "user", "password", "database", "ssl")
    return {name: credentials[name] for name in wanted if name in credentials}


async def connect_alone(url: str) -> Any:
    """A connection beside the pool. Raises OperationalError."""
    return await _told(asyncpg.connect(timeout=_CONNECT_S, **place(connection(url)["credentials"])))


@asynccontextmanager
async def migrating(url: str) -> AsyncIterator[None]:
    """Keep other processes from migrating the same database until the end of the block."""
    if not url.startswith(SCHEMES):
        yield
        return
    held = await connect_alone(url)
    try:
        await held.execute("SELECT pg_advisory_lock($1, $2)", *MIGRATION)
        yield
    finally:
        await held.close()


def _translated(error: Exception) -> Exception:
    """What the rest of the code knows: a lost race, a broken constraint, a database that does not answer."""
    match error:
        case asyncpg.TransactionRollbackError() | asyncpg.LockNotAvailableError():
            return Clash(error)
        case asyncpg.IntegrityConstraintViolationError():
            return IntegrityError(error)
        case asyncpg.InterfaceError() if isinstance(error, ValueError):
            return error
        case OSError() | asyncpg.InterfaceError() | asyncpg.InternalClientError():
            # The last is a connection that broke between two steps. An error of time says nothing by itself.
            return DatabaseAway(str(error) or type(error).__name__)
        case _ if isinstance(error, _NOT_SERVING):
            return DatabaseAway(str(error))
        case asyncpg.PostgresError():
            return OperationalError(error)
    return error


async def _told(work: Awaitable[Any]) -> Any:
    try:
        return await work
    except Exception as error:
        translated = _translated(error)
        if translated is error:
            raise
        raise translated from error


class _Transaction(TransactionWrapper):
    async def _translate_exceptions(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await _told(func(self, *args, **kwargs))

    def _in_transaction(self) -> TransactionContext:
        return _Savepoint(_Transaction(self))

    async def commit(self) -> None:
        """Raises Clash or OperationalError, and then nothing has happened."""
        await _told(super().commit())

    async def rollback(self) -> None:
        """On a lost connection the server has done it."""
        try:
            is_closed = self._connection.is_closed()
        except asyncpg.InterfaceError:
            # The pool has taken it back already, as lost.
            is_closed = True
        if is_closed:
            self._finalized = True
        else:
            await _told(super().rollback())


class _Context(TransactionContextPooled):
    """The stock context, which loses a connection of the pool when a transaction cannot begin or end."""

    async def __aenter__(self) -> TransactionalDBClient:
        await _told(self.ensure_connection())
        parent: Any = self.client._parent
        acquired = await _told(parent._pool.acquire())
        self.client._connection = acquired
        self.token = get_connections().set(self.connection_name, self.client)
        try:
            await self.client.begin()
        except BaseException:
            get_connections().reset(self.token)
            await parent._pool.release(acquired)
            raise
        return self.client

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        try:
            if exc_type is None:
                await self.client.commit()
            else:
                await self.client.rollback()
        finally:
            get_connections().reset(self.token)
            parent: Any = self.client._parent
            if parent._pool:
                await parent._pool.release(self.client._connection)


class _Savepoint(TransactionContext):
    """A transaction in a transaction: what fails in it leaves the outer one whole."""

    def __init__(self, client: TransactionalDBClient) -> None:
        self.client = client
        self.connection_name = client.connection_name

    async def __aenter__(self) -> TransactionalDBClient:
        await self.client.savepoint()
        return self.client

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        if exc_type is None:
            await self.client.release_savepoint()
        else:
            await self.client.savepoint_rollback()


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that is handed back without a statement: nothing here changes the state of a session.

    The stock one has all of it reset each time, which made two ways to the server of every one. A transaction that
    is open is still rolled back.
    """

    __slots__ = ()

    def get_reset_query(self) -> str:
        """None."""
        return ""


class PostgresClient(StockClient):
    """The stock client but for what it says of trouble, and for what a statement costs."""

    connection_class = _Connection

    async def _translate_exceptions(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await _told(func(self, *args, **kwargs))

    def _in_transaction(self) -> TransactionContext:
        return _Context(cast(TransactionalDBClient, _Transaction(self)), self._pool_init_lock)


def get_client_class(_db_info: dict[str, Any]) -> type[PostgresClient]:
    """What Tortoise asks an engine for."""
    return PostgresClient
