"""GraphQL over HTTP: https://graphql.github.io/graphql-over-http/draft/."""

import math
from collections.abc import Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.graphql.accept import JSON, RESPONSE_JSON, Accepted, negotiate
from api.graphql.documents import Prepared
from api.graphql.door import Kind, Transport, Visit, bearer_token
from api.graphql.edge import Edge
from api.graphql.errors import (
    BodyTooLarge,
    MethodNotAllowed,
    NotAcceptable,
    Refusal,
    WrongMediaType,
    bug_json,
    error_json,
)
from api.graphql.execute import Answer
from api.graphql.json import encode
from api.graphql.replays import key_of
from api.graphql.request import GraphQLRequest, from_body, from_query_string
from api.graphql.sse import EventStreamResponse
from services.errors import ErrorCode, InvalidInput, SpacesError

_ALLOW = "GET, POST"


class HttpEdge:
    """The ASGI application of the endpoint's GET and POST, JSON and event streams."""

    def __init__(self, edge: Edge, *, graphiql: Callable[[Request], Response]) -> None:
        self._edge = edge
        self._graphiql = graphiql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        accepted = negotiate(request.headers.get("accept"))
        try:
            response = await self._respond(request, accepted)
        except ClientDisconnect:
            return
        except SpacesError as error:
            response = error_response(error, accepted)
        except Exception as error:  # noqa: BLE001 - the outermost frame: a bug is logged and told by reference
            response = json_response({"errors": [bug_json(error, path=None)]}, JSON, status=500)
        await response(scope, receive, send)

    async def _respond(self, request: Request, accepted: Accepted) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": _ALLOW})
        if request.method not in ("GET", "POST"):
            raise MethodNotAllowed
        if request.method == "GET" and accepted.prefers_html and "query" not in request.query_params:
            return self._graphiql(request)
        if accepted.json is None and not accepted.streams:
            raise NotAcceptable
        visit = await self._enter(request)
        self._edge.charge(visit)
        prepared = await self._edge.prepare(await self._read(request), visit)
        key = key_of(request.headers)
        if accepted.streams and _is_streamed(prepared, accepted):
            return self._stream(request, prepared, visit, key)
        media_type = accepted.json or JSON
        if isinstance(prepared, Refusal):
            return refusal_response(prepared, media_type)
        if prepared.kind is Kind.SUBSCRIPTION:
            raise InvalidInput("Subscriptions run over a WebSocket, or with `Accept: text/event-stream`.")
        self._check_method(request, prepared)
        answer = await self._edge.answer(prepared, visit, transport=Transport.HTTP, key=key)
        return answer_response(answer, media_type)

    async def _enter(self, request: Request) -> Visit:
        address = request.client.host if request.client else ""
        token = bearer_token(request.headers.get("authorization"))
        return await self._edge.enter(token=token, address=address, headers=request.headers)

    async def _read(self, request: Request) -> GraphQLRequest:
        limits = self._edge.limits
        if request.method == "GET":
            return from_query_string(request.scope["query_string"], limits=limits)
        if request.headers.get("content-encoding", "identity") != "identity":
            raise WrongMediaType("Compressed bodies are not read. Send it without Content-Encoding.")
        body = await read_body(request, limit_bytes=limits.body_bytes)
        return from_body(body, request.headers.get("content-type"), limits=limits)

    def _stream(
        self, request: Request, prepared: Prepared | Refusal, visit: Visit, key: str | None
    ) -> Response:
        if isinstance(prepared, Prepared):
            self._check_method(request, prepared)
            self._edge.check_streams(visit)
        return EventStreamResponse(self._edge, prepared, visit, key=key)

    @staticmethod
    def _check_method(request: Request, prepared: Prepared) -> None:
        # A GET is repeated, prefetched and sent from other sites without asking; so it must not change
        # anything.
        if request.method == "GET" and prepared.kind is Kind.MUTATION:
            raise MethodNotAllowed("Mutations are sent by POST.")


def _is_streamed(prepared: Prepared | Refusal, accepted: Accepted) -> bool:
    if accepted.json is None or accepted.prefers_stream:
        return True
    # Clients like urql's accept everything at once and expect a stream for subscriptions alone.
    return isinstance(prepared, Prepared) and prepared.kind is Kind.SUBSCRIPTION


async def read_body(request: Request, *, limit_bytes: int) -> bytes:
    """The body, of at most `limit_bytes`.

    Raises BodyTooLarge, before reading where the length is declared.
    """
    refusal = BodyTooLarge(f"The body is larger than {limit_bytes} bytes. Send less, in several requests.")
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or len(declared) > 15 or int(declared) > limit_bytes:
        raise refusal
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise refusal
    return bytes(body)


def error_response(error: SpacesError, accepted: Accepted) -> Response:
    """The answer to a request that did not get as far as an operation."""
    response = json_response({"errors": [error_json(error)]}, accepted.json or JSON, status=error.status)
    if error.code is ErrorCode.UNAUTHENTICATED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after_ms is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_ms / 1000))
    if isinstance(error, BodyTooLarge):
        # The rest of the body is not read, so that nothing can follow it.
        response.headers["Connection"] = "close"
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = _ALLOW
    return response


def refusal_response(refusal: Refusal, media_type: str) -> Response:
    """The answer to an operation that was not begun (GraphQL over HTTP, section 6.4)."""
    # application/json promises 200 for every well-formed request, so that old clients look into `errors`;
    # what
    # asks for too much is not well-formed to us.
    status = 400 if refusal.by_guard or media_type == RESPONSE_JSON else 200
    return json_response({"errors": list(refusal.errors)}, media_type, status=status)


def answer_response(answer: Answer, media_type: str) -> Response:
    """The answer of an operation: 200 once it was begun, errors in fields or not."""
    status = 400 if not answer.was_begun and media_type == RESPONSE_JSON else 200
    response = json_response(answer.payload(), media_type, status=status)
    waits_ms = [refusal.retry_after_ms for refusal in answer.refused if refusal.retry_after_ms is not None]
    if waits_ms:
        response.headers["Retry-After"] = str(math.ceil(max(waits_ms) / 1000))
    if answer.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def json_response(payload: dict[str, Any], media_type: str, *, status: int) -> Response:
    """`payload` as JSON, never stored: answers depend on who asks."""
    return Response(
        encode(payload),
        status_code=status,
        headers={
            "Content-Type": f"{media_type}; charset=utf-8",
            "Cache-Control": "no-store",
            "Vary": "Accept",
        },
    )
