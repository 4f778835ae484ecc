"""Rows of one operation, batched: one statement a level, however many cards and relations there are."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from strawberry.dataloader import DataLoader
from tortoise.exceptions import ValidationError
from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from models import paging
from models.columns import Columns
from models.fields import from_ms, to_ms
from models.lookup import by_keys, through
from models.paging import Order
from models.timeline_item import TimelineItem
from models.timeline_page import After, followed_page
from models.together import Part, fetch, part_of
from services import cursors, visibility
from services.errors import InvalidInput
from services.viewers import Viewer

_MOST_KEY = 2**62
# A level is complete when so many turns of the event loop have brought nothing new.
_TURNS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """One row of another table: where its `column` equals this row's `key`. `mine` narrows it to the viewer's."""

    model: type[Model]
    key: str
    column: str = "id"
    mine: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """Many rows of another table, of this row (its `key`) by their `parent` column, in pages."""

    model: type[Model]
    parent: str
    order: Order
    key: str = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which page: how many, after what, and filters by column."""

    first: int
    after: str | None = None
    filters: tuple[tuple[str, Hashable], ...] = ()

    @classmethod
    def of(cls, first: int | None, after: str | None, *, default: int = 20, **filters: Hashable) -> "Wanted":
        """What a client asked for: null and left out are the default."""
        named = tuple((name, value) for name, value in filters.items() if value is not None)
        return cls(first=default if first is None else first, after=after or None, filters=named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows of a page with their cursors."""

    rows: Sequence[Any]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool


def cursor_of(row: Any, order: Order) -> str:
    """The cursor of a row in an order over an instant column."""
    return _packed(type(row)._meta.db_table, getattr(row, order.column), row.id)


@lru_cache(maxsize=20_000)
def _packed(table: str, at: datetime, row_id: Any) -> str:
    """Pages overlap: the newest rows are asked for again and again."""
    return cursors.pack([table, to_ms(at), str(row_id)])


def _beyond(after: str, order: Order, model: type[Model]) -> Q:
    return order.beyond(*_place(after, model))


def _place(after: str, model: type[Model]) -> tuple[datetime, Any]:
    """The instant and the id of the row of this table that a cursor names. Raises InvalidInput."""
    table, at_ms, row_id = cursors.unpack(after, (str, int, str))
    try:
        if table == model._meta.db_table:
            key = model._meta.pk.to_python_value(str(row_id))
            if not isinstance(key, int) or 0 <= key < _MOST_KEY:
                return from_ms(int(at_ms)), key
    except (ValueError, OverflowError, ValidationError):
        pass
    raise InvalidInput("This cursor was not made here. Use one that this field answered.", path=["after"])


def cut(rows: Sequence[Any], wanted: Wanted, order: Order) -> Page:
    """A page of one row more than wanted: the surplus row says that there is a next page."""
    shown = rows[: wanted.first]
    return Page(
        rows=shown,
        cursors=[cursor_of(row, order) for row in shown],
        has_next=len(rows) > wanted.first,
        has_previous=wanted.after is not None,
    )


async def _shared(loading: Awaitable[Any]) -> Any:
    """What is loaded for several fields. One that is given up, as its neighbour failed, takes it from no other."""
    return await asyncio.shield(loading)


class Level:
    """What the fields of one level of an answer ask for, gathered into one statement."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Sequence[Part], asyncio.Future[list[list[Any]]]]] = []
        self._task: asyncio.Task[None] | None = None
        self._is_alone = False
        self._elsewhere = 0
        self._back = asyncio.Event()

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """While a field reads from disk what it will ask for: the level waits for it."""
        self._elsewhere += 1
        try:
            yield
        finally:
            self._elsewhere -= 1
            if not self._elsewhere:
                self._back.set()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While a single field is at work, nobody else is waited for."""
        self._is_alone = True
        try:
            yield
        finally:
            self._is_alone = False

    async def fetch(self, part: Part) -> list[Any]:
        """The rows of a part, together with whatever else is asked for now."""
        return (await self._join([part]))[0]

    async def fetch_all(self, parts: Sequence[Part]) -> list[list[Any]]:
        """The rows of each part: at once for a field that is alone, else together with whatever else is asked for."""
        return await fetch(parts) if self._is_alone else await self._join(parts)

    async def _join(self, parts: Sequence[Part]) -> list[list[Any]]:
        future: asyncio.Future[list[list[Any]]] = asyncio.get_running_loop().create_future()
        self._waiting.append((parts, future))
        if self._task is None:
            self._task = asyncio.create_task(self._gather())
        return await future

    async def _gather(self) -> None:
        seen = 0
        while seen != len(self._waiting) or self._elsewhere:
            seen = len(self._waiting)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if self._elsewhere:
                self._back.clear()
                await self._back.wait()
        waiting, self._waiting, self._task = self._waiting, [], None
        try:
            found = iter(await fetch([part for parts, _ in waiting for part in parts]))
        except BaseException as error:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for parts, future in waiting:
            rows = [next(found) for _ in parts]
            if not future.done():
                future.set_result(rows)


class Rows:
    """The reads of one operation. Visibility is applied to every one of them."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._loaders: dict[Hashable, DataLoader[Any, Any]] = {}
        self._level = Level()
        self._columns: Mapping[type[Model], Columns] = {}
        # The rules as they are for this viewer.
        self._rules: dict[type[Model], Q] = {}
        self.elsewhere, self.alone = self._level.elsewhere, self._level.alone

    def let_go(self) -> None:
        """Forget what was read: loaders and rows hold each other."""
        self._loaders.clear()

    def choosing(self, columns: Mapping[type[Model], Columns]) -> "Rows":
        """The same reads, of which the rows of some tables have only these columns."""
        other = copy.copy(self)
        other._columns = columns
        return other

    async def fetch(self, parts: Sequence[Part]) -> list[list[Any]]:
        """The rows of some parts, together with whatever else is asked for now."""
        return await self._level.fetch_all(parts)

    def _chosen(self, model: type[Model], *attributes: str) -> Columns | None:
        """What is read of a table, with what is needed here."""
        chosen = self._columns.get(model)
        return chosen.with_attributes("id", *attributes) if chosen is not None else None

    async def visible(self, model: type[Model]) -> Q:
        """The condition under which the viewer may see rows of a table."""
        found = self._rules.get(model)
        if found is None:
            rule = visibility.RULES.get(model)
            found = self._rules[model] = await rule(self._viewer) if rule else Q()
        return found

    async def by_id(self, model: type[Model], row_id: Any) -> Any:
        """A visible row by its id, or None."""
        return await self.one(Relation(model=model, key="id"), row_id)

    async def one(self, relation: Relation, key: Any) -> Any:
        """The related visible row, or None."""
        if key is None or (relation.mine is not None and self._viewer.id is None):
            return None
        columns = self._chosen(relation.model, relation.column)
        loader = self._loader((relation, columns), lambda keys: self._load(relation, keys, columns))
        return await _shared(loader.load(key))

    async def _load(self, relation: Relation, keys: list[Any], columns: Columns | None) -> list[Any]:
        part = await self.related(relation, keys, columns)
        rows = {getattr(row, relation.column): row for row in await self._level.fetch(part)}
        return [rows.get(key) for key in keys]

    async def related(self, relation: Relation, keys: Sequence[Any], columns: Columns | None) -> Part:
        """What is read for the visible rows that `keys` name; of the viewer's, if these are `mine`."""
        visible = await self.visible(relation.model)
        also = None if relation.mine is None else (relation.mine, self._viewer.id)
        if not visible.children and not visible.filters:
            part = by_keys(relation.model, relation.column, keys, also=also, columns=columns)
            if part is not None:
                return part
        found = relation.model.filter(visible, **{f"{relation.column}__in": list(keys)})
        if also is not None:
            found = found.filter(**dict([also]))
        return replace(part_of(found), columns=columns)

    async def related_through(self, relation: Relation, part: Part, columns: Columns | None) -> Part | None:
        """What is read for the rows of a part before these are there; None where a rule hides some rows."""
        visible = await self.visible(relation.model)
        if visible.children or visible.filters:
            return None
        also = None if relation.mine is None else (relation.mine, self._viewer.id)
        return through(relation.model, relation.column, part, relation.key, also=also, columns=columns)

    async def admitted(self, space_id: UUID) -> bool:
        """Whether the viewer may enter this ticketed Space."""
        return bool(await _shared(self._loader("admitted", self._admit).load(space_id)))

    async def _admit(self, space_ids: list[UUID]) -> list[bool]:
        found = await visibility.admitted(self._viewer, space_ids)
        return [space_id in found for space_id in space_ids]

    async def page(self, connected: Connected, key: Any, wanted: Wanted) -> Page:
        """A page of visible rows that belong to one parent; equal pages of many parents are one statement."""
        columns = self._chosen(connected.model, connected.order.column, connected.parent)
        loader = self._loader(
            (connected, wanted, columns), lambda keys: self._load_pages(connected, wanted, keys, columns)
        )
        rows = await _shared(loader.load(key))
        return cut(rows, wanted, connected.order)

    async def _load_pages(
        self, connected: Connected, wanted: Wanted, keys: list[Any], columns: Columns | None
    ) -> list[list[Any]]:
        rows = connected.model.filter(
            await self.visible(connected.model), **{f"{connected.parent}__in": keys}, **dict(wanted.filters)
        )
        if wanted.after is not None:
            rows = rows.filter(_beyond(wanted.after, connected.order, connected.model))
        order, parent = connected.order, connected.parent
        part = paging.first_of_each(rows, order, parent=parent, most=wanted.first + 1)
        part = replace(part, columns=columns)
        found = paging.by_parent(await self._level.fetch(part), order, parent=parent)
        return [found.get(key, []) for key in keys]

    async def listed(self, model: type[Model], where: Q, order: Order, wanted: Wanted) -> Page:
        """A page of all visible rows of a table under a condition."""
        rows = model.filter(await self.visible(model)).filter(where)
        return await self.everything(rows, order, wanted)

    async def followed(self, viewer_id: UUID, order: Order, wanted: Wanted) -> Page:
        """A page of the viewer's own timeline."""
        after = None
        if wanted.after is not None:
            at, row_id = _place(wanted.after, TimelineItem)
            after = After(activity_at=at, id=row_id)
        part = followed_page(viewer_id, after=after, most=wanted.first + 1)
        part = replace(part, columns=self._chosen(TimelineItem, order.column))
        # Whom a block hides, all that follows will ask for: it comes with the page.
        blocks = self._viewer.blocks()
        rows, *read = await self._level.fetch_all([part, *blocks])
        if blocks:
            self._viewer.hide(*read)
        rows.sort(key=lambda row: (row.activity_at, row.id), reverse=True)
        return cut(rows, wanted, order)

    async def everything(self, rows: QuerySet[Any], order: Order, wanted: Wanted) -> Page:
        """A page of rows that moderators see, past every block."""
        if wanted.after is not None:
            rows = rows.filter(_beyond(wanted.after, order, rows.model))
        return cut(await paging.page(rows, order, most=wanted.first + 1), wanted, order)

    def _loader(self, name: Hashable, load: Callable[[list[Any]], Any]) -> DataLoader[Any, Any]:
        loader = self._loaders.get(name)
        if loader is None:
            loader = self._loaders[name] = DataLoader(load_fn=load)
        return loader
