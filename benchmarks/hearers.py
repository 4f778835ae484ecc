"""Many WebSocket subscribers in one process that does little else: `python -m benchmarks.hearers`.

Standard input has a command a line, as JSON. `{"open": n, "port", "payloads": [...], "inits": [...]}` opens n more
sockets; number i sends inits[i % len] and subscribes to payloads[i % len]. `{"expect": n}` answers when n messages came
since the last one, and `{"forget": true}` drops what came. Answers are JSON lines too; instants are of the monotonic
clock, which all processes of a machine share.
"""

import asyncio
import sys
import time
from typing import Any

import orjson
import uvloop

# Thousands who join at once take a minute on a machine that is busy with other things.
_PATIENCE_S = 240
_PING_BYTES = len(b'{"type":"ping"}')
_AT_A_TIME = 50


def frame(payload: bytes) -> bytes:
    """A text frame of a client, masked with zeros (RFC 6455, section 5.2)."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x81" + length + b"\0\0\0\0" + payload


_PONG = frame(b'{"type":"pong"}')


class Tally:
    """What came, for all sockets together."""

    def __init__(self) -> None:
        self.came_at: list[float] = []
        self.lost = 0
        self.open = 0
        self.first_text = b""


class Hearer(asyncio.Protocol):
    """One subscriber: counts frames and answers pings."""

    def __init__(self, tally: Tally, greeting: list[bytes]) -> None:
        self._tally = tally
        self._greeting = greeting
        self._buffer = b""
        self._is_up = False

    def connection_made(self, transport: Any) -> None:
        """Ask for the socket."""
        self._transport = transport
        transport.write(
            b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        )

    def connection_lost(self, _error: Exception | None) -> None:
        """Be missed."""
        self._tally.lost += 1

    def data_received(self, data: bytes) -> None:
        """Count what is whole."""
        now = time.monotonic()
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        if not self._is_up:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._is_up = True
            self._tally.open += 1
            self._transport.write(frame(self._greeting[0]))
        at, size = 0, len(data)
        while size - at >= 2:
            length, start = data[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            elif length == 127:
                length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
            if start + length > size:
                break
            self._heard(data, start, length, now)
            at = start + length
        self._buffer = data[at:]

    def _heard(self, data: bytes, start: int, length: int, now: float) -> None:
        # Only pings are as short as this, and the answer to the greeting is told by its type.
        if length == _PING_BYTES:
            self._transport.write(_PONG)
        elif data.find(b'"connection_ack"', start, start + length) >= 0:
            self._transport.write(frame(self._greeting[1]))
        else:
            self._tally.came_at.append(now)
            self._tally.first_text = self._tally.first_text or data[start : start + length]


async def _open(tally: Tally, told: dict[str, Any]) -> None:
    loop, wanted = asyncio.get_running_loop(), tally.open + told["open"]
    payloads, inits = told["payloads"], told["inits"]
    turns = asyncio.Semaphore(_AT_A_TIME)

    async def one(number: int) -> None:
        greeting = [
            orjson.dumps({"type": "connection_init", "payload": inits[number % len(inits)]}),
            orjson.dumps(
                {"id": f"{number:036d}", "type": "subscribe", "payload": payloads[number % len(payloads)]}
            ),
        ]
        async with turns:
            # 127.0.0.x: more sockets than one address has ports.
            await loop.create_connection(lambda: Hearer(tally, greeting), "127.0.0.1", told["port"])
            await asyncio.sleep(0.002)

    await asyncio.gather(*(one(number) for number in range(told["open"])))
    while tally.open < wanted and not tally.lost:
        await asyncio.sleep(0.01)


async def main() -> None:
    """Serve commands until standard input ends."""
    tally = Tally()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        told = orjson.loads(line)
        answer: dict[str, Any] = {}
        if "open" in told:
            await _open(tally, told)
        elif "expect" in told:
            until = time.monotonic() + _PATIENCE_S
            while len(tally.came_at) < told["expect"] and time.monotonic() < until:
                await asyncio.sleep(0.005)
            answer["text"] = tally.first_text.decode()
            answer["came_at"] = tally.came_at
            tally.came_at, tally.first_text = [], b""
        answer |= {"open": tally.open, "lost": tally.lost}
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main())
