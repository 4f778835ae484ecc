"""Pages of rows, for one parent or for many in one statement."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tortoise.connection import get_connection
from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """By one column, then by id, both in the same direction."""

    column: str
    descending: bool = True

    def terms(self) -> tuple[str, str]:
        """The ORDER BY terms."""
        sign = "-" if self.descending else ""
        return f"{sign}{self.column}", f"{sign}id"

    def beyond(self, value: Any, row_id: Any) -> Q:
        """Rows that come after the one with these values."""
        op = "lt" if self.descending else "gt"
        if self.column == "id":
            return Q(**{f"id__{op}": row_id})
        return Q(**{f"{self.column}__{op}": value}) | Q(**{self.column: value, f"id__{op}": row_id})


async def page(rows: QuerySet[Any], order: Order, *, most: int) -> list[Any]:
    """The first `most` rows."""
    return await rows.order_by(*order.terms()).limit(most)


async def pages(rows: QuerySet[Any], order: Order, *, parent: str, most: int) -> Mapping[Any, list[Any]]:
    """The first `most` rows for each value of the column `parent`, in one statement."""
    model: type[Model] = rows.model
    direction = "DESC" if order.descending else "ASC"
    rows.sql()
    inner, values = rows.query.get_parameterized_sql()
    # Only column names of our own stand in the text; every value is a parameter.
    sql = (
        f'SELECT * FROM (SELECT t.*, ROW_NUMBER() OVER (PARTITION BY "{parent}"'  # noqa: S608
        f' ORDER BY "{order.column}" {direction}, "id" {direction}) AS "rank_" FROM ({inner}) t) r'
        f' WHERE "rank_" <= {most:d} ORDER BY "rank_"'
    )
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for raw in await get_connection("default").execute_query_dict(sql, values):
        raw.pop("rank_")
        row = model._init_from_db(**raw)
        found[getattr(row, parent)].append(row)
    return found
