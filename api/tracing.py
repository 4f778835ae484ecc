"""Traces, from request to SQL, by OpenTelemetry. Imported only where SPACES_TRACES asks for it.

Nothing personal is in them: of a path its template alone, for media paths hold tokens, and of a statement its text
without the values.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, nullcontext
from functools import wraps
from importlib.metadata import version
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.graphql.documents import Prepared
from api.graphql.execute import Answer, Executor
from models import statements
from workers.timetable import Timetable

_LONGEST_NAME, _LONGEST_STATEMENT = 100, 4000
_LAST_WORDS_S = 0.5
_tracers: list[Tracer] = []


@asynccontextmanager
async def traced() -> AsyncIterator[None]:
    """Until the end of the block requests, operations, rounds and their statements are traced and sent.

    The standard variables say where to and how many (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, …). What is not
    sent half a second after the end is lost.
    """
    named = Resource({"service.name": "spaces", "service.version": version("spaces-server")})
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("spaces")
    _tracers.append(tracer)
    try:
        with ExitStack() as stack:
            stack.enter_context(statements.watched(lambda text: _statement(tracer, text)))
            stack.enter_context(_replaced(Executor, "run", _operations(tracer)))
            stack.enter_context(_replaced(Timetable, "round", _rounds(tracer)))
            yield
    finally:
        _tracers.remove(tracer)
        last_words = threading.Thread(target=provider.shutdown, name="last traces", daemon=True)
        last_words.start()
        await asyncio.to_thread(last_words.join, _LAST_WORDS_S)


class TracedRequests:
    """A span for every HTTP request, which goes on with the caller's trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not _tracers:
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        caller = propagate.extract(headers)
        with _span(_tracers[-1], scope["method"], context=caller, kind=SpanKind.SERVER) as span:

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            span.set_attribute("http.request.method", scope["method"])
            try:
                await self._app(scope, receive, told)
            finally:
                if route := _route(scope):
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attribute("http.route", route)


def _route(scope: Scope) -> str | None:
    """The template of the path that was matched."""
    endpoint = scope.get("endpoint")
    for route in scope["app"].routes if endpoint is not None else ():
        if getattr(route, "endpoint", getattr(route, "app", None)) == endpoint:
            return str(route.path)
    return None


def trace_ids(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """For structlog: which trace a line belongs to."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        line["trace_id"], line["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return line


@contextmanager
def _span(tracer: Tracer, name: str, **options: Any) -> Iterator[Span]:
    """A span that tells of an error by its kind alone: what it says may name people."""
    with tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False, **options
    ) as span:
        try:
            yield span
        except Exception as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def _statement(tracer: Tracer, text: str) -> AbstractContextManager[object]:
    """Only inside of a trace: what runs by itself every second would drown the rest."""
    if not trace.get_current_span().is_recording():
        return nullcontext()
    word = text.split(maxsplit=1)[0].upper() if text else "SQL"
    attributes = {"db.query.text": text[:_LONGEST_STATEMENT], "db.operation.name": word}
    return _span(tracer, word, kind=SpanKind.CLIENT, attributes=attributes)


Method = Callable[..., Any]


def _operations(tracer: Tracer) -> Callable[[Method], Method]:
    def replaced(run: Method) -> Method:
        @wraps(run)
        async def traced_run(self: Executor, prepared: Prepared, context: Any) -> Answer:
            kind = prepared.kind.value.lower()
            named = prepared.request.operation_name or next(iter(prepared.document.operations))
            name = (named or "")[:_LONGEST_NAME]
            attributes = {"graphql.operation.type": kind, "graphql.operation.name": name}
            with _span(tracer, f"{kind} {name}".strip(), attributes=attributes) as span:
                answer: Answer = await run(self, prepared, context)
                span.set_attribute("graphql.errors", len(answer.errors))
                return answer

        return traced_run

    return replaced


def _rounds(tracer: Tracer) -> Callable[[Method], Method]:
    def replaced(work: Method) -> Method:
        @wraps(work)
        async def traced_round(self: Timetable) -> None:
            with _span(tracer, "round"):
                await work(self)

        return traced_round

    return replaced


@contextmanager
def _replaced(owner: type, name: str, by: Callable[[Method], Method]) -> Iterator[None]:
    original = owner.__dict__[name]
    setattr(owner, name, by(original))
    try:
        yield
    finally:
        setattr(owner, name, original)
