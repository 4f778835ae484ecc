"""Where the values of fields come from, declared once beside each field.

`column` reads the row itself; `relation` one row of another table; `connection` a page of them;
`computed` a function over the row and who asks. The declaration travels as the field's metadata,
so that another executor can read it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from inspect import iscoroutinefunction
from typing import Any

import strawberry

from models.paging import Order
from schema.connections import Connection, connection_of
from schema.context import Info
from schema.rows import Connected, Relation, Wanted

from tortoise.models import Model  # isort: skip

SOURCE = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the row, by its name."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Computed:
    """A function over the row and the context. `reads` are the columns it looks at; None: nobody knows."""

    function: Callable[..., Any]
    reads: tuple[str, ...] | None = None

    @cached_property
    def is_async(self) -> bool:
        """Whether the function gives a coroutine."""
        return iscoroutinefunction(self.function)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exists:
    """Whether a relation has a row."""

    relation: Relation


@dataclass(frozen=True, slots=True)
class Identity:
    """The global id of the row."""


@dataclass(frozen=True, slots=True)
class Once:
    """What a mutation answered. Asked again for the same operation it answers the same, and does nothing."""


def _field(source: Any, resolver: Callable[..., Any], description: str) -> Any:
    return strawberry.field(resolver=resolver, description=description, metadata={SOURCE: source})


def column(name: str, description: str) -> Any:
    """A field that is a column of its row."""

    def read(root: Any) -> Any:
        return getattr(root, name)

    return _field(Column(name=name), read, description)


def relation(
    model: type[Model], description: str, *, key: str, column: str = "id", mine: str | None = None
) -> Any:
    """A field that is one row of another table; null when there is none that the viewer may see."""
    source = Relation(model=model, key=key, column=column, mine=mine)

    async def read(root: Any, info: Info) -> Any:
        return await info.context.rows.one(source, getattr(root, key))

    return _field(source, read, description)


def exists(model: type[Model], description: str, *, column: str, mine: str) -> Any:
    """A field that says whether the viewer has a row of another table that names this one."""
    source = Relation(model=model, key="id", column=column, mine=mine)

    async def read(root: Any, info: Info) -> bool:
        return await info.context.rows.one(source, root.id) is not None

    return _field(Exists(relation=source), read, description)


def computed(function: Callable[..., Any], description: str, *, reads: tuple[str, ...] | None = None) -> Any:
    """A field that is `function(row, context)`, by `def` or `async def`.

    `reads` names the columns that the function looks at, so that no others need to be read for it. It is an
    optimisation: without it the whole row is read.
    """

    def read(root: Any, info: Info) -> Any:
        return function(root, info.context)

    return _field(Computed(function=function, reads=reads), read, description)


async def page_of(
    info: Info,
    connected: Connected,
    key: Any,
    *,
    first: int | None,
    after: str | None,
    default: int = 20,
    **filters: Any,
) -> Connection[Any]:
    """A page of a connection, as the client asked for it."""
    wanted = Wanted.of(first, after, default=default, **filters)
    return connection_of(await info.context.rows.page(connected, key, wanted))


def newest_first(model: type[Model], parent: str, *, by: str = "created_at", key: str = "id") -> Connected:
    """The rows of a parent, newest first."""
    return Connected(model=model, parent=parent, key=key, order=Order(column=by))
