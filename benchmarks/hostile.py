"""Documents and bodies that only want to cost: what refusing each takes of the server's CPU.

Each is sent to a server of its own, as one that was never seen before. What is counted is everything that the
server's process does until the connection is closed, less what it does in as long a time when nobody asks. Its rounds
of other work are put off meanwhile.
"""

import asyncio
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from benchmarks.served import Server

TIMES = 9
LIMIT_MS = 50.0
_IDLE_S = 2.0
_MEGABYTE = 1_000_000
_numbers = itertools.count(1)

Say = Callable[[str], None]


async def run(say: Say) -> dict[str, list[dict[str, Any]]]:
    """Every one of them, nine times."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), SPACES_WORKER_INTERVAL_S="3600")
        try:
            await server.start()
            await _http(server, _body("{ __typename }"))
            idle_share = await _idle(server)
            rows = []
            for name, make in bodies().items():
                say(name)
                for way, send in ways(name):
                    spent_ms = [await _cost(server, send, make, idle_share) for _ in range(TIMES)]
                    rows.append(_row(name, way, spent_ms))
        finally:
            await server.stop()
    return {"hostile": rows}


def bodies() -> dict[str, Callable[[], bytes]]:
    """How to make each, anew at each call."""
    return {
        "50,000 aliases": lambda: _body("{" + " ".join(f"a{one}:a" for one in range(50_000)) + "}"),
        "50,000 aliases in few characters": lambda: _body("{" + "a:b," * 50_000 + "}"),
        "20,000 duplicate fields": lambda: _body("{" + "a " * 20_000 + "}"),
        "20,000 duplicate known fields": lambda: _body("{" + "__typename " * 20_000 + "}"),
        "20,000 duplicate directives": lambda: _body("{a" + " @b" * 20_000 + "}"),
        "110 fields of one name, no two written alike": lambda: _body(
            "{" + " ".join("node(id:1){id" + "," * number + "}" for number in range(110)) + "}"
        ),
        "495 duplicate directives": lambda: _body("{__typename" + " @skip" * 495 + "}"),
        "10,000 levels": lambda: _body("{a" * 10_000 + "}" * 10_000),
        "10,000 levels of lists": lambda: _body("{a(b:" + "[" * 10_000 + "]" * 10_000 + ")}"),
        "200,000 levels of JSON": lambda: b"[" * 200_000 + b"]" * 200_000,
        "200,000 levels of variables": lambda: _levels(200_000),
        "100,000 characters of comment": lambda: _body("{nothing}#" + "x" * 99_000),
        "100,000 characters of commas": lambda: _body("{nothing" + "," * 99_000 + "}"),
        "a million items in variables": lambda: (
            b'{"query":"{__typename}","variables":{"a":[%b0]}}' % (b"0," * 490_000)
        ),
        "50 MB": lambda: b'{"query":"' + b" " * (50 * _MEGABYTE) + b'"}',
    }


def ways(name: str) -> list[tuple[str, Any]]:
    """How one is sent."""
    both = [("http", _http), ("websocket", _socket)]
    return [*both, ("http, chunked", _chunked)] if name == "50 MB" else both


def _levels(count: int) -> bytes:
    return b'{"query":"{__typename}","variables":{"a":' + b"[" * count + b"]" * count + b"}}"


def _body(document: str) -> bytes:
    # Every one is new to the server: a refusal that it remembers would cost less.
    return json.dumps({"query": f"#{next(_numbers)}\n{document}"}).encode()


async def _cost(server: Server, send: Any, make: Callable[[], bytes], idle_share: float) -> float:
    loop = asyncio.get_running_loop()
    body, begun_s, before_ms = make(), loop.time(), server.own_cpu_ms()
    await send(server, body)
    await asyncio.sleep(0.05)
    passed_ms = (loop.time() - begun_s) * 1000
    return max(0.0, server.own_cpu_ms() - before_ms - idle_share * passed_ms)


async def _idle(server: Server) -> float:
    before_ms = server.own_cpu_ms()
    await asyncio.sleep(_IDLE_S)
    return (server.own_cpu_ms() - before_ms) / (_IDLE_S * 1000)


async def _http(server: Server, body: bytes) -> None:
    """One request on a connection of its own; what is sent after the answer is sent too, as an attacker would."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    lines = (
        "POST /graphql HTTP/1.1",
        f"Host: {address.netloc}",
        "Content-Type: application/json",
        "Connection: close",
        f"Content-Length: {len(body)}",
    )
    writer.write("\r\n".join((*lines, "", "")).encode())
    try:
        for piece in _pieces(body):
            writer.write(piece)
            await writer.drain()
        await reader.read()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _chunked(server: Server, body: bytes) -> None:
    """The same without saying how long it is."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode())
    try:
        for piece in _pieces(body):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        await reader.read()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _socket(server: Server, body: bytes) -> None:
    """One operation on a socket of its own, until it is answered or the socket is closed."""
    frame = b'{"type":"subscribe","id":"1","payload":%b}' % body
    url = server.url.replace("http", "ws") + "/graphql"
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], compression=None) as raw:
        await raw.send('{"type":"connection_init"}')
        await raw.recv()
        try:
            await raw.send(frame.decode())
            await raw.recv()
        except ConnectionClosed:
            return


def _pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]


def _row(name: str, way: str, spent_ms: list[float]) -> dict[str, Any]:
    return {
        "what": name,
        "way": way,
        "cpu_ms_median": round(median(spent_ms), 1),
        "cpu_ms_worst": round(max(spent_ms), 1),
        "limit_ms": LIMIT_MS,
        "is_within": max(spent_ms) < LIMIT_MS,
    }
