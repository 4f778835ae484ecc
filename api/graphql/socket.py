"""Operations over WebSocket, by graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from api.graphql.documents import Prepared
from api.graphql.door import Kind, Transport, Visit, bearer_token
from api.graphql.edge import Edge
from api.graphql.errors import ErrorJson, Refusal, TooManySockets, bug_json, error_json, exception_json
from api.graphql.execute import Answer, Followed
from api.graphql.fanout import Follower
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
from api.graphql.outbox import PUSHER, Gone, Goodbye, Outbox
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
        pusher = scope.get("extensions", {}).get(PUSHER)
        self.outbox = Outbox(send, timeout=edge.limits.send_timeout, pusher=pusher)
        self._operations: dict[str, _Operation] = {}
        self._running = 0
        self._unanswered_pings = 0

    async def serve(self) -> None:
        """Shake hands, talk, and close with the code of what ended it."""
        await self._receive()
        if SUBPROTOCOL not in self._scope["subprotocols"]:
            # Accepted first: a browser is told the code of a close, not the status of a refused handshake.
            await self._send({"type": "websocket.accept"})
            await self.outbox.close(Goodbye(4406, "Subprotocol not acceptable"))
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
            await self.outbox.close(farewell)

    async def _greet(self) -> Visit:
        """Who asks, by its first message."""
        timeout = self._edge.limits.init_timeout
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                payload = await self._init()
        except TimeoutError:
            raise Goodbye(4408, "Connection initialisation timeout") from None
        # Taken out of the scope: nobody else reads them, and they would be kept for as long as the socket is.
        headers = Headers(raw=self._scope.pop("headers"))
        given = payload.get("authorization", payload.get("Authorization", headers.get("authorization")))
        client = self._scope.get("client")
        try:
            token = bearer_token(given if given is None else str(given))
            return await self._edge.enter(token=token, address=client[0] if client else "", headers=headers)
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
                await self.outbox.send(_ACK)
                tasks.create_task(self._keep_alive(visit))
                await self._listen(visit, tasks)
        except* Goodbye as group:
            farewell = next(error for error in group.exceptions if isinstance(error, Goodbye))
        except* Gone:
            farewell = None
        finally:
            for operation in list(self._operations.values()):
                operation.cancel()
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
            await self.outbox.send(_PING)

    async def _check_welcome(self, visit: Visit) -> None:
        if not await visit.still_welcome():
            raise Goodbye(4403, "Forbidden: the session has ended")

    async def _pong(self, payload: dict[str, Any] | None) -> None:
        pong: dict[str, Any] = {"type": "pong"}
        if payload is not None:
            pong["payload"] = payload
        await self.outbox.send(encode(pong))

    async def _subscribe(self, message: Subscribe, visit: Visit, tasks: asyncio.TaskGroup) -> None:
        if message.id in self._operations:
            raise Goodbye(4409, f"Subscriber for {message.id} already exists")
        limit = self._edge.limits.operations_per_socket
        # Those still ending count too, or a client could pile them up by subscribing and completing.
        if self._running >= limit:
            refusal = RateLimited(
                f"This socket runs {limit} operations, the limit. Complete one first.", retry_after_ms=1_000
            )
            await self._refuse(message.id, [error_json(refusal)])
            return
        self._running += 1
        operation = self._operations[message.id] = _Operation(self, message.id, tasks)
        operation.run(lambda: self._operate(operation, message, visit))

    def ended(self, operation: "_Operation") -> None:
        """It runs no more. The id is free unless another operation has it already."""
        self._running -= 1
        if self._operations.get(operation.id) is operation:
            del self._operations[operation.id]

    async def _operate(self, operation: "_Operation", message: Subscribe, visit: Visit) -> None:
        await self._check_welcome(visit)
        self._edge.charge(visit)
        prepared = await self._edge.prepare(message.request, visit)
        if isinstance(prepared, Refusal):
            await self.error(operation, list(prepared.errors))
        elif prepared.kind is Kind.SUBSCRIPTION:
            await self._subscription(operation, prepared, visit)
        else:
            answer = await self._edge.answer(prepared, visit, transport=Transport.WEBSOCKET)
            await self._answer(operation, answer)

    async def _subscription(self, operation: "_Operation", prepared: Prepared, visit: Visit) -> None:
        stream = await self._edge.subscribe(prepared, visit, transport=Transport.WEBSOCKET)
        if isinstance(stream, Answer):
            await self._answer(operation, stream)
        elif isinstance(stream, Followed):
            await operation.follow(self._edge.fanout.join(stream, operation))
        else:
            async with aclosing(stream):
                async for event in stream.events():
                    await self.outbox.ready()
                    await self.outbox.send(operation.next(encode((await stream.answer(event)).payload())))
            await self._complete(operation)

    async def _answer(self, operation: "_Operation", answer: Answer) -> None:
        if not answer.was_begun:
            await self.error(operation, answer.errors)
            return
        await self.outbox.send(operation.next(encode(answer.payload())))
        await self._complete(operation)

    async def _complete(self, operation: "_Operation") -> None:
        self._free(operation)
        await self.outbox.send(encode({"id": operation.id, "type": "complete"}))

    async def error(self, operation: "_Operation", errors: list[ErrorJson]) -> None:
        """Tell that an operation was not begun, or ended badly."""
        self._free(operation)
        await self._refuse(operation.id, errors)

    async def _refuse(self, identifier: str, errors: list[ErrorJson]) -> None:
        await self.outbox.send(encode({"id": identifier, "type": "error", "payload": errors}))

    def _free(self, operation: "_Operation") -> None:
        """Let the id be used again, unless another operation has it already."""
        if self._operations.get(operation.id) is operation:
            del self._operations[operation.id]


class _Operation:
    """One operation of a socket, which runs in a task, or follows a stream with others and needs none."""

    __slots__ = ("_follower", "_head", "_is_over", "_pusher", "_socket", "_task", "_tasks", "id")

    def __init__(self, socket: Socket, identifier: str, tasks: asyncio.TaskGroup) -> None:
        self.id = identifier
        self._socket = socket
        # Taken at hand: with thousands who are told, each object on the way is one more that no cache has.
        self._pusher = socket.outbox.pusher
        self._tasks = tasks
        self._task: asyncio.Task[None] | None = None
        self._follower: Follower | None = None
        self._is_over = False
        self._head = b'{"id":%b,"type":"next","payload":' % encode(identifier)

    def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something in a task of its own. What it raises is told for this operation alone."""
        guarded = self._guarded(work)
        try:
            self._task = self._tasks.create_task(guarded)
        except RuntimeError:
            # The socket is closing, and took those who follow with others for the last.
            guarded.close()
            self._leave()
            return
        # Not in the task's own `finally`: one that is cancelled before its first step never gets there.
        self._task.add_done_callback(self._done)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (Goodbye, Gone):
            raise
        except Exception as error:  # noqa: BLE001 - told for this operation alone, and logged when it is a bug
            self._leave()
            await self._socket.error(self, [exception_json(error)])

    def _done(self, task: asyncio.Task[None]) -> None:
        if task is self._task:
            self._task = None
        if self._is_over or task.cancelled() or task.exception() is not None:
            self._leave()
        if self._follower is None and self._task is None:
            self._socket.ended(self)

    def _leave(self) -> None:
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.close()

    def cancel(self) -> None:
        """End it. Who follows with others is gone at once."""
        self._is_over = True
        if self._task is not None:
            self._task.cancel()
        elif self._follower is not None:
            self._leave()
            self._socket.ended(self)

    async def follow(self, follower: Follower) -> None:
        """Follow a stream until the operation ends."""
        self._follower = follower
        await follower.follow()

    def next(self, body: bytes) -> bytes:
        """A message with this payload."""
        return b"%b%b}" % (self._head, body)

    def push(self, rest: bytes) -> bool:
        """Send a `next` at once, if the client takes it."""
        return self._pusher is not None and self._pusher.push(self._head, rest)

    async def send(self, body: bytes) -> None:
        """Send a `next`."""
        await self._socket.outbox.send(self.next(body))

    async def ready(self) -> None:
        """Wait until a message could be sent."""
        await self._socket.outbox.ready()

    def fail(self, errors: list[ErrorJson]) -> None:
        """What it follows has ended for it."""
        self._follower = None
        self.run(lambda: self._socket.error(self, errors))
