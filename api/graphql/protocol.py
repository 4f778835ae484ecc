"""uvicorn's protocols with the bounds in time and bytes that the stock ones lack.

Built on uvicorn 0.54. It documents nothing of what is overridden here, so tests/edge/test_protocol.py pins
each behaviour by its effect on the wire.
"""

import asyncio
import socket
import struct
from http import HTTPStatus
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from api.graphql.limits import Limits
from api.graphql.outbox import PUSHER
from api.graphql.sse import ENDS_WITH_SERVER
from api.graphql.waiting import Gate, Inbox

_LINGER_BYTES = 64_000_000
_MAX_FRAGMENTS = 1_000
_TEXT = 0x81
_SIZE_OF_7_BITS = 126
_SIZE_OF_16_BITS = 65_536
_SHORT = struct.Struct(">BBH")
_LONG = struct.Struct(">BBQ")
# What may wait for a client that does not read: in the kernel, which doubles it and else takes megabytes, and here.
_KERNEL_BYTES = 32_768
_WAITING_BYTES = 16_384


def server_options(limits: Limits) -> dict[str, Any]:
    """The arguments of `uvicorn.Config` that go with `limits`."""

    class Http(TimedHttpToolsProtocol):
        bounds = limits

    class WebSocket(PatientWebSocketProtocol):
        bounds = limits

    return {
        "http": Http,
        "ws": WebSocket,
        "ws_max_size": limits.body_bytes,
        # The protocol's own `ping` message replaces RFC 6455 pings, whose failure uvicorn tells with 1011.
        "ws_ping_interval": None,
        # Deflate costs 30 kB of memory a socket, and lets a small frame become a large one.
        "ws_per_message_deflate": False,
    }


class _LingeringTransport:
    """What a response is written to.

    Closing it while the client still sends would make the kernel reset the connection and take the answer
    with it; so the rest is read and dropped for a moment (RFC 9112, section 9.6).
    """

    def __init__(self, protocol: "TimedHttpToolsProtocol") -> None:
        self._protocol = protocol
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing

    def close(self) -> None:
        if self._protocol.is_reading_body:
            self._protocol.linger()
        else:
            self._protocol.transport.close()


