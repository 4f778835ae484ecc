"""Pages of rows, for one parent or for many in one statement."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from models.together import Part, part_of


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


def first_of_each(rows: QuerySet[Any], order: Order, *, parent: str, most: int) -> Part:
    """The first `most` rows for each value of the column `parent`, as one query; `by_parent` sorts them."""
    direction = "DESC" if order.descending else "ASC"
    inner = part_of(rows)
    # Only column names of our own stand in the text; every value is a parameter.
    sql = (
        f'SELECT * FROM (SELECT t.*, ROW_NUMBER() OVER (PARTITION BY "{parent}"'  # noqa: S608
        f' ORDER BY "{order.column}" {direction}, "id" {direction}) AS "rank_" FROM ({inner.sql}) t) r'
        f' WHERE "rank_" <= {most:d}'
    )
    return Part(model=inner.model, sql=sql, values=inner.values)


def by_parent(rows: Sequence[Any], order: Order, *, parent: str) -> Mapping[Any, list[Any]]:
    """Rows of many parents, those of each in their order."""
    found: defaultdict[Any, list[Any]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (getattr(row, order.column), row.id), reverse=order.descending):
        found[getattr(row, parent)].append(row)
    return found
