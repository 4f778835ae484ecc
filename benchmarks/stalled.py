"""Clients that stop reading while a Space is loud: what they cost the server, and the others.

`spaces serve` is a process of its own on one core. Two hundred sockets follow a Space, ask for some 3 kB an event and
then hardly read any more: 4 kB every 15 s, just enough not to be closed. Others follow the same Space and read. Events
are real: hands go up and down. Delivery is counted from the event's own time to its arrival.
"""

import asyncio
import itertools
import json
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from benchmarks.served import Server

STALLED = 200
READERS = 20
EVENTS_PER_S = 20
SECONDS = 60.0
GUESTS = 8
_SIP_S, _SIP_BYTES = 15.0, 4096
_LOUD = " ".join(f"c{number}: cursor" for number in range(28))
_UPDATES = "subscription($id: ID!) { spaceUpdates(spaceId: $id) { cursor at kind %s } }"

Say = Callable[[str], None]


async def run(say: Say) -> dict[str, list[dict[str, Any]]]:
    """A minute of flood without any that stall, and one with two hundred."""
    rows = [
        await stalled(say, clients=clients, readers=READERS, per_s=EVENTS_PER_S, seconds=SECONDS)
        for clients in (0, STALLED)
    ]
    return {"stalled": rows}


async def stalled(say: Say, *, clients: int, readers: int, per_s: float, seconds: float) -> dict[str, Any]:
    """So many stalled clients and readers, so many events a second, for so long after all have stalled."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), SPACES_PASSWORD_HASH_MIB="1")
        try:
            await server.start()
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
                stage = _Stage(server, http)
                await stage.open()
                measured = await stage.play(
                    say, clients=clients, readers=readers, per_s=per_s, seconds=seconds
                )
        finally:
            await server.stop()
    return {"stalled": clients, "readers": readers, "seconds": round(seconds), **measured}


@dataclass
class _Stage:
    """One live Space, its guests, and those who follow it."""

    server: Server
    http: httpx.AsyncClient
    space_id: str = ""
    guests: list[str] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    made: int = 0
    is_measured: bool = False

    async def open(self) -> None:
        host = await self._person("host")
        made = await self._do("createSpace", host, "space { id }", title="Loud")
        self.space_id = made["space"]["id"]
        await self._do("startSpace", host, spaceId=self.space_id)
        for number in range(GUESTS):
            guest = await self._person(f"guest_{number}")
            await self._do("joinSpace", guest, spaceId=self.space_id)
            self.guests.append(guest)

    async def _person(self, handle: str) -> str:
        made = await self._do("signUp", "", "token", handle=handle, name="x", password="long enough")
        return str(made["token"])

    async def _do(self, mutation: str, token: str, want: str = "", **fields: Any) -> Any:
        kind = f"{mutation[0].upper()}{mutation[1:]}Input"
        query = f"mutation($input: {kind}!) {{ {mutation}(input: $input) {{ {want} errors {{ message }} }} }}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": {"input": fields}}
        payload = (await self.http.post("/graphql", json=body, headers=headers)).json()["data"][mutation]
        assert not payload["errors"], payload
        return payload

    async def play(
        self, say: Say, *, clients: int, readers: int, per_s: float, seconds: float
    ) -> dict[str, Any]:
        before_mb, kernel_mb = self.server.memory_mb()[0], _kernel_mb()
        async with asyncio.TaskGroup() as tasks:
            reading = [tasks.create_task(self._read(number)) for number in range(readers)]
            sleepers = [await self._stall() for _ in range(clients)]
            sipping = tasks.create_task(_sip(sleepers))
            say("clients stall")
            flood = tasks.create_task(self._flood(per_s))
            await self._until_stalled()
            say(f"{seconds:.0f} s of flood")
            self.is_measured, begun_s, made = True, time.monotonic(), self.made
            peak_mb, peak_kernel_mb = 0.0, 0.0
            waited_ms = self.server.cpu_ms()[1]
            while (passed_s := time.monotonic() - begun_s) < seconds:
                peak_mb = max(peak_mb, self.server.memory_mb()[0])
                peak_kernel_mb = max(peak_kernel_mb, _kernel_mb())
                await asyncio.sleep(0.5)
            self.is_measured = False
            measured = self.made - made
            waited_ms = self.server.cpu_ms()[1] - waited_ms
            flood.cancel()
            await self._until_heard()
            for task in (*reading, sipping):
                task.cancel()
        open_still = sum(_is_open(one) for one in sleepers)
        for one in sleepers:
            one.close()
        late = sorted(self.late_ms)
        return {
            "events_per_s": round(measured / passed_s, 1),
            "delivered_p50_ms": round(late[len(late) // 2], 1),
            "delivered_p99_ms": round(late[int(len(late) * 0.99)], 1),
            "delivered_worst_ms": round(late[-1], 1),
            "waited_for_the_core_ms_per_s": round(waited_ms / passed_s),
            "missed": self.made * readers - sum(self.heard),
            "stalled_to_the_end": open_still,
            "server_mb": round(before_mb, 1),
            "server_growth_mb": round(peak_mb - before_mb, 1),
            "kernel_growth_mb": round(peak_kernel_mb - kernel_mb, 1),
        }

    async def _until_heard(self) -> None:
        """Until every reader has every event, or for a while: what is missing then is told."""
        for _ in range(100):
            if min(self.heard, default=self.made) == self.made:
                return
            await asyncio.sleep(0.1)

    async def _flood(self, per_s: float) -> None:
        """Hands go up and down, each guest's at its time or as soon as their last is done."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(GUESTS):
                tasks.create_task(self._flap(number, every_s=GUESTS / per_s))

    async def _flap(self, number: int, *, every_s: float) -> None:
        await asyncio.sleep(every_s * number / GUESTS)
        for raised in itertools.cycle((True, False)):
            next_s = time.monotonic() + every_s
            # Shielded, so that none is cut off that has been counted.
            await asyncio.shield(self._raise(self.guests[number], raised=raised))
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))

    async def _raise(self, guest: str, *, raised: bool) -> None:
        self.made += 1
        await self._do("raiseHand", guest, spaceId=self.space_id, raised=raised)

    async def _read(self, number: int) -> None:
        self.heard.append(0)
        url = self.server.url.replace("http", "ws") + "/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], compression=None) as raw:
            await raw.send('{"type":"connection_init"}')
            await raw.recv()
            await raw.send(self._subscribe(""))
            async for text in raw:
                message = json.loads(text)
                if message["type"] == "ping":
                    await raw.send('{"type":"pong"}')
                    continue
                event = message["payload"]["data"]["spaceUpdates"]
                if event["kind"] != "HAND_CHANGED":
                    continue
                self.heard[number] += 1
                if self.is_measured:
                    self.late_ms.append(
                        (time.time() - datetime.fromisoformat(event["at"]).timestamp()) * 1000
                    )

    def _subscribe(self, more: str) -> str:
        payload = {"query": _UPDATES % more, "variables": {"id": self.space_id}}
        return json.dumps({"id": "1", "type": "subscribe", "payload": payload})

    async def _stall(self) -> socket.socket:
        """A socket that has subscribed and does not read."""
        loop = asyncio.get_running_loop()
        address = urlsplit(self.server.url)
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.setblocking(False)
        await loop.sock_connect(one, (address.hostname, address.port))
        lines = (
            "GET /graphql HTTP/1.1",
            f"Host: {address.netloc}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Protocol: graphql-transport-ws",
        )
        await loop.sock_sendall(one, "\r\n".join((*lines, "", "")).encode())
        await loop.sock_recv(one, 4096)
        for text in ('{"type":"connection_init"}', self._subscribe(_LOUD)):
            await loop.sock_sendall(one, _frame(text.encode()))
        return one

    async def _until_stalled(self) -> None:
        """Until the server uses little CPU for a while: those that do not read are not served any more."""
        for _ in range(60):
            before_ms = self.server.own_cpu_ms()
            await asyncio.sleep(1)
            if self.server.own_cpu_ms() - before_ms < 600:
                return


def _frame(payload: bytes) -> bytes:
    """A masked text frame (RFC 6455, section 5.2); the mask is zero."""
    length = len(payload)
    head = bytes([0x81, 0x80 | length]) if length < 126 else b"\x81\xfe" + length.to_bytes(2)
    return head + bytes(4) + payload


async def _sip(sleepers: list[socket.socket]) -> None:
    loop = asyncio.get_running_loop()
    while sleepers:
        for one in sleepers:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.05):
                    await loop.sock_recv(one, _SIP_BYTES)
            await asyncio.sleep(_SIP_S / len(sleepers))


def _is_open(one: socket.socket) -> bool:
    try:
        return bool(one.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _kernel_mb() -> float:
    """What the kernel holds for all TCP sockets of this machine."""
    (line,) = (one for one in Path("/proc/net/sockstat").read_text().splitlines() if one.startswith("TCP:"))
    return int(line.split()[-1]) * 4096 / 1_000_000
