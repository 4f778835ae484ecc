"""Running a plan: level by level down, one statement a level, then the JSON from the leaves up."""

import asyncio
import copy
import dataclasses
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLList,
    GraphQLNonNull,
    GraphQLResolveInfo,
    default_type_resolver,
    is_abstract_type,
)
from graphql.execution.values import VariableValues
from graphql.pyutils import Path

from models.columns import Columns
from models.together import Part, fetch
from schema.compiled.awaiting import resumed, together
from schema.compiled.code import assembler, steps_of
from schema.compiled.leaves import NotCompiled
from schema.compiled.plan import Attribute, FieldPlan, ObjectPlan, Resolver
from schema.context import Context
from schema.rows import Relation
from schema.sources import Column, Computed, Exists

# None of our resolvers leaves work behind.
_NO_HELPERS: Any = None


class Frame:
    """The objects of one type at one place of the answer, and what was found for their fields."""

    __slots__ = ("made", "objects", "plan", "values")

    def __init__(self, plan: ObjectPlan, objects: list[Any], width: int) -> None:
        self.plan, self.objects = plan, objects
        # A list of values a step, or the function that makes it once the frames below are assembled.
        self.values: list[Any] = [None] * width
        self.made: list[Any] = []

    def assemble(self) -> None:
        """Make the JSON objects; the frames below have made theirs."""
        raw = self.plan.columns is not None and _has_only(self.objects, self.plan.columns)
        made = self.plan.assemble.get(raw)
        if made is None:
            made = self.plan.assemble[raw] = assembler(self.plan, raw=raw)
        values = [one() if callable(one) else one for one in self.values]
        self.made = made(self.objects, *values)


def _has_only(objects: list[Any], columns: Columns) -> bool:
    """Whether the objects are rows of some columns, and not whole. Raises NotCompiled when not of these columns."""
    read = getattr(objects[0], "columns_", None) if objects else None
    if read is None:
        return False
    if read.names[: len(columns.names)] != columns.names:
        raise NotCompiled
    return True


@dataclass(slots=True)
class Request:
    """Related rows that are asked for: by a key for each object of the frame."""

    frame: Frame
    place: int
    field: FieldPlan
    keys: list[Any]


@dataclass(slots=True)
class Waiting:
    """The values of a field for each object of the frame, and what gives those that are not there yet."""

    frame: Frame
    place: int
    field: FieldPlan
    values: list[Any] = dataclasses.field(default_factory=list)
    coroutines: list[tuple[int, Coroutine[Any, Any, Any]]] = dataclasses.field(default_factory=list)

    def fill(self, values: list[Any]) -> None:
        """Put in what the coroutines gave."""
        for (at, _), value in zip(self.coroutines, values, strict=True):
            self.values[at] = value


