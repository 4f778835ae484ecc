"""Sending on one socket: in turn, with a bound on how long a client may leave a message unread."""

import asyncio
from datetime import timedelta
from typing import Protocol

from starlette.types import Send

# In the extensions of a WebSocket's scope: a `Pusher`. Other servers than ours have none.
PUSHER = "spaces.pusher"

# Messages after which other tasks get their turn: some 0.5 ms.
_SENT_IN_A_ROW = 16


class Goodbye(Exception):
    """The socket is closed from our side, with a code of graphql-transport-ws or of RFC 6455."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        # RFC 6455, section 5.5: a control frame carries 125 bytes, two of them the code.
        self.reason = reason.encode()[:123].decode(errors="ignore")


class Gone(Exception):
    """The client has left."""


class Pusher(Protocol):
    """A way past the queues of ASGI, for messages that need no waiting."""

    def push(self, head: bytes, rest: bytes) -> bool:
        """Send one text message, of two parts. False, and nothing is done, when the client must be waited for."""

    async def drained(self) -> None:
        """Wait until `push` would not refuse for want of room."""


class Outbox:
    """Hands messages to the server one at a time.

    While the client reads too slowly, one message waits in the server and each operation holds at most one
    more: `ready` lets a subscription make its next answer only when the one before was handed over.
    """

    def __init__(self, send: Send, *, timeout: timedelta, pusher: Pusher | None = None) -> None:
        self._send = send
        self.pusher = pusher
        self._timeout_s = timeout.total_seconds()
        self._turn = asyncio.Lock()
        self._sent = 0

    async def ready(self) -> None:
        """Return when no message is waiting. Raises Goodbye when the client does not read."""
        try:
            async with asyncio.timeout(self._timeout_s), self._turn:
                if self.pusher is not None:
                    await self.pusher.drained()
        except TimeoutError:
            raise self._too_slow() from None

    async def send(self, message: bytes) -> None:
        """Hand `message` to the server.

        Raises Goodbye when the client does not read, Gone when it has left.
        """
        text = message.decode()
        try:
            async with asyncio.timeout(self._timeout_s), self._turn:
                await self._send({"type": "websocket.send", "text": text})
                self._sent += 1
                if self._sent % _SENT_IN_A_ROW == 0:
                    # While a client reads as fast as events are made, nothing above ever waits.
                    await asyncio.sleep(0)
        except TimeoutError:
            raise self._too_slow() from None
        except OSError:
            raise Gone from None

    async def close(self, farewell: Goodbye) -> None:
        """Close the socket.

        A client that reads nothing is left to the server's protocol, which cuts it off.
        """
        try:
            async with asyncio.timeout(1):
                await self._send(
                    {"type": "websocket.close", "code": farewell.code, "reason": farewell.reason}
                )
        except OSError:
            return

    def _too_slow(self) -> Goodbye:
        return Goodbye(1013, f"A message was left unread for {self._timeout_s:g} s")
