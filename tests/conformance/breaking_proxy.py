"""A way to a server that can be cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class BreakingProxy:
    """Carries bytes both ways; `cut` breaks every connection there is, as a lost network does."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.cuts = 0
        self._to = port
        self._open: set[asyncio.StreamWriter] = set()
        self._answered = asyncio.Event()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    async def cut(self) -> None:
        """Reset both sides of every connection, once there is one that the server has answered."""
        await self._answered.wait()
        self.cuts += 1
        self.end()

    def end(self) -> None:
        """Reset whatever is open."""
        self._answered.clear()
        for writer in self._open:
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        onward, out = await asyncio.open_connection("127.0.0.1", self._to)
        ours = {writer, out}
        self._open |= ours
        try:
            # Whichever way ends first, the other has nobody left to carry for.
            ways = [
                asyncio.create_task(self._pass(reader, out)),
                asyncio.create_task(self._pass(onward, writer)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._open -= ours
            for one in ours:
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
                if writer.get_extra_info("sockname")[1] == self.port and writer in self._open:
                    self._answered.set()


@contextlib.asynccontextmanager
async def breaking_proxy(port: int) -> AsyncIterator[BreakingProxy]:
    """A proxy before a port of this machine, for as long as the block lasts."""
    proxy = BreakingProxy(port)
    served = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    proxy.port = served.sockets[0].getsockname()[1]
    async with served:
        yield proxy
        proxy.end()
