"""A push service and a mail server of the tests' own: real ones, on this machine."""

import asyncio
import base64
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import http_ece
import orjson
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from models.delivery import Delivery
from tests.product.town import PATIENCE_S, Person, Town, free_port
from tests.product.voices import iso, uuid_of
from workers.postman import Postman

TOLD = "kind at message space { id } recording { id }"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Browser:
    """What `PushManager.subscribe()` makes: an endpoint and keys, with which it reads what comes."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._key = generate_private_key(SECP256R1())
        self._auth = secrets.token_bytes(16)

    @property
    def subscription(self) -> dict[str, Any]:
        """As `PushSubscription.toJSON()` has it."""
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": _b64(point), "auth": _b64(self._auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def read(self, body: bytes) -> Any:
        """The payload, decrypted with the browser's own keys."""
        return orjson.loads(
            http_ece.decrypt(body, private_key=self._key, auth_secret=self._auth, version="aes128gcm")
        )


@dataclass
class Pushed:
    """One message as it reached the push service."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class PushService:
    """Takes messages; `statuses` are answered first, in their order, then 201."""

    url: str
    came: asyncio.Queue[Pushed] = field(default_factory=asyncio.Queue)
    statuses: list[int] = field(default_factory=list)

    def browser(self, name: str = "one") -> Browser:
        """A browser that subscribed here."""
        return Browser(f"{self.url}/push/{name}")

    async def next(self) -> Pushed:
        """The next message, its signature checked by the library."""
        async with asyncio.timeout(PATIENCE_S):
            pushed = await self.came.get()
        assert Vapid02.verify(pushed.headers["authorization"])
        return pushed

    async def take(self, request: Request) -> Response:
        pushed = Pushed(request.url.path, dict(request.headers), await request.body())
        status = self.statuses.pop(0) if self.statuses else 201
        self.came.put_nowait(pushed)
        return Response(status_code=status)


@contextlib.asynccontextmanager
async def push_service() -> AsyncIterator[PushService]:
    """A push service on a free port."""
    port = free_port()
    service = PushService(f"http://127.0.0.1:{port}")
    app = Starlette(routes=[Route("/push/{name}", service.take, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield service
    finally:
        server.should_exit = True
        await task


@dataclass
class MailHouse:
    """An SMTP server; `refuse` maps recipients to the code that refuses them."""

    port: int
    came: asyncio.Queue[EmailMessage] = field(default_factory=asyncio.Queue)
    refuse: dict[str, int] = field(default_factory=dict)

    async def next(self) -> EmailMessage:
        """The next mail."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.came.get()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One conversation (RFC 5321), as much of it as a client needs."""
        writer.write(b"220 tests ready\r\n")
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while (line := (await reader.readline()).decode().strip()) and not line.upper().startswith(
                "QUIT"
            ):
                if line.upper() == "DATA":
                    writer.write(b"354 go on\r\n")
                    self._keep(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(self._answer(line))
        writer.write(b"221 bye\r\n")
        writer.close()

    def _answer(self, line: str) -> bytes:
        verb, _, rest = line.partition(" ")
        if verb.upper() == "EHLO":
            return b"250-tests\r\n250 8BITMIME\r\n"
        code = self.refuse.get(rest.partition("<")[2].partition(">")[0]) if verb.upper() == "RCPT" else None
        return f"{code} no\r\n".encode() if code else b"250 ok\r\n"

    def _keep(self, text: bytes) -> None:
        raw = text.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        mail = message_from_bytes(raw, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.came.put_nowait(mail)


@contextlib.asynccontextmanager
async def mail_house() -> AsyncIterator[MailHouse]:
    """A mail server on a free port."""
    house = MailHouse(free_port())
    server = await asyncio.start_server(house.serve, "127.0.0.1", house.port)
    async with server:
        yield house


async def told(person: Person, want: str = TOLD) -> list[Any]:
    """What somebody was told, the newest first."""
    data = await person.read(f"{{ viewer {{ notifications {{ edges {{ node {{ {want} }} }} }} }} }}")
    return [edge["node"] for edge in data["viewer"]["notifications"]["edges"]]


async def kinds(person: Person) -> list[str]:
    """Of what, the newest first."""
    return [one["kind"] for one in await told(person, "kind")]


async def post(town: Town) -> None:
    """A round of the post."""
    await Postman(town.built.house, interval_s=3600).round()


async def scheduled(host: Person, in_: timedelta = timedelta(hours=1)) -> str:
    """A Space that is to start."""
    space = await host.new_space(title="Tea time", scheduledStart=iso(host.town.clock.now() + in_))
    return str(space["id"])


async def register(person: Person, subscription: dict[str, Any]) -> int:
    """Register a browser; the status of the answer."""
    response = await person.town.http.post("/notifications/push", json=subscription, headers=person.headers)
    return response.status_code


async def told_by_push(host: Person, fan: Person) -> str:
    """A Space that the fan asked for is launched."""
    space_id = str((await host.new_space(title="Tea\ntime"))["id"])
    await fan.do("setReminder", spaceId=space_id, enabled=True)
    await host.do("startSpace", spaceId=space_id)
    return space_id


async def no_lease(person: Person) -> None:
    """Wait until nobody is at work on what goes to somebody."""
    async with asyncio.timeout(10):
        while await Delivery.filter(account_id=uuid_of(person.id), lease_until__isnull=False).exists():
            await asyncio.sleep(0.01)
