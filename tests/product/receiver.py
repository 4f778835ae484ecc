"""A receiver of webhooks of the tests' own: a real HTTP server on this machine, that can be down, slow or cross."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tortoise.expressions import Q

from models.fields import to_ms
from models.webhook_delivery import WebhookDelivery
from tests.product.town import PATIENCE_S, Person, Town, _Server, free_port
from workers.courier import Courier

NODE = Path(__file__).parent / "node"
ALL_EVENTS = (
    "SPACE_STARTED", "SPACE_ENDED", "RECORDING_STARTED", "RECORDING_AVAILABLE", "RECORDING_SHARED", "RECORDING_DELETED",
    "RECORDING_EXPIRED", "RECORDING_TAKEN_DOWN", "RECORDING_PURGED", "RECORDING_FAILED",
)  # fmt: skip
DELIVERIES = "deliveries(first: 100) { edges { node { id event state attempts lastStatusCode at } } }"


@dataclass
class Called:
    """One call as it came in, and how it was answered."""

    path: str
    headers: dict[str, str]
    body: str
    at: datetime
    status: int = 0

    @property
    def id(self) -> str:
        """The message's."""
        return self.headers["webhook-id"]

    @property
    def type(self) -> str:
        """What happened."""
        return str(json.loads(self.body)["type"])

    @property
    def data(self) -> dict[str, Any]:
        """Its facts."""
        data: dict[str, Any] = json.loads(self.body)["data"]
        return data


Answer = Callable[[Called], Awaitable[Response]]


async def fine(_called: Called) -> Response:
    """Taken."""
    return Response(status_code=204)


def status(code: int, **headers: str) -> Answer:
    """Always the same answer."""

    async def answer(_called: Called) -> Response:
        return Response(
            status_code=code, headers={name.replace("_", "-"): told for name, told in headers.items()}
        )

    return answer


@dataclass
class Receiver:
    """Where webhooks are sent. `answer` says how; each call is kept, in the order in which it was answered."""

    port: int
    now: Callable[[], datetime]
    answer: Answer = fine
    calls: list[Called] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where to call it."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def taken(self) -> list[Called]:
        """The calls that were answered 2xx."""
        return [call for call in self.calls if 200 <= call.status < 300]

    async def take(self, request: Request) -> Response:
        body = (await request.body()).decode()
        called = Called(request.url.path, dict(request.headers), body, self.now())
        response = await self.answer(called)
        called.status = response.status_code
        self.calls.append(called)
        return response

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator["Receiver"]:
        """Listening, for as long as the block lasts."""
        app = Starlette(routes=[Route("/{path:path}", self.take, methods=["POST", "GET"])])
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_config=None, lifespan="off")
        server = _Server(config)
        task = asyncio.create_task(server.serve())
        try:
            while not server.started:
                await asyncio.sleep(0.005)
            yield self
        finally:
            server.end.set()
            await task


def receiver(town: Town) -> Receiver:
    """A receiver that is not up yet."""
    return Receiver(free_port(), town.clock.now)


@dataclass
class Hook:
    """A webhook of somebody, with its secret."""

    owner: Person
    id: str
    secret: str

    async def deliveries(self) -> list[dict[str, Any]]:
        """As its owner sees them, the newest first."""
        query = f"query($id: ID!) {{ node(id: $id) {{ ... on Webhook {{ {DELIVERIES} }} }} }}"
        found = (await self.owner.read(query, id=self.id))["node"]["deliveries"]["edges"]
        return [edge["node"] for edge in found]

    async def states(self) -> list[tuple[str, str]]:
        """Event and state of each, sorted by name."""
        return sorted((one["event"], one["state"]) for one in await self.deliveries())


async def hook(owner: Person, url: str, *events: str) -> Hook:
    """A new webhook; for everything, if nothing is said."""
    made = await owner.do(
        "createWebhook", "webhook { id } secret", url=url, events=list(events or ALL_EVENTS)
    )
    return Hook(owner, made["webhook"]["id"], made["secret"])


async def deliver(town: Town) -> None:
    """Whatever is due is sent, by the server's own courier or by this one, and written down."""
    house = town.built.house
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await Courier(house, interval_s=3600).round()
            # In one look: between two of them the server's own courier may take one on, or let the next one go.
            now = house.clock.now()
            if not await WebhookDelivery.filter(Q(due_at__lte=now) | Q(lease_until__gt=now)).exists():
                return
            await asyncio.sleep(0.005)


async def said(town: Town, made: Hook) -> str:
    """One delivery for the webhook, tried once; its id."""
    await made.owner.live_space()
    await deliver(town)
    (one,) = await made.deliveries()
    return str(one["id"])


async def later(town: Town, by: timedelta) -> None:
    """Whatever is due after a while is sent."""
    town.clock.stand_at(town.clock.now() + by)
    await deliver(town)


def verified(called: Called, *secrets: str) -> Any:
    """The payload, verified by the library with each of the secrets. The clock of the call must be the machine's."""
    (payload,) = {json.dumps(Webhook(one).verify(called.body, called.headers)) for one in secrets}
    return json.loads(payload)


async def verified_in_node(calls: list[tuple[Called, str]]) -> list[Any]:
    """The payloads of calls, each verified with its secret by the npm library at the time of the call."""
    if not (NODE / "node_modules" / "standardwebhooks").is_dir():
        pytest.skip("npm ci --prefix tests/product/node was not run")
    asked = [
        {"secret": secret, "body": one.body, "headers": one.headers, "atMs": to_ms(one.at)}
        for one, secret in calls
    ]
    process = await asyncio.create_subprocess_exec(
        "node",
        str(NODE / "verify.mjs"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await asyncio.wait_for(process.communicate(json.dumps(asked).encode()), PATIENCE_S)
    assert process.returncode == 0
    told: list[dict[str, Any]] = json.loads(answer)
    assert [one for one in told if "error" in one] == []
    return [one["payload"] for one in told]
