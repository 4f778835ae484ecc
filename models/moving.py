"""Moving every row of an embedded database to PostgreSQL, and comparing them.

Rows go table by table in the order of their keys, so many to a transaction: what a move that was cut off has brought
over is the beginning of each table, and the next one goes on behind it.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import aiosqlite
import asyncpg
from tortoise.context import TortoiseContext
from tortoise.fields import BooleanField, JSONField, UUIDField
from tortoise.models import Model

from models import database, postgres

BATCH = 1000


class Differs(Exception):
    """A row of the target is another than that of the source."""

    def __init__(self, table: str, key: object) -> None:
        super().__init__(
            f"Row {key} of table {table} is not the same in both databases. The target was in use, or the source has"
            " changed since a move was begun: empty the target and move again."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table, its columns in one order, and how values of SQLite become PostgreSQL's."""

    name: str
    columns: tuple[str, ...]
    key: str
    key_at: int
    key_is_text: bool
    counts_up: bool
    converted: tuple[Callable[[Any], Any] | None, ...]
    json_at: frozenset[int]

    def row(self, raw: Any) -> tuple[Any, ...]:
        """A row of SQLite as PostgreSQL takes it."""
        return tuple(
            value if convert is None or value is None else convert(value)
            for convert, value in zip(self.converted, raw, strict=True)
        )

    def plain(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """What must be equal: PostgreSQL keeps JSON as values, not as text."""
        return tuple(
            json.loads(value) if at in self.json_at and value is not None else value
            for at, value in enumerate(row)
        )


def _table(model: type[Model]) -> Table:
    meta = model._meta
    columns = meta.fields_db_projection
    fields = [meta.fields_map[name] for name in columns]
    return Table(
        name=meta.db_table,
        columns=tuple(columns.values()),
        key=columns[meta.pk_attr],
        key_at=list(columns).index(meta.pk_attr),
        key_is_text=isinstance(meta.pk, str),
        counts_up=bool(meta.pk.generated),
        converted=tuple(_conversion(field) for field in fields),
        json_at=frozenset(at for at, field in enumerate(fields) if isinstance(field, JSONField)),
    )


def _conversion(field: Any) -> Callable[[Any], Any] | None:
    if isinstance(field, UUIDField):
        return UUID
    return bool if isinstance(field, BooleanField) else None


async def tables() -> list[Table]:
    """Every table, by name."""
    async with TortoiseContext() as context:
        await context.init(config=database.config("sqlite://:memory:"))
        if context.apps is None:
            raise RuntimeError("the models could not be loaded")
        found = [_table(model) for model in context.apps["models"].values()]
    return sorted(found, key=lambda table: table.name)


class Move:
    """One source, opened for reading, and one target."""

    def __init__(self, source: aiosqlite.Connection, target: "asyncpg.Connection[Any]") -> None:
        self._source = source
        self._target = target

    async def count(self, table: Table) -> int:
        """How many rows the source has."""
        async with self._source.execute(f'SELECT count(*) FROM "{table.name}"') as found:
            row = await found.fetchone()
        return int(row[0]) if row else 0

    async def copy(self, table: Table, *, told: Callable[[int], None]) -> None:
        """Bring over what the target lacks; `told` hears of how many rows. Raises Differs."""
        last = await self._compare(table, told=told, whole=False)
        async for batch in self._batches(table, after=last):
            async with self._target.transaction():
                await self._target.copy_records_to_table(table.name, records=batch, columns=table.columns)
            told(len(batch))
        if table.counts_up:
            await self._target.execute(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', '{table.key}'), max(\"{table.key}\"))"
                f' FROM "{table.name}" HAVING max("{table.key}") IS NOT NULL'
            )

    async def compare(self, table: Table, *, told: Callable[[int], None]) -> None:
        """Every row of both. Raises Differs."""
        await self._compare(table, told=told, whole=True)

    async def _compare(self, table: Table, *, told: Callable[[int], None], whole: bool) -> Any:
        """The last key that both have. Raises Differs for a row of the target that the source lacks, or, of the
        `whole` of them, the other way.
        """
        last: Any = None
        while True:
            theirs = [table.plain(row) for row in await self._of_target(table, after=last)]
            ours = [table.plain(row) for row in await self._of_source(table, after=last)]
            if not whole:
                ours = ours[: len(theirs)]
            for mine, other in zip(ours, theirs, strict=False):
                if mine != other:
                    raise Differs(table.name, mine[table.key_at])
            if len(ours) != len(theirs):
                longer = max(ours, theirs, key=len)
                raise Differs(table.name, longer[min(len(ours), len(theirs))][table.key_at])
            told(len(theirs))
            if not theirs:
                return last
            last = theirs[-1][table.key_at]

    async def _batches(self, table: Table, *, after: Any) -> AsyncIterator[list[tuple[Any, ...]]]:
        while batch := await self._of_source(table, after=after):
            yield batch
            after = batch[-1][table.key_at]

    async def _of_source(self, table: Table, *, after: Any) -> list[tuple[Any, ...]]:
        columns = ", ".join(f'"{column}"' for column in table.columns)
        where = "" if after is None else f'WHERE "{table.key}" > ?'
        asked = [] if after is None else [str(after) if isinstance(after, UUID) else after]
        query = f'SELECT {columns} FROM "{table.name}" {where} ORDER BY "{table.key}" LIMIT {BATCH}'
        async with self._source.execute(query, asked) as found:
            return [table.row(raw) for raw in await found.fetchall()]

    async def _of_target(self, table: Table, *, after: Any) -> list[tuple[Any, ...]]:
        columns = ", ".join(f'"{column}"' for column in table.columns)
        key = f'"{table.key}"' + (' COLLATE "C"' if table.key_is_text else "")
        where = "" if after is None else f"WHERE {key} > $1"
        query = f'SELECT {columns} FROM "{table.name}" {where} ORDER BY {key} LIMIT {BATCH}'
        return [tuple(row) for row in await self._target.fetch(query, *([] if after is None else [after]))]


@asynccontextmanager
async def opened(source: Path, target_url: str) -> AsyncIterator[Move]:
    """Both databases, migrated. The target's must be postgres://."""
    await database.migrate(f"sqlite://{source}")
    await database.migrate(target_url)
    found = postgres.connection(target_url)["credentials"]
    target = await asyncpg.connect(**postgres.place(found))
    try:
        async with aiosqlite.connect(f"file:{source}?mode=ro", uri=True) as reading:
            yield Move(reading, target)
    finally:
        await target.close()