class TimedHttpToolsProtocol(HttpToolsProtocol):
    """Closes clients whose headers (408) or body (408) take too long, or whose headers are too large (431).

    On shutdown it ends event streams, which would otherwise hold the server for as long as clients listen.
    """

    bounds: ClassVar[Limits] = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the headers of the first request."""
        super().connection_made(transport)
        self.is_reading_body = False
        self._is_reading_headers = True
        self._header_bytes = 0
        self._lingering_bytes: int | None = None
        self._cycle: RequestResponseCycle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wait(self.bounds.header_timeout.total_seconds())

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_waiting()
        super().connection_lost(exc)
        # uvicorn does this only when the client closes in good order.
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Take bytes while they are within the bounds."""
        if self._lingering_bytes is not None:
            self._lingering_bytes += len(data)
            if self._lingering_bytes > _LINGER_BYTES:
                self.transport.close()
            return
        if self._is_reading_headers:
            if self._timer is None:
                self._wait(self.bounds.header_timeout.total_seconds())
            # Counted before parsing, since the parser collects a header of any size.
            self._header_bytes += len(data.partition(b"\r\n\r\n")[0])
            if self._header_bytes > self.bounds.header_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Begin to wait for the body."""
        self._is_reading_headers = False
        self._header_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()
        if self.parser.should_upgrade() and self._should_upgrade():
            return
        self.is_reading_body = True
        self._cycle = self.cycle
        self.cycle.transport = _LingeringTransport(self)  # type: ignore[assignment]
        self._wait(self.bounds.body_timeout.total_seconds())

    def on_message_complete(self) -> None:
        """The request is whole: what takes time now is ours."""
        super().on_message_complete()
        self.is_reading_body = False
        self._is_reading_headers = True
        self._stop_waiting()
        cycle = self._cycle
        if cycle is not None and cycle.response_complete and not self.transport.is_closing():
            self._keep_alive()

    def on_response_complete(self) -> None:
        """Wait for the next request; first for the rest of this one, when it was answered early."""
        super().on_response_complete()
        if self.is_reading_body:
            self._unset_keepalive_if_required()

    def _keep_alive(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def linger(self) -> None:
        """Stop parsing, drop what still comes, and close in a moment."""
        if self._lingering_bytes is None:
            self._lingering_bytes = 0
            self._stop_waiting()
            self.flow.resume_reading()
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self._timer = self.loop.call_later(self.bounds.linger.total_seconds(), self.transport.close)

    def shutdown(self) -> None:
        """End event streams, let other answers finish."""
        cycle = self._cycle
        if cycle is not None and not cycle.response_complete and cycle.scope["state"].get(ENDS_WITH_SERVER):
            cycle.disconnected = True
            cycle.message_event.set()
            self.transport.close()
            return
        super().shutdown()

    def _wait(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self.is_reading_body and self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        if not (self.transport.is_closing() or self._is_answering_another()):
            body = (
                b'{"errors":[{"message":"%b","extensions":{"code":"INVALID_INPUT"}}]}'
                % status.phrase.encode()
            )
            self.transport.write(
                b"%bcontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                % (STATUS_LINE[status], len(body), body)
            )
        if self.is_reading_body:
            # The application, which may wait for the rest of the body, is told that none will come.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.linger()

    def _is_answering_another(self) -> bool:
        if self.is_reading_body:
            return bool(self.pipeline)
        return self._cycle is not None and not self._cycle.response_complete


class PatientWebSocketProtocol(WebSocketsSansIOProtocol):
    """Lets a client read why its socket was closed, and cuts off one that reads nothing.

    On shutdown clients are told 1001 (going away).
    """

    bounds: ClassVar[Limits] = Limits()

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.queue = cast("Any", Inbox())
        self.writable = cast("Any", Gate())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let little wait for a client, so that it is soon known to read too slowly."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=_WAITING_BYTES)
        peer = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BYTES)

    def handle_parser_exception(self) -> None:
        """Tell the client what was wrong with its frame (1002, 1007, 1009), and give it a moment to read
        it.
        """
        # uvicorn closes at once: bytes that the client still sends then reset the connection, and it sees
        # 1006.
        if not self.close_sent:
            self._say_goodbye()

    def handle_ping(self) -> None:
        """Answer an RFC 6455 ping, unless the client reads nothing: its pongs would pile up here."""
        pong = b"".join(self.conn.data_to_send())
        # After our close, which no longer waits for the client, none is due.
        if self.writable.is_set() and not self.close_sent:
            self.transport.write(pong)

    def handle_cont(self, event: Frame) -> None:
        """Take a part of a message; empty ones too are counted, which its size does not bound."""
        if len(self.frames) < _MAX_FRAGMENTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self.conn.fail(1009, "Too many fragments")
            self._say_goodbye()

    def send_receive_event_to_app(self) -> None:
        """Pass a message on, unless it is text that is no UTF-8.

        uvicorn would log that as an error of ours, trace and all, as often as a client pleases.
        """
        if self.curr_msg_data_type == "text" and not self.close_sent:
            self.frames = [b"".join(self.frames)]
            try:
                self.frames[0].decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.fail(1007, "Text that is no UTF-8")
                self._say_goodbye()
                return
        super().send_receive_event_to_app()

    def shutdown(self) -> None:
        """Tell the client that the server goes away."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        self.stop_keepalive()
        self.conn.send_close(1001)
        self._say_goodbye()

    def handle_connect(self, event: Request) -> None:
        """Offer the application to push."""
        super().handle_connect(event)
        if self.handshake_initiated and not self.close_sent:
            offered: dict[str, Any] = cast("dict[str, Any]", self.scope["extensions"])
            offered[PUSHER] = self

    def push(self, head: bytes, rest: bytes) -> bool:
        """Write a text message past the queues of ASGI. False when the client must be waited for, or has left."""
        if self.close_sent or self.disconnected or not self.writable.is_set():
            return False
        # RFC 6455, section 5.2: final, text, unmasked. No extension is ever negotiated here.
        size = len(head) + len(rest)
        if size < _SIZE_OF_7_BITS:
            start = bytes((_TEXT, size))
        elif size < _SIZE_OF_16_BITS:
            start = _SHORT.pack(_TEXT, 126, size)
        else:
            start = _LONG.pack(_TEXT, 127, size)
        self.transport.write(b"".join((start, head, rest)))
        return True

    async def drained(self) -> None:
        """Wait until `push` would not refuse for want of room."""
        await self.writable.wait()

    async def send(self, message: Any) -> None:
        """Send what the application says, while there is somebody to hear it."""
        if self.close_sent:
            raise ClientDisconnected
        if message["type"] != "websocket.close":
            await super().send(message)
            if message["type"] == "websocket.accept":
                # Nothing reads them again, and they would be kept for as long as the socket is.
                self.request.headers.clear()
                del self.request, self.response
            return
        # A close does not wait for the client to read what came before; it is what ends that wait.
        self.writable.set()
        await super().send(message)
        self._cut_later()

    def _say_goodbye(self) -> None:
        close = self.conn.close_sent
        code = close.code if close else 1006
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            # The client's own close is still to be read.
            self.read_paused = False
            self.transport.resume_reading()
        self._cut_later()

    def _cut_later(self) -> None:
        # In uvicorn's own timer, so that what cancels that cancels this; but with an abort, since a close
        # would
        # wait for a client that reads nothing for as long as it pleases.
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(self.bounds.linger.total_seconds(), self.transport.abort)
