"""What a second API process costs: CPU for each timeline read and each delivered message, with one and with two.

`python -m benchmarks cluster --json`. Rows are in PostgreSQL, whose time is not counted, nor that of the media process;
the keeper's is, for it works for the fronts. Servers are measured in turn, and the middle one of some rounds counts.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import httpx
import orjson

from benchmarks.asked import cpu_ns
from benchmarks.fanout import _LOUD, ONE, _free_port, _Hearers, _hearers, _House, _process, _until
from benchmarks.timeline_town import DOCUMENT, VARIABLES
from tests.product import postgres
from tests.product.postgres import Postgres
from tests.product.process import children_of

PROCESSES = (1, 2)
LIMIT = 1.15
ROUNDS, READS, CONNECTIONS = 15, 400, 16
SUBSCRIBERS, EVENTS = 2_000, 60
_DURABLE = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on"}

Say = Callable[[str], None]
_Ask = Callable[[], Awaitable[None]]


async def run(say: Say) -> dict[str, list[dict[str, Any]]]:
    """Reads and messages, each with one and with two processes."""
    with patch.dict(postgres._OPTIONS, _DURABLE):
        server = await asyncio.to_thread(Postgres)
    try:
        reads: dict[int, list[float]] = {count: [] for count in PROCESSES}
        messages: dict[int, list[float]] = {count: [] for count in PROCESSES}
        async with AsyncExitStack() as stack:
            houses = {
                count: await stack.enter_async_context(_served(say, server, count)) for count in PROCESSES
            }
            for number in range(ROUNDS):
                for count, served in houses.items():
                    say(f"{count} processes, reads, round {number + 1} of {ROUNDS}")
                    reads[count].append(await served.read())
            for count, served in houses.items():
                say(f"{count} processes, {SUBSCRIBERS} subscribers")
                await served.listen()
            for number in range(EVENTS):
                for count, served in houses.items():
                    say(f"event {number + 1} of {EVENTS}")
                    messages[count].append(await served.tell(number))
        return {
            "timeline read": _rows("us_per_read", reads),
            "delivered message": _rows("us_per_message", messages),
        }
    finally:
        await asyncio.to_thread(server.remove)


def _rows(what: str, found: dict[int, list[float]]) -> list[dict[str, Any]]:
    middle = {count: median(values) for count, values in found.items()}
    return [
        {
            "processes": count,
            what: round(value, 1),
            "to_one": round(value / middle[1], 3),
            "limit": LIMIT if count > 1 else None,
        }
        for count, value in middle.items()
    ]


class _Served:
    """A server of so many API processes, and who reads and listens."""

    def __init__(self, house: _House, reader: str, hearers: _Hearers, unheard: str) -> None:
        self._house, self._reader, self._hearers = house, reader, hearers
        # A Space to which nobody listens.
        self._unheard = unheard

    def _pids(self) -> list[int]:
        children = children_of(self._house.pid)
        return [self._house.pid, *(pid for pid in children if "media.process" not in _words(pid))]

    def _spent_ns(self) -> int:
        return sum(map(cpu_ns, self._pids()))

    async def read(self) -> float:
        """µs for each of many timelines, over many connections."""
        async with AsyncExitStack() as stack:
            ways = [
                await stack.enter_async_context(_connected(self._house.port, self._reader))
                for _ in range(CONNECTIONS)
            ]

            async def ask(way: _Ask, times: int) -> None:
                for _ in range(times):
                    await way()

            # Everybody's plan is made, and every connection is there.
            await asyncio.gather(*(ask(way, 2) for way in ways))
            spent = self._spent_ns()
            await asyncio.gather(*(ask(way, READS // CONNECTIONS) for way in ways))
            return (self._spent_ns() - spent) / READS / 1000

    async def listen(self) -> None:
        """Let all subscribers come."""
        house = self._house
        await self._hearers.open(SUBSCRIBERS, house.port, [house.payload(ONE)], [{}])
        await self._hearers.expect(SUBSCRIBERS)

    async def tell(self, number: int) -> float:
        """µs for each message of an event that reaches all subscribers, without what the mutation costs."""
        spent = self._spent_ns()
        await self._house.rename(self._unheard, number)
        unheard = self._spent_ns()
        firing = asyncio.create_task(self._house.retitle(number))
        await self._hearers.expect(SUBSCRIBERS)
        await firing
        return (self._spent_ns() - unheard - (unheard - spent)) / SUBSCRIBERS / 1000


@asynccontextmanager
async def _connected(port: int, token: str) -> AsyncIterator[_Ask]:
    """A connection over which the timeline is asked for. A client that did more would take the servers' cores."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = orjson.dumps({"query": DOCUMENT, "variables": VARIABLES})
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )

    async def ask() -> None:
        writer.write(head.encode() + body)
        told = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", told)
        assert told.startswith(b"HTTP/1.1 200")
        assert length
        answer = await reader.readexactly(int(length[1]))
        assert b'"errors"' not in answer

    try:
        yield ask
    finally:
        writer.close()
        await writer.wait_closed()


def _words(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@asynccontextmanager
async def _served(say: Say, server: Postgres, count: int) -> AsyncIterator[_Served]:
    say(f"{count} processes come up")
    await asyncio.to_thread(server.run, f"CREATE DATABASE cluster_{count}")
    url, port = server.url(f"cluster_{count}"), _free_port()
    with tempfile.TemporaryDirectory() as folder:
        async with _process(sys.executable, "-m", "benchmarks.timeline_town", folder, url) as filled:
            output, _ = await filled.communicate()
        environment = {
            "SPACES_DATA_DIR": folder,
            "SPACES_DATABASE_URL": url,
            "SPACES_PORT": str(port),
            "SPACES_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "SPACES_PROCESSES": str(count),
            "SPACES_RATE_LIMIT_ENABLED": "false",
            "SPACES_PASSWORD_HASH_MIB": "1",
            "SPACES_LOG_LEVEL": "WARNING",
        }
        async with (
            _process(sys.executable, "-m", "api.cli", "serve", **environment) as process,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
            _hearers() as hearers,
        ):

            async def is_ready() -> None:
                (await http.get("/readyz")).raise_for_status()
                lines = (await http.get("/metrics")).text.splitlines()
                if count > 1 and f"spaces_api_processes {count}.0" not in lines:
                    raise httpx.RequestError("not all of them serve")

            await _until(is_ready)
            house = _House(http, port, process.pid)
            house.host = await house.person()
            loud, unheard = [
                (await house.do("createSpace", house.host, "space { id }", title=_LOUD))["space"]["id"]
                for _ in range(2)
            ]
            house.space_id = loud
            yield _Served(house, output.decode().strip(), hearers, unheard)
