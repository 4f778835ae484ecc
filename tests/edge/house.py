"""A tiny house behind the door: one schema with everything that the edge can meet, and a server for it."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any, NewType

import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from strawberry.schema.config import StrawberryConfig
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from api.graphql.door import Asked, Kind
from api.graphql.limits import Limits
from api.graphql.protocol import server_options
from api.graphql.routes import graphql_routes
from services.errors import NotFound, RateLimited, Unauthenticated


class Journal:
    """What happened in the resolvers."""

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0
        self.made = 0
        self.executed = 0
        self.mutations: list[str] = []
        self.gate = asyncio.Event()


@dataclass
class Context:
    asked: Asked
    person: str
    journal: Journal


Info = strawberry.Info[Context, None]


def _picky(value: str) -> str:
    if value == "bad":
        raise ValueError("secret internals at /srv/spaces/scalars.py")
    if value == "bug":
        raise ZeroDivisionError("secret internals")
    return value


Picky = NewType("Picky", str)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@strawberry.input
class Paint:
    colour: Colour
    layers: int = 1
    more: "list[Paint] | None" = None


@strawberry.type
class Item:
    id: int

    @strawberry.field
    def friends(self, first: int | None = 10, after: str | None = None) -> "ItemConnection":
        return ItemConnection(nodes=[Item(id=number) for number in range(first or 0)])

    @strawberry.field
    def self(self) -> "Item":
        return self


@strawberry.type
class ItemConnection:
    nodes: list[Item]


@strawberry.type
class Query:
    @strawberry.field
    async def hello(self, name: str = "world") -> str:
        return f"Hello {name}"

    @strawberry.field
    def items(self, first: int | None = 20, after: str | None = None) -> ItemConnection:
        return ItemConnection(nodes=[Item(id=number) for number in range(min(first or 0, 3))])

    @strawberry.field
    def nodes(self, ids: list[strawberry.ID]) -> list[Item]:
        return [Item(id=int(identifier)) for identifier in ids]

    @strawberry.field
    def item(self) -> Item:
        return Item(id=1)

    @strawberry.field
    def missing(self) -> str | None:
        raise NotFound

    @strawberry.field
    async def missing_later(self) -> str | None:
        await asyncio.sleep(0)
        raise NotFound

    @strawberry.field
    def limited(self) -> str | None:
        raise RateLimited("Wait.", path=["input", "x"], retry_after_ms=1500)

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("secret internals")

    @strawberry.field
    def too_big(self) -> int | None:
        return 2**40

    @strawberry.field
    def painted(self, paint: Paint) -> str:
        return f"{paint.layers} of {paint.colour.name}"

    @strawberry.field
    def picky(self, value: Picky) -> str:
        return value

    @strawberry.field
    def variables(self, info: Info, name: str = "") -> str:
        return f"{sorted(info.variable_values)} {info.context.asked.kind} {info.context.asked.transport}"

    @strawberry.field
    def surrogate(self) -> str:
        return "\ud800"

    @strawberry.field
    def person(self, info: Info) -> str:
        return info.context.person

    @strawberry.field
    async def slow(self, info: Info) -> str:
        await info.context.journal.gate.wait()
        return "done"


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def note(self, info: Info, text: str) -> str:
        info.context.journal.mutations.append(text)
        return text

    @strawberry.mutation
    async def slow_note(self, info: Info, text: str) -> str:
        await info.context.journal.gate.wait()
        info.context.journal.mutations.append(text)
        return text


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int = 3) -> AsyncGenerator[int, None]:
        for number in range(to):
            yield number

    @strawberry.subscription
    async def endless(self, info: Info) -> AsyncGenerator[int, None]:
        journal = info.context.journal
        journal.opened += 1
        try:
            yield 0
            await asyncio.Event().wait()
        finally:
            journal.closed += 1

    @strawberry.subscription
    async def flood(self, info: Info, size: int = 10_000) -> AsyncGenerator[str, None]:
        journal = info.context.journal
        journal.opened += 1
        try:
            for _ in itertools.count():
                journal.made += 1
                yield "x" * size
        finally:
            journal.closed += 1

    @strawberry.subscription
    async def refused(self, after_events: int = 0) -> AsyncGenerator[int, None]:
        for number in range(after_events):
            yield number
        raise NotFound

    @strawberry.subscription
    async def breaks(self) -> AsyncGenerator[int, None]:
        yield 0
        raise RuntimeError("secret internals")


def make_schema() -> strawberry.Schema:
    picky = strawberry.scalar(name="Picky", parse_value=_picky, serialize=str)
    return strawberry.Schema(
        Query, Mutation, Subscription, config=StrawberryConfig(scalar_map={Picky: picky})
    )


SCHEMA = make_schema()


@dataclass
class HouseVisit:
    person: str
    is_anonymous: bool
    journal: Journal
    door: "HouseDoor"

    def operation_context(self, asked: Asked) -> Context:
        return Context(asked, self.person, self.journal)

    def may_call(self, mutations: Iterable[str]) -> bool:
        return True

    def check_kind(self, kind: Kind) -> None:
        """Everybody may ask for everything."""

    async def still_welcome(self) -> bool:
        return self.person not in self.door.revoked

    async def rest(self, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return False


@dataclass
class HouseDoor:
    """Lets in whose token is "token-<name>"."""

    journal: Journal
    revoked: set[str] = field(default_factory=set)

    async def enter(self, *, token: str | None, address: str, headers: Mapping[str, str]) -> HouseVisit:
        if token is None:
            return HouseVisit(f"address:{address}", True, self.journal, self)
        if not token.startswith("token-"):
            raise Unauthenticated
        return HouseVisit(f"account:{token[6:]}", False, self.journal, self)


class Clock:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


class QuietServer(uvicorn.Server):
    async def main_loop(self) -> None:
        while not self.should_exit:
            await asyncio.sleep(0.005)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class House:
    """A running server."""

    port: int
    journal: Journal
    door: HouseDoor
    clock: Clock
    server: uvicorn.Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    @contextlib.asynccontextmanager
    async def socket(self, token: str | None = None, *, init: bool = True) -> AsyncIterator["Client"]:
        async with connect(
            f"ws://127.0.0.1:{self.port}/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            max_size=None,
        ) as connection:
            client = Client(connection)
            if init:
                payload = {"authorization": f"Bearer {token}"} if token else None
                await client.send({"type": "connection_init", "payload": payload})
                assert await client.receive() == {"type": "connection_ack"}
            yield client


class Client:
    """A graphql-transport-ws client that leaves nothing to itself."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def subscribe(self, identifier: str, query: str, **variables: Any) -> None:
        await self.send(
            {"id": identifier, "type": "subscribe", "payload": {"query": query, "variables": variables}}
        )

    async def receive(self) -> Any:
        async with asyncio.timeout(5):
            return json.loads(await self.connection.recv())

    async def closed(self) -> int:
        """The code with which the server closes."""
        async with asyncio.timeout(5):
            await self.connection.wait_closed()
        assert self.connection.close_code is not None
        return self.connection.close_code


def graphiql(_request: Request) -> Response:
    return HTMLResponse("<title>GraphiQL</title>")


@contextlib.asynccontextmanager
async def house(
    schema: strawberry.Schema = SCHEMA, *, trusted: Mapping[str, str] | None = None, **overrides: Any
) -> AsyncIterator[House]:
    """A server with the default limits but for `overrides`, on a free port of 127.0.0.1."""
    limits = Limits(**{"linger": timedelta(milliseconds=200), **overrides})
    journal, clock = Journal(), Clock()
    door = HouseDoor(journal)
    routes = graphql_routes(schema, door, limits, graphiql=graphiql, trusted=trusted, monotonic=clock)
    config = uvicorn.Config(
        Starlette(routes=routes),
        host="127.0.0.1",
        port=0,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=5,
        **server_options(limits),
    )
    server = QuietServer(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield House(port, journal, door, clock, server)
    finally:
        server.should_exit = True
        await task
