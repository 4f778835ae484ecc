"""The routes of the GraphQL endpoint."""

import time
from collections.abc import Callable, Mapping

import strawberry
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from api.graphql.documents import Documents
from api.graphql.door import Door
from api.graphql.edge import Edge
from api.graphql.execute import Executor
from api.graphql.http import HttpEdge
from api.graphql.limits import Limits
from api.graphql.persisted import Persisted
from api.graphql.replays import AnswerStore, Replays
from api.graphql.socket import SocketEdge
from services.limits import OpenStreams, RateLimiter


def graphql_routes(
    schema: strawberry.Schema,
    door: Door,
    limits: Limits,
    *,
    graphiql: Callable[[Request], Response],
    rates: RateLimiter | None = None,
    streams: OpenStreams | None = None,
    answers: AnswerStore | None = None,
    trusted: Mapping[str, str] | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    path: str = "/graphql",
    compiled: bool = False,
) -> list[BaseRoute]:
    """POST, GET, event streams and the WebSocket of `schema` on `path`.

    `rates` counts operations and may be shared with other limits; without it, one is made that reads
    `monotonic`. `streams` counts open sockets and event streams, likewise.
    `answers` keeps what mutations with an `Idempotency-Key` were answered; without it the header is ignored.
    `trusted` are the documents of the manifest, by their hash.
    `graphiql` answers a browser's GET without a query. The schema's Strawberry extensions are *not* run.
    `compiled` runs operations by plans where these suffice; the context must then be that of `schema`.
    """
    edge = Edge(
        door=door,
        limits=limits,
        documents=Documents(schema._schema, limits=limits),
        executor=Executor(schema, limits=limits, compiled=compiled),
        persisted=Persisted(limits, trusted=trusted),
        rates=rates or RateLimiter(monotonic=monotonic),
        open_streams=streams or OpenStreams(),
        replays=Replays(answers) if answers else None,
    )
    return [Route(path, HttpEdge(edge, graphiql=graphiql)), WebSocketRoute(path, SocketEdge(edge))]
