"""A whole server on a free port of 127.0.0.1, and people who use it by its public door."""

import asyncio
import contextlib
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from api.app import Built, build
from api.engine import EngineRun
from api.graphql.protocol import server_options
from api.serve import proxy_options
from api.settings import Settings
from media.ice import IceConfig
from media.local import LocalEngine
from models.fields import to_ms
from services.clock import SystemClock
from tests.media.hearer import Hearer
from tests.media.publisher import Exchange, Publisher
from tests.product.databases import databases
from tests.product.quiet_engine import QuietEngine

PATIENCE_S = 30.0
# Operations of all servers of this process, by how they were executed.
EXECUTED: Counter[str] = Counter()


class MovableClock(SystemClock):
    """The machine's clock, set forward or back by hand."""

    def __init__(self) -> None:
        self.offset = timedelta(0)
        self.frozen: datetime | None = None

    def now(self) -> datetime:
        """The moved wall clock; standing still once it is set."""
        return self.frozen or super().now() + self.offset

    def move(self, by: timedelta) -> None:
        """Set the clock forward, or back."""
        self.offset += by

    def stand_at(self, moment: datetime) -> None:
        """Stop the clock at a moment."""
        self.frozen = moment


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Person:
    """Somebody with (or without) an account."""

    town: "Town"
    token: str | None = None
    id: str = ""
    handle: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What signs them in."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer to an operation."""
        response = await self.town.http.post(
            "/graphql", json={"query": query, "variables": variables}, headers=self.headers
        )
        answer: dict[str, Any] = response.json()
        return answer

    async def read(self, query: str, **variables: Any) -> Any:
        """The data of an operation that must succeed."""
        answer = await self.ask(query, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def try_(self, mutation: str, want: str = "", **fields: Any) -> dict[str, Any]:
        """The payload of a mutation, errors and all."""
        name = mutation[0].upper() + mutation[1:]
        data = await self.read(
            f"mutation($input: {name}Input!) {{ {mutation}(input: $input) {{ {want} errors {{ code message path"
            " retryAfterMs } } }",
            input=fields,
        )
        payload: dict[str, Any] = data[mutation]
        return payload

    async def do(self, mutation: str, want: str = "", **fields: Any) -> dict[str, Any]:
        """The payload of a mutation that must succeed."""
        payload = await self.try_(mutation, want, **fields)
        assert payload["errors"] == [], payload
        return payload

    async def refused(self, mutation: str, **fields: Any) -> str:
        """The code with which a mutation is refused."""
        payload = await self.try_(mutation, **fields)
        assert len(payload["errors"]) == 1, payload
        assert payload["errors"][0]["message"]
        return str(payload["errors"][0]["code"])

    async def new_space(self, want: str = "id", **fields: Any) -> Any:
        """A Space of theirs."""
        payload = await self.do("createSpace", f"space {{ {want} }}", **{"title": "A talk", **fields})
        return payload["space"]

    async def live_space(self, *, record: bool = False) -> str:
        """A live Space of theirs."""
        space = await self.new_space(record=record)
        await self.do("startSpace", spaceId=space["id"])
        return str(space["id"])

    async def space(self, space_id: str, want: str) -> Any:
        """Fields of a Space."""
        return (await self.read(f"query($id: ID!) {{ space(id: $id) {{ {want} }} }}", id=space_id))["space"]

    async def join(self, space_id: str) -> "Place":
        """Where this person publishes and hears the others, from one device."""
        joined = await self.do("joinSpace", "whipUrl whepUrl mediaToken", spaceId=space_id)
        return Place(self.town, joined["whipUrl"], joined["whepUrl"], joined["mediaToken"])

    async def publish(self, space_id: str, signal: NDArray[np.float32]) -> Publisher:
        """Join and play a signal over WHIP. It plays from now on."""
        return await (await self.join(space_id)).publish(signal)

    async def speak_in(self, space_id: str, host: "Person") -> None:
        """Join, acknowledge and become a speaker by raised hand."""
        await self.do("joinSpace", spaceId=space_id)
        consent = (await self.space(space_id, "consent { version }"))["consent"]
        if consent is not None:
            await self.do("acknowledgeRecording", spaceId=space_id, consentVersion=consent["version"])
        await self.do("raiseHand", spaceId=space_id, raised=True)
        await host.do("setParticipantRole", spaceId=space_id, userId=self.id, role="SPEAKER")

    async def recording(self, space_id: str, want: str) -> Any:
        """Fields of a Space's recording."""
        return (await self.space(space_id, f"recording {{ {want} }}"))["recording"]

    async def until(self, space_id: str, status: str) -> None:
        """Wait until a Space's recording has a status."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                recording = await self.recording(space_id, "status")
                if recording is not None and recording["status"] == status:
                    return
                await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def attending(self, space_id: str) -> AsyncIterator[None]:
        """Present in a Space by a subscription, for as long as the block lasts."""
        async with self.socket() as socket:
            name = await socket.subscribe(
                "subscription($id: ID!) { spaceUpdates(spaceId: $id) { kind } }", id=space_id
            )
            await socket.next(name)
            yield

    @contextlib.asynccontextmanager
    async def socket(self) -> AsyncIterator["Socket"]:
        """A graphql-transport-ws connection, signed in."""
        url = self.town.url.replace("http", "ws") + "/graphql"
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as raw:
            payload = {"authorization": f"Bearer {self.token}"} if self.token else {}
            await raw.send(json.dumps({"type": "connection_init", "payload": payload}))
            assert json.loads(await raw.recv())["type"] == "connection_ack"
            yield Socket(raw)


@dataclass
class Place:
    """One device's place among the speakers of a Space. `locations` are the sessions it opened."""

    town: "Town"
    whip_url: str
    whep_url: str
    token: str
    locations: list[str] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        """What WHIP and WHEP ask for."""
        return {"Content-Type": "application/sdp", "Authorization": f"Bearer {self.token}"}

    async def publish(self, signal: NDArray[np.float32], *, repeat: bool = False) -> Publisher:
        """Play a signal over WHIP. It plays from now on."""
        publisher = Publisher(signal, repeat=repeat)
        await publisher.start(self._exchange(self.whip_url))
        return publisher

    async def listen(self) -> Hearer:
        """Hear the others over WHEP."""
        hearer = Hearer()
        await hearer.start(self._exchange(self.whep_url))
        return hearer

    def _exchange(self, url: str) -> Exchange:
        async def exchange(offer: str) -> str:
            response = await self.town.http.post(url, content=offer, headers=self.headers)
            assert response.status_code == 201, response.text
            self.locations.append(response.headers["Location"])
            return response.text

        return exchange


@dataclass
class Socket:
    """Subscriptions over one connection; what comes for one is kept until it is asked for."""

    raw: ClientConnection
    waiting: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _next_id: int = 0

    async def subscribe(self, query: str, **variables: Any) -> str:
        """Start a subscription; its id."""
        self._next_id += 1
        name = str(self._next_id)
        payload = {"query": query, "variables": variables}
        await self.raw.send(json.dumps({"id": name, "type": "subscribe", "payload": payload}))
        self.waiting[name] = []
        return name

    async def message(self, name: str) -> dict[str, Any]:
        """The next message for a subscription."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.waiting[name]:
                message = json.loads(await self.raw.recv())
                if message["type"] == "ping":
                    await self.raw.send(json.dumps({"type": "pong"}))
                else:
                    self.waiting[message["id"]].append(message)
        return self.waiting[name].pop(0)

    async def next(self, name: str) -> Any:
        """The next event of a subscription: its one field."""
        message = await self.message(name)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        return next(iter(message["payload"]["data"].values()))

    async def until(self, name: str, **values: Any) -> Any:
        """Skip events until one has these values."""
        while True:
            event = await self.next(name)
            if all(event[key] == value for key, value in values.items()):
                return event


@dataclass
class Town:
    """The running server."""

    url: str
    http: httpx.AsyncClient
    built: Built
    clock: MovableClock
    data_dir: Path
    _people: int = 0

    @property
    def anyone(self) -> Person:
        """Somebody without an account."""
        return Person(self)

    async def person(self, handle: str = "") -> Person:
        """Somebody new, signed up."""
        self._people += 1
        handle = handle or f"person_{self._people}"
        made = await self.anyone.do(
            "signUp", "token user { id }", handle=handle, name=handle.title(), password="correct horse"
        )
        return Person(self, token=made["token"], id=made["user"]["id"], handle=handle)

    async def moderator(self) -> Person:
        """Somebody who moderates."""
        from services import accounts

        person = await self.person()
        await accounts.promote(self.built.house, person.handle)
        return person

    async def round(self) -> None:
        """One round of the clockwork."""
        from workers.timetable import Timetable

        await Timetable(self.built.house, interval_s=3600, owns_rooms=True).round()

    async def fetch(self, url: str, **headers: str) -> httpx.Response:
        """A media request, without any sign-in."""
        return await self.http.get(url, headers=headers)


def settings_for(data_dir: Path, port: int, **changes: Any) -> Settings:
    """Settings of a server under test, with a migrated database and passwords that cost little."""
    values: Mapping[str, Any] = {
        "data_dir": data_dir,
        "database_url": databases.migrated(data_dir),
        "port": port,
        "rate_limit_enabled": False,
        "password_hash_mib": 1,
        "worker_interval_s": 3600,
        "log_level": "WARNING",
        **changes,
    }
    return Settings(**values)


async def _local_engine(clock: MovableClock, settings: Settings) -> EngineRun:
    engine = LocalEngine(
        ice=IceConfig(address="127.0.0.1"),
        limits=settings.engine_limits(),
        now_ms=lambda: to_ms(clock.now()),
    )
    return EngineRun(engine, engine.aclose)


async def _quiet_engine(clock: MovableClock, _settings: Settings) -> EngineRun:
    engine = QuietEngine(clock)
    return EngineRun(engine, engine.aclose)


class _Server(uvicorn.Server):
    """The stock server without its sleeps: it looks every 100 ms whether it shall end, and then waits as long."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.end = asyncio.Event()

    async def main_loop(self) -> None:
        """Serve until `end`."""
        await self.on_tick(0)
        await self.end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Hear every request out, for a second at most, then stop the application."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while self.server_state.connections or self.server_state.tasks:
                    await asyncio.sleep(0.002)
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()


@contextlib.asynccontextmanager
async def open_town(
    data_dir: Path, *, clock: MovableClock | None = None, quiet: bool = False, **changes: Any
) -> AsyncIterator[Town]:
    """A server with the audio plane in this process, which saves the start of another.

    `quiet`: with one that needs no audio, and gives every recording a second of silence.
    """
    port = free_port()
    settings = settings_for(data_dir, port, **changes)
    clock = clock or MovableClock()
    start = _quiet_engine if quiet else _local_engine
    built = build(settings, clock=clock, start_engine=lambda: start(clock, settings))
    config = uvicorn.Config(
        built.app,
        host="127.0.0.1",
        port=port,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=1,
        **proxy_options(settings),
        **server_options(settings.limits()),
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.01)
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, timeout=20, verify=False) as http:
            yield Town(url=url, http=http, built=built, clock=clock, data_dir=data_dir)
    finally:
        EXECUTED.update(built.house.executed)
        server.end.set()
        await task
