"""A way from browsers to a server that can be cut: nothing passes then, and nobody is told, as in a tunnel.

TCP goes by one port for pages, GraphQL, its WebSocket and media; each WebRTC connection by a UDP port of its own,
which stands in the server's answers instead of the server's.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from typing import cast

from playwright.async_api import BrowserContext, Route

_CHUNK = 65_536
_CANDIDATE = re.compile(r"(a=candidate:\S+ \d+ udp \d+ 127\.0\.0\.1 )(\d+)( typ host)", re.IGNORECASE)
_SESSIONS = re.compile(r"/wh[ie]p/")


class Road:
    """The way itself. `target_port` is the server's; `on_request` is told of what goes there, before it does."""

    def __init__(self) -> None:
        self.port = 0
        self.target_port = 0
        self.on_request: Callable[[bytes], None] = lambda _chunk: None
        self.dropped = 0
        self._open = asyncio.Event()
        self._open.set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._is_closed = False
        self._relays: list[asyncio.DatagramTransport] = []

    @property
    def url(self) -> str:
        """Where browsers go."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_cut(self) -> bool:
        """Whether nothing passes."""
        return not self._open.is_set()

    def cut(self) -> None:
        """From now on nothing passes: streams stand still, packets are lost, new connections get no answer."""
        self._open.clear()

    def mend(self) -> None:
        """What waits in streams goes on; lost packets stay lost."""
        self._open.set()

    def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One TCP connection from a browser."""
        self._ends.add(writer)
        if self._is_closed:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._carry(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._ends.add(back)
            try:
                await asyncio.gather(self._pass(reader, back, asks=True), self._pass(there, writer))
            finally:
                # Also when neither has begun.
                await _close(back)
                self._ends.discard(back)
        except OSError:
            pass
        finally:
            await _close(writer)
            self._ends.discard(writer)

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, asks: bool = False
    ) -> None:
        try:
            while chunk := await source.read(_CHUNK):
                if asks:
                    self.on_request(chunk)
                await self._open.wait()
                sink.write(chunk)
                await sink.drain()
        except OSError:
            pass
        finally:
            await _close(sink)

    async def lead(self, context: BrowserContext) -> None:
        """Let the WebRTC of a browser's pages go this way too."""

        async def answer(route: Route) -> None:
            if route.request.method == "POST":
                await self._answer(route)
            else:
                await route.continue_()

        await context.route(_SESSIONS, answer)

    async def _answer(self, route: Route) -> None:
        """The server's answer to an offer, with ports of this way."""
        answered = await route.fetch(timeout=0)
        body = await answered.text()
        near = {found[2]: await self._relay(int(found[2])) for found in _CANDIDATE.finditer(body)}
        body = _CANDIDATE.sub(lambda found: f"{found[1]}{near[found[2]]}{found[3]}", body)
        await route.fulfill(response=answered, body=body)

    async def _relay(self, port: int) -> int:
        """A port whose packets go to `port` of the server and back."""
        loop = asyncio.get_running_loop()
        far, far_end = await loop.create_datagram_endpoint(
            lambda: _Relay(self), remote_addr=("127.0.0.1", port)
        )
        near, near_end = await loop.create_datagram_endpoint(
            lambda: _Relay(self), local_addr=("127.0.0.1", 0)
        )
        far_end.other, near_end.other = near_end, far_end
        self._relays += [far, near]
        return int(near.get_extra_info("sockname")[1])

    async def close(self) -> None:
        """Leave nothing open."""
        self._is_closed = True
        for relay in self._relays:
            relay.close()
        tasks = list(self._carrying)
        for task in tasks:
            task.cancel()
        # Without waiting for what a browser that is gone has not read; also those that have not begun.
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Those that were taken meanwhile come, and go, in the loop's next turns.
        for _ in range(5):
            await asyncio.sleep(0)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class _Relay(asyncio.DatagramProtocol):
    """One end of a relay: what it gets the other end sends, to whom spoke to that end last."""

    def __init__(self, road: Road) -> None:
        self.other: _Relay | None = None
        self._road = road
        self._transport: asyncio.DatagramTransport | None = None
        self._peer: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._is_connected = transport.get_extra_info("peername") is not None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._peer = addr
        if self._road.is_cut:
            self._road.dropped += 1
        elif self.other is not None:
            self.other.send(data)

    def error_received(self, exc: Exception) -> None:
        """The server has closed a session, and a browser does not know yet."""

    def send(self, data: bytes) -> None:
        """Send it on."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._is_connected:
            self._transport.sendto(data)
        elif self._peer is not None:
            self._transport.sendto(data, self._peer)


@contextlib.asynccontextmanager
async def open_road() -> AsyncIterator[Road]:
    """A way that leads to nobody until it gets its `target_port`."""
    road = Road()
    server = await asyncio.start_server(road.carry, "127.0.0.1", 0)
    road.port = server.sockets[0].getsockname()[1]
    try:
        yield road
    finally:
        server.close()
        await road.close()