class Run:
    """One run of one plan. Raises whatever a field raises, and NotCompiled: then the ordinary executor answers."""

    def __init__(self, context: Context, variables: VariableValues, facts: tuple[Any, ...]) -> None:
        self._context, self._variables, self._facts = context, variables, facts
        self._frames: list[Frame] = []
        self._requests: list[Request] = []
        # Rows of the level below that came with this one, by the field.
        self._ahead: dict[int, list[Any]] = {}
        self._waiting: list[Waiting] = []
        self._tasks: dict[asyncio.Task[Any], Callable[[Any], None]] = {}

    async def answer(self, plan: ObjectPlan, root: Any) -> dict[str, Any]:
        """The data of an operation whose fields do not hang on each other."""
        try:
            top = self._open(plan, [root])
            while self._requests or self._waiting or self._tasks:
                await self._level()
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            raise
        except Exception:
            # What has begun ends before anybody else reads the same.
            await asyncio.gather(*self._tasks, return_exceptions=True)
            raise
        finally:
            for waiting in self._waiting:
                for _, coroutine in waiting.coroutines:
                    coroutine.close()
        for frame in reversed(self._frames):
            frame.assemble()
        made: dict[str, Any] = top.made[0]
        return made

    async def _level(self) -> None:
        """Everything that is asked for now, in one statement as far as it comes from tables."""
        requests, self._requests = self._requests, []
        asked = [await self._asked(request) for request in requests]
        wanted = [part for parts in asked for _, part in parts]

        def relate(found: Sequence[list[Any]]) -> None:
            rows = iter(found)
            for request, parts in zip(requests, asked, strict=True):
                read = {id(field): next(rows) for field, _ in parts}
                first = read.pop(id(request.field), [])
                self._ahead = read
                self._relate(request, first)

        waiting, self._waiting = self._waiting, []
        if not waiting and not self._tasks:
            relate(await fetch(wanted) if wanted else [])
            return
        if len(waiting) == 1 and not requests and not self._tasks:
            await self._alone(waiting[0])
            return
        if requests:
            self._tasks[asyncio.create_task(self._context.rows.fetch(wanted))] = relate
        for one in waiting:
            self._tasks[asyncio.create_task(together(one.coroutines))] = self._filler(one)
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            self._tasks.pop(task)(task.result())

    async def _alone(self, waiting: "Waiting") -> None:
        """The one field that has to wait; most often it is the root's, of one object."""
        rows = self._context.rows
        with rows.alone() if len(waiting.coroutines) == 1 else nullcontext():
            waiting.fill(await together(waiting.coroutines))
        self._settle(waiting)

    def _filler(self, waiting: "Waiting") -> Callable[[list[Any]], None]:
        def fill(values: list[Any]) -> None:
            waiting.fill(values)
            self._settle(waiting)

        return fill

    def _open(self, plan: ObjectPlan, objects: list[Any]) -> Frame:
        steps = steps_of(plan)
        frame = Frame(plan, objects, len(steps))
        self._frames.append(frame)
        if not objects:
            frame.values = [[] for _ in steps]
            return frame
        for place, field in enumerate(steps):
            self._start(frame, place, field)
        return frame

    def _start(self, frame: Frame, place: int, field: FieldPlan) -> None:
        source, objects = field.source, frame.objects
        waiting = Waiting(frame, place, field)
        match source:
            case Relation() | Exists():
                self._request(Request(frame, place, field, self._keys(frame, source)))
                return
            case Computed(function=function):
                if source.is_async:
                    self._begin(function, waiting)
                else:
                    context = self._context
                    waiting.values = [function(one, context) for one in objects]
            case Resolver():
                self._resolve(waiting)
            case Column(name=name) | Attribute(name=name):
                waiting.values = [getattr(one, name) for one in objects]
            case _:
                raise NotCompiled
        if waiting.coroutines:
            self._waiting.append(waiting)
        else:
            self._settle(waiting)

    def _begin(self, function: Any, waiting: "Waiting") -> None:
        """What coroutines give at once. One that waits goes on with the level; most have no need to."""
        values, context = waiting.values, self._context
        for at, one in enumerate(waiting.frame.objects):
            coroutine = function(one, context)
            try:
                awaited = coroutine.send(None)
            except StopIteration as end:
                values.append(end.value)
                continue
            if asyncio.isfuture(awaited):
                # What a task does that is told of it: others may wait for the same.
                awaited._asyncio_future_blocking = False
            waiting.coroutines.append((at, resumed(coroutine, awaited)))
            values.append(None)

    def _resolve(self, waiting: "Waiting") -> None:
        field, context = waiting.field, self._context
        if field.chosen:
            context = copy.copy(context)
            context.rows = context.rows.choosing(field.chosen)
        info = self.info(field, context)
        arguments = field.arguments_of(self._variables)
        for at, one in enumerate(waiting.frame.objects):
            value = field.definition.resolve(one, info, **arguments)
            if asyncio.iscoroutine(value):
                waiting.coroutines.append((at, value))
                value = None
            waiting.values.append(value)

    def info(self, field: FieldPlan, context: Context) -> Any:
        """What resolvers are told of the field."""
        schema, fragments, operation, is_awaitable = self._facts
        definition = field.definition
        return GraphQLResolveInfo(
            field.nodes[0].name.value, field.nodes, definition.type, field.parent,
            Path(None, field.name, field.parent.name), schema, fragments, None, operation, self._variables,
            context, is_awaitable, None, _NO_HELPERS,
        )  # fmt: skip

    @staticmethod
    def _keys(frame: Frame, source: Relation | Exists) -> list[Any]:
        relation = source.relation if isinstance(source, Exists) else source
        columns = frame.plan.columns
        if columns is not None and _has_only(frame.objects, columns):
            place = columns.names.index(relation.key)
            return [one.raw_[place] for one in frame.objects]
        found = [getattr(one, relation.key) for one in frame.objects]
        return [None if key is None else str(key) for key in found]

    def _request(self, request: "Request") -> None:
        rows = self._ahead.pop(id(request.field), None)
        if rows is None:
            self._requests.append(request)
        else:
            self._relate(request, rows)

    async def _asked(self, request: "Request") -> list[tuple[FieldPlan, Part]]:
        """What is read for a request: its rows, and as far as their columns say it, what their fields relate to."""
        part = await self._part(request)
        if part is None:
            return []
        found = [(request.field, part)]
        plans = request.field.objects.plans.values() if request.field.objects is not None else ()
        for field in (one for plan in plans for one in steps_of(plan)):
            relation = _relation(field)
            if relation is None or (relation.mine is not None and self._context.viewer.id is None):
                continue
            ahead = await self._context.rows.related_through(relation, part, field.columns)
            if ahead is not None:
                found.append((field, ahead))
        return found

    async def _part(self, request: "Request") -> Part | None:
        field = request.field
        relation = _relation(field)
        assert relation is not None
        named = {key: None for key in request.keys if key is not None}
        if not named or (relation.mine is not None and self._context.viewer.id is None):
            return None
        return await self._context.rows.related(relation, list(named), field.columns)

    def _relate(self, request: "Request", rows: list[Any]) -> None:
        frame, place, field, keys = request.frame, request.place, request.field, request.keys
        relation = _relation(field)
        assert relation is not None
        if field.columns is not None:
            at = field.columns.names.index(relation.column)
            numbers = {row.raw_[at]: number for number, row in enumerate(rows)}
        else:
            numbers = {str(getattr(row, relation.column)): number for number, row in enumerate(rows)}
        if field.leaf is not None:
            frame.values[place] = [key in numbers for key in keys]
            return
        assert field.objects is not None
        places = [numbers.get(key) for key in keys]
        if None in places and isinstance(field.definition.type, GraphQLNonNull):
            raise NotCompiled
        below = self._open(next(iter(field.objects.plans.values())), rows)
        frame.values[place] = lambda: [None if at is None else below.made[at] for at in places]

    def _settle(self, found: "Waiting") -> None:
        frame, place, field, values = found.frame, found.place, found.field, found.values
        if field.leaf is not None:
            frame.values[place] = values
            return
        flat: list[Any] = []
        type_ = field.definition.type
        _flatten(type_, values, flat)
        makers = self._below(field, flat)
        frame.values[place] = lambda: _nested(type_, values, makers())

    def _below(self, field: FieldPlan, flat: list[Any]) -> Callable[[], Any]:
        """Frames for the objects of a field, and what gives their JSON in order."""
        assert field.objects is not None
        type_ = field.objects.type
        info = self.info(field, self._context)
        if not is_abstract_type(type_):
            plan = field.objects.plans[type_.name]
            _check(plan, flat, info)
            below = self._open(plan, flat)
            return lambda: iter(below.made)
        resolve = type_.resolve_type or default_type_resolver
        names: list[Any] = [resolve(one, info, type_) for one in flat]
        sorted_: dict[str, list[Any]] = {}
        for name, one in zip(names, flat, strict=True):
            if name not in field.objects.plans:
                raise NotCompiled
            sorted_.setdefault(name, []).append(one)
        frames: dict[str, Frame] = {}
        for name, objects in sorted_.items():
            _check(field.objects.plans[name], objects, info)
            frames[name] = self._open(field.objects.plans[name], objects)

        def made() -> Any:
            each = {name: iter(frame.made) for name, frame in frames.items()}
            return iter([next(each[name]) for name in names])

        return made


