"""Several queries over different tables in one statement: a level of an answer costs one round to the database.

The rows of a query come as one JSON array, which both databases write by themselves, so that rows of different tables
fit in one result, and a row costs next to nothing on its way.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from tortoise.connection import get_connection
from tortoise.models import Model
from tortoise.queryset import QuerySet

from models.columns import Columns
from models.dialect import is_postgres

_NUMBERED = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One query for rows of one table; placeholders as the database has them."""

    model: type[Model]
    sql: str
    values: tuple[Any, ...]
    # Which columns are read; all when None.
    columns: Columns | None = None


def part_of(query: QuerySet[Any]) -> Part:
    """A query as a part."""
    query.sql()
    sql, values = query.query.get_parameterized_sql()
    return Part(model=query.model, sql=sql, values=tuple(values))


async def fetch(parts: Sequence[Part]) -> list[list[Any]]:
    """The rows of each part, in one statement. *Not* promised: the order of rows within a part."""
    connection = get_connection("default")
    numbered = is_postgres()
    selects: list[str] = []
    values: list[Any] = []
    for number, part in enumerate(parts):
        inner = _renumbered(part.sql, len(values)) if numbered else part.sql
        selects.append(f'SELECT {number} AS "part_", {_rows_of(part)} AS "rows_" FROM ({inner}) t')  # noqa: S608
        values += part.values
    found: list[list[Any]] = [[] for _ in parts]
    for told in await connection.execute_query_dict(" UNION ALL ".join(selects), values):
        part = parts[told["part_"]]
        rows = orjson.loads(told["rows_"])
        if part.columns is not None:
            found[told["part_"]] = part.columns.rows(rows)
        else:
            found[told["part_"]] = [_row(part.model, raw, of_postgres=numbered) for raw in rows]
    return found


def _rows_of(part: Part) -> str:
    """The rows of a part `t` as a JSON array: of arrays of some columns, or of objects of all."""
    if is_postgres():
        row = f"json_build_array({_names(part.columns)})" if part.columns is not None else "row_to_json(t)"
        return f"coalesce(json_agg({row}), '[]')::text"
    row = f"json_array({_names(part.columns)})" if part.columns is not None else _json_object(part.model)
    return f"json_group_array({row})"


def _names(columns: Columns) -> str:
    return ", ".join(f't."{name}"' for name in columns.names)


@lru_cache(maxsize=1000)
def _renumbered(sql: str, by: int) -> str:
    return _NUMBERED.sub(lambda found: f"${int(found[1]) + by}", sql)


@lru_cache(maxsize=100)
def _json_object(model: type[Model]) -> str:
    """The columns of a row as a JSON object, in SQLite's words. Only column names of our own stand in the text."""
    return "json_object(" + ", ".join(f"'{name}', t.\"{name}\"" for name in model._meta.db_fields) + ")"


def _row(model: type[Model], raw: dict[str, Any], *, of_postgres: bool) -> Any:
    if of_postgres:
        # What the driver would have made of a column, JSON leaves as text.
        for name, _, field in model._meta.db_native_fields:
            raw[name] = field.to_python_value(raw[name])
    return model._init_from_db(**raw)
