"""Several queries over different tables in one statement: a level of an answer costs one round to the database.

Each row comes as JSON, which both databases write by themselves, so that rows of different tables fit in one result.
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
        row = _row_of(part, numbered=numbered)
        inner = _renumbered(part.sql, len(values)) if numbered else part.sql
        selects.append(f'SELECT {number} AS "part_", {row} AS "row_" FROM ({inner}) t')  # noqa: S608
        values += part.values
    found: list[list[Any]] = [[] for _ in parts]
    for raw in await connection.execute_query_dict(" UNION ALL ".join(selects), values):
        number = raw["part_"]
        columns = parts[number].columns
        if columns is not None:
            found[number].append(columns.row(orjson.loads(raw["row_"])))
        else:
            found[number].append(_row(parts[number].model, raw["row_"], of_postgres=numbered))
    return found


def _row_of(part: Part, *, numbered: bool) -> str:
    if part.columns is None:
        return "row_to_json(t)::text" if numbered else _json_object(part.model)
    names = ", ".join(f't."{name}"' for name in part.columns.names)
    return f"json_build_array({names})::text" if numbered else f"json_array({names})"


def _renumbered(sql: str, by: int) -> str:
    return _NUMBERED.sub(lambda found: f"${int(found[1]) + by}", sql)


@lru_cache(maxsize=100)
def _json_object(model: type[Model]) -> str:
    """The columns of a row as a JSON object, in SQLite's words. Only column names of our own stand in the text."""
    return "json_object(" + ", ".join(f"'{name}', t.\"{name}\"" for name in model._meta.db_fields) + ")"


def _row(model: type[Model], text: str, *, of_postgres: bool) -> Any:
    raw: dict[str, Any] = orjson.loads(text)
    if of_postgres:
        # What the driver would have made of a column, JSON leaves as text.
        for name, _, field in model._meta.db_native_fields:
            raw[name] = field.to_python_value(raw[name])
    return model._init_from_db(**raw)
