"""Running prepared operations on graphql-core, with Strawberry's executor so that its resolvers feel at
home.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import isawaitable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import strawberry
from graphql import ExecutionResult, GraphQLError
from graphql.execution import create_source_event_stream, execute, execute_subscription_event
from strawberry.execution import optimized_is_awaitable as _optimized_is_awaitable

from api.graphql.documents import Prepared
from api.graphql.errors import ErrorJson, bug_json, exception_json, field_error_json, request_error_json
from api.graphql.json import encode
from api.graphql.limits import Limits
from schema.compiled.engine import Compiled
from schema.following import Following
from services.errors import SpacesError

T = TypeVar("T")

# Strawberry declares it a plain predicate, graphql-core wants a type guard.
_is_awaitable: Any = _optimized_is_awaitable


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation, or one event of it, gave. Without data when it was not begun."""

    data: dict[str, Any] | None
    errors: list[ErrorJson] = field(default_factory=list)
    was_begun: bool = True
    refused: Sequence[SpacesError] = ()
    """What mutations refused in their payloads."""
    is_replay: bool = False
    """Whether it was given before, to a request with the same Idempotency-Key."""

    def payload(self) -> dict[str, Any]:
        """As the GraphQL specification has it, section 7.1."""
        payload: dict[str, Any] = {"errors": self.errors} if self.errors else {}
        if self.was_begun:
            payload["data"] = self.data
        return payload


class EventStream:
    """A running subscription: events come by `events`, each is made an answer by `answer`.

    The two are apart so that a slow client costs an event's size of memory, not an answer's.
    """

    def __init__(self, selection: "Selection", context: Any, source: AsyncIterable[Any]) -> None:
        self._selection = selection
        self._context = context
        self._source = aiter(source)

    def events(self) -> AsyncIterator[Any]:
        """The events of the source, each when it is asked for. Raises what the resolver raises."""
        return self._source

    async def answer(self, event: Any) -> Answer:
        """`event` as the client selected it."""
        return await self._selection.answer(event, self._context)

    async def aclose(self) -> None:
        """End the source, running what it has in `finally`."""
        close = getattr(self._source, "aclose", None)
        if close is not None:
            try:
                await close()
            except Exception as error:  # noqa: BLE001 - told to the client, and logged when it is a bug
                bug_json(error, path=None)


class Selection:
    """What a subscription's document asks of each event, for whoever asks the same with the same variables.

    `plan` gives the data of an event without errors; None: the ordinary executor, which `build` makes, is to answer.
    """

    def __init__(
        self,
        build: Callable[[Any], Any],
        plan: Callable[[Any, Any], Awaitable[dict[str, Any] | None]] | None = None,
    ) -> None:
        self._build = build
        self._plan = plan

    async def body(self, event: Any, context: Any) -> bytes:
        """The payload of a `next` message, as JSON: `event` as it was selected, for the viewer of `context`."""
        return encode((await self.answer(event, context)).payload())

    async def answer(self, event: Any, context: Any) -> Answer:
        """The same as an answer."""
        if self._plan is not None:
            data = await self._plan(context, event)
            if data is not None:
                return Answer(data)
        # Built anew for each event: what graphql-core keeps in an executor grows with every execution.
        executor = self._build(context)
        try:
            return _answer(
                await _settled(execute_subscription_event(executor.build_per_event_executor(event)))
            )
        except Exception as error:  # noqa: BLE001 - told to the client, and logged when it is a bug
            return failure(error)
        finally:
            _let_go(executor)


@dataclass(frozen=True, slots=True)
class Followed:
    """A subscription that others may share: what is followed, and what is told of it."""

    following: Following
    selection: Selection


