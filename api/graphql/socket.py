"""Operations over WebSocket, by graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from contextlib import aclosing
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from api.graphql.documents import Prepared
from api.graphql.door import Kind, Transport, Visit, bearer_token
from api.graphql.edge import Edge
from api.graphql.errors import ErrorJson, Refusal, TooManySockets, bug_json, error_json, exception_json
from api.graphql.execute import Answer, EventStream
from api.graphql.frames import (
    SUBPROTOCOL,
    BadFrame,
    Complete,
    ConnectionInit,
    Frame,
    Ping,
    Pong,
    Subscribe,
    parse,
)
from api.graphql.json import encode
from api.graphql.outbox import Gone, Goodbye, Outbox
from services.errors import ErrorCode, RateLimited, SpacesError

_ACK = encode({"type": "connection_ack"})
_PING = encode({"type": "ping"})
_UNANSWERED_PINGS = 2

_CLOSE_CODES = {ErrorCode.RATE_LIMITED: 4429, ErrorCode.UNAVAILABLE: 1013}


class SocketEdge:
    """The ASGI application of the endpoint's WebSocket."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until it closes."""
        await Socket(self._edge, scope, receive, send).serve()


class Socket:
    """One client's socket. Its tasks live in one group: when any of them ends the socket, all of them end."""

    def __init__(self, edge: Edge, scope: Scope, receive: Receive, send: Send) -> None:
        self._edge = edge
        self._scope = scope
        self._receive = receive
        self._send = send
        self._outbox = Outbox(send, timeout=edge.limits.send_timeout)
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._running = 0
        self._unanswered_pings = 0

    async def serve(self) -> None:
        """Shake hands, talk, and close with the code of what ended it."""
        await self._receive()
        if SUBPROTOCOL not in self._scope["subprotocols"]:
            # Accepted first: a browser is told the code of a close, not the status of a refused handshake.
            await self._send({"type": "websocket.accept"})
            await self._outbox.close(Goodbye(4406, "Subprotocol not acceptable"))
            return
        await self._send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        try:
            visit = await self._greet()
            with self._edge.stream_open(visit):
                farewell = await self._talk(visit)
        except Gone:
            return
        except Goodbye as goodbye:
            farewell = goodbye
        except TooManySockets as error:
            farewell = Goodbye(4429, error.message)
        except Exception as error:  # noqa: BLE001 - the outermost frame: a bug is logged and told by reference
            farewell = Goodbye(1011, bug_json(error, path=None)["message"])
        if farewell is not None:
            await self._outbox.close(farewell)

    async def _greet(self) -> Visit:
        """Who asks, by its first message."""
        timeout = self._edge.limits.init_timeout
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                payload = await self._init()
        except TimeoutError:
            raise Goodbye(4408, "Connection initialisation timeout") from None
        headers = Headers(scope=self._scope)
        given = payload.get("authorization", payload.get("Authorization", headers.get("authorization")))
        client = self._scope.get("client")
        try:
            token = bearer_token(given if given is None else str(given))
            return await self._edge.door.enter(
                token=token, address=client[0] if client else "", headers=headers
            )
        except SpacesError as error:
            raise Goodbye(_CLOSE_CODES.get(error.code, 4403), error.message) from None

    async def _init(self) -> dict[str, Any]:
        while True:
            match await self._frame():
                case ConnectionInit(payload):
                    return payload
                case Ping(payload):
                    await self._pong(payload)
                case Subscribe():
                    raise Goodbye(4401, "Unauthorized")
                case Pong() | Complete():
                    continue

    async def _talk(self, visit: Visit) -> Goodbye | None:
        """Serve the visitor until somebody ends it. None when the client has left."""
        farewell: Goodbye | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._outbox.send(_ACK)
                tasks.create_task(self._keep_alive(visit))
                await self._listen(visit, tasks)
        except* Goodbye as group:
            farewell = next(error for error in group.exceptions if isinstance(error, Goodbye))
        except* Gone:
            farewell = None
        return farewell

    async def _listen(self, visit: Visit, tasks: asyncio.TaskGroup) -> None:
        while True:
            match await self._frame():
                case Subscribe() as message:
                    await self._subscribe(message, visit, tasks)
                case Complete(identifier):
                    operation = self._operations.pop(identifier, None)
                    if operation is not None:
                        operation.cancel()
                case Ping(payload):
                    await self._pong(payload)
                case Pong():
                    self._unanswered_pings = 0
                case ConnectionInit():
                    raise Goodbye(4429, "Too many initialisation requests")

    async def _frame(self) -> Frame:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise Gone
        try:
            return parse(message.get("text"), limits=self._edge.limits)
        except BadFrame as error:
            raise Goodbye(4400, str(error)) from None

    async def _keep_alive(self, visit: Visit) -> None:
        while True:
            cut_short = await visit.rest(self._edge.limits.ping_interval.total_seconds())
            await self._check_welcome(visit)
            if cut_short:
                continue
            if self._unanswered_pings >= _UNANSWERED_PINGS:
                raise Goodbye(4408, f"{self._unanswered_pings} pings were not answered")
            self._unanswered_pings += 1
            await self._outbox.send(_PING)

    async def _check_welcome(self, visit: Visit) -> None:
        if not await visit.still_welcome():
            raise Goodbye(4403, "Forbidden: the session has ended")

    async def _pong(self, payload: dict[str, Any] | None) -> None:
        pong: dict[str, Any] = {"type": "pong"}
        if payload is not None:
            pong["payload"] = payload
        await self._outbox.send(encode(pong))

    async def _subscribe(self, message: Subscribe, visit: Visit, tasks: asyncio.TaskGroup) -> None:
        if message.id in self._operations:
            raise Goodbye(4409, f"Subscriber for {message.id} already exists")
        limit = self._edge.limits.operations_per_socket
        # Those still ending count too, or a client could pile them up by subscribing and completing.
        if self._running >= limit:
            refusal = RateLimited(
                f"This socket runs {limit} operations, the limit. Complete one first.", retry_after_ms=1_000
            )
            await self._error(message.id, [error_json(refusal)])
            return
        operation = tasks.create_task(self._operate(message, visit))
        self._running += 1
        operation.add_done_callback(self._ended)
        self._operations[message.id] = operation

    def _ended(self, _operation: asyncio.Task[None]) -> None:
        # Not in the task's own `finally`: one that is cancelled before its first step never gets there.
        self._running -= 1

    async def _operate(self, message: Subscribe, visit: Visit) -> None:
        try:
            await self._check_welcome(visit)
            self._edge.charge(visit)
            prepared = self._edge.prepare(message.request, visit)
            if isinstance(prepared, Refusal):
                await self._error(message.id, list(prepared.errors))
            else:
                await self._run(message.id, prepared, visit)
        except (Goodbye, Gone):
            raise
        except Exception as error:  # noqa: BLE001 - told for this operation alone, and logged when it is a bug
            await self._error(message.id, [exception_json(error)])
        finally:
            self._free(message.id)

    async def _run(self, identifier: str, prepared: Prepared, visit: Visit) -> None:
        if prepared.kind is Kind.SUBSCRIPTION:
            answer = await self._edge.subscribe(prepared, visit, transport=Transport.WEBSOCKET)
            if isinstance(answer, EventStream):
                await self._stream(identifier, answer)
                return
        else:
            answer = await self._edge.answer(prepared, visit, transport=Transport.WEBSOCKET)
        if not answer.was_begun:
            await self._error(identifier, answer.errors)
            return
        await self._next(identifier, answer)
        await self._complete(identifier)

    async def _stream(self, identifier: str, stream: EventStream) -> None:
        async with aclosing(stream):
            async for event in stream.events():
                await self._outbox.ready()
                await self._next(identifier, await stream.answer(event))
        await self._complete(identifier)

    async def _next(self, identifier: str, answer: Answer) -> None:
        await self._outbox.send(encode({"id": identifier, "type": "next", "payload": answer.payload()}))

    async def _complete(self, identifier: str) -> None:
        self._free(identifier)
        await self._outbox.send(encode({"id": identifier, "type": "complete"}))

    async def _error(self, identifier: str, errors: list[ErrorJson]) -> None:
        self._free(identifier)
        await self._outbox.send(encode({"id": identifier, "type": "error", "payload": errors}))

    def _free(self, identifier: str) -> None:
        """Let the id be used again, unless another operation has it already or the refused one never had
        it.
        """
        if self._operations.get(identifier) is asyncio.current_task():
            del self._operations[identifier]