def _relation(field: FieldPlan) -> Relation | None:
    source = field.source.relation if isinstance(field.source, Exists) else field.source
    return source if isinstance(source, Relation) else None


def _flatten(type_: Any, values: list[Any], into: list[Any]) -> None:
    """The objects among the values of a field, in order. Raises NotCompiled for what may not be there."""
    if isinstance(type_, GraphQLNonNull):
        if any(value is None for value in values):
            raise NotCompiled
        type_ = type_.of_type
    if not isinstance(type_, GraphQLList):
        into += [value for value in values if value is not None]
        return
    for value in values:
        if value is not None:
            if not isinstance(value, list | tuple):
                raise NotCompiled
            _flatten(type_.of_type, list(value), into)


def _nested(type_: Any, values: list[Any], made: Iterator[Any]) -> list[Any]:
    """The JSON of the values of a field, where `made` gives that of its objects."""
    if isinstance(type_, GraphQLNonNull):
        type_ = type_.of_type
    if isinstance(type_, GraphQLList):
        return [None if value is None else _nested(type_.of_type, value, made) for value in values]
    return [None if value is None else next(made) for value in values]


def _check(plan: ObjectPlan, objects: list[Any], info: Any) -> None:
    is_type_of = plan.of.is_type_of
    if is_type_of is not None and not all(is_type_of(one, info) is True for one in objects):
        raise NotCompiled