class Executor:
    """Runs operations of one schema, by a compiled plan where `compiled` and it suffices."""

    def __init__(self, schema: strawberry.Schema, *, limits: Limits, compiled: bool = False) -> None:
        self._schema = schema._schema
        self._compiled = Compiled(self._schema, is_awaitable=_is_awaitable) if compiled else None
        self._class: Any = schema.execution_context_class
        self._hide_suggestions = not limits.suggestions
        self._unheard: set[asyncio.Task[Any]] = set()
        self._selections: WeakValueDictionary[tuple[Any, ...], Selection] = WeakValueDictionary()

    async def run(self, prepared: Prepared, context: Any) -> Answer:
        """The answer of a query or mutation. Never raises but when cancelled."""
        request = prepared.request
        if self._compiled is not None:
            data = await self._compiled.answer(prepared.plans, request.variables, context)
            if data is not None:
                return Answer(data)
        try:
            result = await _settled(
                execute(
                    self._schema,
                    prepared.document.node,
                    context_value=context,
                    variable_values=request.variables,
                    operation_name=request.operation_name or None,
                    is_awaitable=_is_awaitable,
                    executor_class=self._class,
                    hide_suggestions=self._hide_suggestions,
                    operation_extensions=request.extensions,
                )
            )
        except Exception as error:  # noqa: BLE001 - told to the client, and logged when it is a bug
            return failure(error)
        return _answer(result)

    async def run_to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, which goes on when the caller is cancelled: a mutation half done serves nobody."""
        task = asyncio.create_task(work)
        self._unheard.add(task)
        task.add_done_callback(self._unheard.discard)
        return await asyncio.shield(task)

    async def subscribe(self, prepared: Prepared, context: Any) -> EventStream | Followed | Answer:
        """The running subscription, or the answer that says why it was not begun."""
        build = self._builder(prepared)
        try:
            executor = build(context)
            if isinstance(executor, list):
                return _answer(ExecutionResult(None, errors=executor))
            source = create_source_event_stream(executor)
            if isawaitable(source):
                source = await source
        except Exception as error:  # noqa: BLE001 - told to the client, and logged when it is a bug
            return failure(error)
        if isinstance(source, ExecutionResult):
            errors = [field_error_json(error) for error in source.errors or ()]
            return Answer(None, errors, was_begun=False)
        if isinstance(source, Following):
            _let_go(executor)
            return Followed(source, self._selection(prepared, build))
        return EventStream(Selection(build, self._plan(prepared)), context, source)

    def _plan(self, prepared: Prepared) -> Callable[[Any, Any], Awaitable[dict[str, Any] | None]] | None:
        """What gives the data of an event by a plan, for a context."""
        if self._compiled is None:
            return None
        return partial(self._compiled.answer, prepared.plans, prepared.request.variables)

    def _builder(self, prepared: Prepared) -> Callable[[Any], Any]:
        """What makes an executor, or a list of errors, for a context."""
        request = prepared.request
        return partial(
            self._class.build,
            self._schema,
            prepared.document.node,
            None,
            raw_variable_values=request.variables,
            operation_name=request.operation_name or None,
            hide_suggestions=self._hide_suggestions,
            operation_extensions=request.extensions,
        )

    def _selection(self, prepared: Prepared, build: Callable[[Any], Any]) -> Selection:
        """The one selection of all who ask the same: equal documents, operations and variables of its fields."""
        request = prepared.request
        names = sorted(prepared.selects_by & request.variables.keys())
        variables = encode([[name, request.variables[name]] for name in names])
        key = (prepared.document.shape, request.operation_name or None, variables)
        selection = self._selections.get(key)
        if selection is None:
            selection = self._selections[key] = Selection(build, self._plan(prepared))
        return selection


def _let_go(executor: Any) -> None:
    """Take apart the ring in which an executor holds itself: its 10 kB would wait for the garbage collector."""
    executor.async_helpers = None


def failure(error: Exception) -> Answer:
    """The answer to an operation that ended in `error`."""
    return Answer(None, [exception_json(error)], was_begun=False)


async def _settled(result: Any) -> Any:
    return await result if isawaitable(result) else result


def _place(error: GraphQLError) -> tuple[Any, ...]:
    return [(one.line, one.column) for one in error.locations or ()], error.path or []


def _answer(result: ExecutionResult) -> Answer:
    # As they stand in the document and the answer: the executor has them as they happened to come.
    errors = sorted(result.errors or [], key=_place)
    if result.data is None and errors and all(error.path is None for error in errors):
        return Answer(None, [request_error_json(error) for error in errors], was_begun=False)
    return Answer(result.data, [field_error_json(error) for error in errors])
