"""GraphQL over server-sent events, "distinct connections mode".

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing, nullcontext

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.graphql.documents import Prepared
from api.graphql.door import Kind, Transport, Visit
from api.graphql.edge import Edge
from api.graphql.errors import ErrorJson, Refusal, error_json, exception_json
from api.graphql.execute import Answer, EventStream, Followed
from api.graphql.fanout import Fanout
from api.graphql.json import encode
from services.errors import Unauthenticated

# uvicorn's protocol (api/graphql/protocol.py) ends responses so marked when the server shuts down.
ENDS_WITH_SERVER = "spaces.ends_with_server"

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"vary", b"Accept"),
    # nginx would hold events back until its buffer is full.
    (b"x-accel-buffering", b"no"),
]
# The empty `data` is for browsers: their EventSource drops events without any.
_COMPLETE = b"event: complete\ndata:\n\n"
_HEARTBEAT = b":\n\n"
# What others are told while one stream's client reads: beyond it, this one reads on alone.
_MOST_WAITING = 16


class _Ended(Exception):
    """The stream is over, for whatever reason; what else runs for it is cancelled."""


class EventStreamResponse(Response):
    """Runs one operation and sends its answers as they come, until it completes or the client goes.

    A mutation in it runs to its end. A client that leaves an event unread for `send_timeout` is dropped.
    """

    def __init__(
        self, edge: Edge, prepared: Prepared | Refusal, visit: Visit, *, key: str | None = None
    ) -> None:
        """`key` is the Idempotency-Key of a mutation."""
        super().__init__()
        self._key = key
        self._edge = edge
        self._prepared = prepared
        self._visit = visit
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        scope.setdefault("state", {})[ENDS_WITH_SERVER] = True
        self._send = send
        is_long = isinstance(self._prepared, Prepared) and self._prepared.kind is Kind.SUBSCRIPTION
        with self._edge.stream_open(self._visit) if is_long else nullcontext():
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._leave_with_client(receive))
                    tasks.create_task(self._beat())
                    await self._run()
                    raise _Ended
            except* (_Ended, OSError):
                # OSError: the connection is gone, or (TimeoutError) the client does not read.
                pass
            await self._finish()

    async def _run(self) -> None:
        try:
            await self._answers()
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - told to the client, and logged when it is a bug
            await self._fail([exception_json(error)])
        await self._write(_COMPLETE)

    async def _answers(self) -> None:
        if isinstance(self._prepared, Refusal):
            await self._fail(list(self._prepared.errors))
        elif self._prepared.kind is not Kind.SUBSCRIPTION:
            answer = await self._edge.answer(
                self._prepared, self._visit, transport=Transport.SSE, key=self._key
            )
            await self._next(answer)
        else:
            stream = await self._edge.subscribe(self._prepared, self._visit, transport=Transport.SSE)
            if isinstance(stream, Answer):
                await self._next(stream)
            elif isinstance(stream, Followed):
                await self._fail(await _Post(self._edge.fanout, stream, self._tell).write())
            else:
                await self._events(stream)

    async def _events(self, stream: EventStream) -> None:
        async with aclosing(stream):
            async for event in stream.events():
                await self._next(await stream.answer(event))
                # While a client reads as fast as events are made, nothing above ever waits.
                await asyncio.sleep(0)

    async def _next(self, answer: Answer) -> None:
        await self._tell(encode(answer.payload()))

    async def _tell(self, payload: bytes) -> None:
        await self._write(b"event: next\ndata: %b\n\n" % payload)

    async def _fail(self, errors: list[ErrorJson]) -> None:
        await self._next(Answer(None, errors, was_begun=False))

    async def _write(self, event: bytes) -> None:
        async with asyncio.timeout(self._edge.limits.send_timeout.total_seconds()), self._turn:
            await self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def _beat(self) -> None:
        while True:
            await self._visit.rest(self._edge.limits.heartbeat_interval.total_seconds())
            if not await self._visit.still_welcome():
                await self._fail([error_json(Unauthenticated())])
                await self._write(_COMPLETE)
                raise _Ended
            await self._write(_HEARTBEAT)

    async def _leave_with_client(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Ended

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(1):
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        except OSError:
            # The client is gone, or reads nothing any more: nobody is left to tell.
            return


class _Post:
    """Messages that are shared with others, until the stream's own task has written them."""

    def __init__(self, fanout: Fanout, followed: Followed, tell: Callable[[bytes], Awaitable[None]]) -> None:
        self._follower = fanout.join(followed, self)
        self._tell = tell
        self._waiting: deque[bytes] = deque()
        self._work: Callable[[], Awaitable[None]] | None = None
        self._errors: list[ErrorJson] | None = None
        self._woken = asyncio.Event()

    async def write(self) -> list[ErrorJson]:
        """Write what comes, until it has ended with these errors."""
        try:
            await self._follower.follow()
            while True:
                await self._woken.wait()
                self._woken.clear()
                while self._waiting:
                    await self.send(self._waiting.popleft())
                if self._errors is not None:
                    return self._errors
                work, self._work = self._work, None
                if work is not None:
                    await work()
        finally:
            self._follower.close()

    def push(self, rest: bytes) -> bool:
        """Leave a message to be written."""
        if len(self._waiting) >= _MOST_WAITING:
            return False
        self._waiting.append(rest[:-1])
        self._woken.set()
        return True

    async def send(self, body: bytes) -> None:
        """Write a message."""
        await self._tell(body)
        # While a client reads as fast as events are made, nothing above ever waits.
        await asyncio.sleep(0)

    async def ready(self) -> None:
        """Whoever follows alone has written everything."""

    def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something once everything is written."""
        self._work = work
        self._woken.set()

    def fail(self, errors: list[ErrorJson]) -> None:
        """End once everything is written."""
        self._errors = errors
        self._woken.set()
