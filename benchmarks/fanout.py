"""What it costs to tell many subscribers of one event, beside a raw broadcast and graphql-ws on Node.

The API is a process of its own (its media process is not counted), and so are those who listen. Each event is a
mutation over HTTP, sent when the last one has reached everybody; what the mutation costs without any subscriber is
taken off in `us_per_message`, and left in `us_with_mutation`. Latency is from the mutation's request to a subscriber's
socket.
"""

import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from benchmarks.asked import cpu_ns

SIZES = (1_000, 2_000, 5_000)
MIXED = (2_000, 5_000)
# Enough for a median that holds still, and for a second of CPU time.
MESSAGES = 60_000
IDLE = 5_000
_ACCOUNTS = 40
_PATIENCE_S = 60.0
_HERE = Path(__file__).parent
_NODE = _HERE / "fanout_node"
_LOUD = "<a title that is as long as titles are>"

ONE = """subscription($id: ID!) { spaceUpdates(spaceId: $id) {
  cursor at kind space { id title state participantCount } } }"""
SEVERAL = (
    ONE,
    """subscription($id: ID!) { spaceUpdates(spaceId: $id) { __typename cursor kind at
      ... on ParticipantChanged { fromRole toRole participant { id role isMuted user { handle name } } }
      space { id title state isRecording participantCount host { handle name } cohosts { handle }
        recording { status viewerCanShare viewerCanDelete } } } }""",
    """subscription($id: ID!) { spaceUpdates(spaceId: $id) { cursor kind
      space { id title topics speakerPolicy consent { version } reminderCount } } }""",
)
# What differs from person to person is executed for each.
PERSONAL = """subscription($id: ID!) { spaceUpdates(spaceId: $id) { cursor kind
  space { id title viewerHasReminder viewerParticipation { role handRaised } } } }"""

Say = Callable[[str], None]
Fire = Callable[[int], Coroutine[Any, Any, None]]


async def run(say: Say) -> dict[str, list[dict[str, Any]]]:
    """All sizes, and all rivals at each."""
    found: dict[str, list[dict[str, Any]]] = {"one document": [], "several documents": [], "idle": []}
    for size in SIZES:
        rows = {name: await _alone(say, name, size) for name in ("spaces", "uvicorn", "bare", "node")}
        found["one document"] += _compared(rows, size)
    for size in MIXED:
        found["several documents"].append(await _spaces(say, size, documents=SEVERAL, what="shared"))
    personal = (*SEVERAL[:2], PERSONAL)
    found["several documents"].append(await _spaces(say, 1_000, documents=personal, what="a third personal"))
    found["idle"].append(await idle(say, IDLE))
    return found


async def _alone(say: Say, name: str, size: int) -> dict[str, Any] | None:
    if name == "spaces":
        return await _spaces(say, size, documents=(ONE,), what="anonymous")
    if name == "node" and not _node_is_ready():
        return None
    return await _rival(say, name, size)


def _compared(rows: dict[str, dict[str, Any] | None], size: int) -> list[dict[str, Any]]:
    """Each with its ratio to ours; None where a rival could not be run."""
    ours = rows["spaces"]
    assert ours is not None
    told = []
    for name, row in rows.items():
        ratio = round(ours["us_per_message"] / row["us_per_message"], 2) if row else None
        measured = row or dict.fromkeys(key for key in ours if key not in {"what", "subscribers"})
        told.append({**measured, "what": name, "subscribers": size, "ours_to_this": ratio})
    return told


async def idle(say: Say, size: int) -> dict[str, Any]:
    """What the API process keeps for subscribers of a Space in which nothing happens."""
    async with _house(say) as house, _hearers() as hearers:
        await hearers.open(50, house.port, [house.payload(ONE)], [{}])
        await hearers.expect(50)
        await asyncio.sleep(2)
        before = memory_bytes(house.pid)
        say(f"{size} idle subscribers")
        await hearers.open(size, house.port, [house.payload(ONE)], [{}])
        await hearers.expect(size)
        await asyncio.sleep(2)
        kept = memory_bytes(house.pid) - before
        return {"subscribers": size, "kb_per_subscriber": round(kept / size / 1000, 1)}


async def _spaces(say: Say, size: int, *, documents: tuple[str, ...], what: str) -> dict[str, Any]:
    async with _house(say) as house, _hearers() as hearers:
        say(f"spaces: {size} subscribers, {what}")
        spent = cpu_ns(house.pid)
        for number in range(20):
            await house.retitle(number)
        mutation_ns = (cpu_ns(house.pid) - spent) / 20
        inits: list[dict[str, Any]] = [{}]
        if len(documents) > 1:
            tokens = [await house.person() for _ in range(_ACCOUNTS)]
            # Of ten subscribers six are nobody; among the others is the host.
            signed = [{"authorization": f"Bearer {token}"} for token in (house.host, *tokens)]
            inits = [
                {} if number % 10 < 6 else signed[number % len(signed)] for number in range(10 * len(signed))
            ]
        payloads = [house.payload(document) for document in documents]
        before = await house.told()
        target = _Target(house.pid, house.port, payloads, inits)
        row = await _measure(hearers, target, size, fire=house.retitle, mutation_ns=mutation_ns)
        after = await house.told()
        executions = (after["executions"] - before["executions"] - size) / row["events"]
        return {"what": what, "subscribers": size, **row, "executions_per_event": round(executions, 1)}


async def _rival(say: Say, name: str, size: int) -> dict[str, Any]:
    say(f"{name}: {size} subscribers")
    port = _free_port()
    command = (
        ("node", str(_NODE / "server.mjs"), str(port))
        if name == "node"
        else (sys.executable, "-m", "benchmarks.shouter", str(port), name)
    )
    async with _process(*command) as process, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        ours = {"cursor": "x" * 88, "at": "2026-01-01T00:00:00.000Z", "kind": "UPDATED"}
        space = {"id": "y" * 56, "state": "SCHEDULED", "participantCount": 0}

        async def fire(number: int) -> None:
            event = {**ours, "space": {**space, "title": f"{number:06d} {_LOUD}"}}
            # What our server sends, letter by letter: the raw broadcasts make nothing of it.
            ready = {"id": f"{0:036d}", "type": "next", "payload": {"data": {"spaceUpdates": event}}}
            body = orjson.dumps(event if name == "node" else ready)
            (
                await http.post("/shout", content=body, headers={"Content-Type": "application/json"})
            ).raise_for_status()

        await _until(lambda: fire(0))
        spent = cpu_ns(process.pid)
        for number in range(20):
            await fire(number)
        mutation_ns = (cpu_ns(process.pid) - spent) / 20
        async with _hearers() as hearers:
            target = _Target(process.pid, port, [{"query": ONE, "variables": {"id": "1"}}], [{}])
            first = int(name == "node")
            row = await _measure(hearers, target, size, fire=fire, mutation_ns=mutation_ns, first=first)
        return {"what": name, "subscribers": size, **row, "executions_per_event": None}


async def _measure(
    hearers: "_Hearers",
    target: "_Target",
    size: int,
    *,
    fire: Fire,
    mutation_ns: float,
    first: int = 1,
) -> dict[str, Any]:
    pid = target.pid
    await hearers.open(size, target.port, target.payloads, target.inits)
    await hearers.expect(size * first)
    # The first event finds what is only made once.
    await fire(1)
    await hearers.expect(size)
    events = max(12, MESSAGES // size)
    took_ms: list[float] = []
    text, spent = "", 0
    for number in range(events):
        begun, used = time.monotonic(), cpu_ns(pid)
        firing = asyncio.create_task(fire(number + 2))
        answer = await hearers.expect(size)
        await firing
        spent += cpu_ns(pid) - used
        took_ms += [(at - begun) * 1000 for at in answer["came_at"]]
        text = answer["text"]
    messages = size * events
    took_ms.sort()
    return {
        "events": events,
        "us_per_message": round((spent - mutation_ns * events) / messages / 1000, 1),
        "us_with_mutation": round(spent / messages / 1000, 1),
        "p50_ms": round(statistics.median(took_ms), 1),
        "p99_ms": round(took_ms[int(len(took_ms) * 0.99)], 1),
        "message_bytes": len(text),
    }


def memory_bytes(pid: int) -> int:
    """What a process has in memory now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


@dataclass(frozen=True)
class _Target:
    """Who is measured, and what its subscribers send, in turn."""

    pid: int
    port: int
    payloads: list[Any]
    inits: list[dict[str, Any]]


@dataclass
class _Hearers:
    """The process of those who listen."""

    process: asyncio.subprocess.Process

    async def _ask(self, **told: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(orjson.dumps(told) + b"\n")
        await self.process.stdin.drain()
        answer: dict[str, Any] = orjson.loads(await self.process.stdout.readline())
        assert not answer["lost"], answer["lost"]
        return answer

    async def open(self, count: int, port: int, payloads: list[Any], inits: list[dict[str, Any]]) -> None:
        """So many more subscribers, who take their payload and greeting in turn."""
        await self._ask(open=count, port=port, payloads=payloads, inits=inits)

    async def expect(self, count: int) -> dict[str, Any]:
        """When so many messages came; not more, and none too late."""
        answer = await self._ask(expect=count)
        came = len(answer["came_at"])
        assert came == count, f"expected {count} messages, got {came}"
        return answer


@dataclass
class _House:
    """`spaces serve`, and a host with a Space."""

    http: httpx.AsyncClient
    port: int
    pid: int
    host: str = ""
    space_id: str = ""
    people: int = 0

    async def do(self, mutation: str, token: str = "", want: str = "", **fields: Any) -> Any:
        """The payload of a mutation."""
        kind = f"{mutation[0].upper()}{mutation[1:]}Input"
        query = f"mutation($input: {kind}!) {{ {mutation}(input: $input) {{ {want} errors {{ message }} }} }}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.http.post(
            "/graphql", json={"query": query, "variables": {"input": fields}}, headers=headers
        )
        payload = answer.json()["data"][mutation]
        assert not payload["errors"], payload
        return payload

    async def person(self) -> str:
        """Somebody's token."""
        self.people += 1
        handle = f"hearer_{self.people}"
        return str(
            (await self.do("signUp", want="token", handle=handle, name="x", password="long enough"))["token"]
        )

    async def retitle(self, number: int) -> None:
        """One event, by a mutation."""
        await self.rename(self.space_id, number)

    async def rename(self, space_id: str, number: int) -> None:
        """The same of one of the host's Spaces."""
        await self.do("updateSpace", self.host, spaceId=space_id, title=f"{number:06d} {_LOUD}")

    def payload(self, document: str) -> dict[str, Any]:
        """What is subscribed to."""
        return {"query": document, "variables": {"id": self.space_id}}

    async def told(self) -> dict[str, float]:
        """The server's own counts."""
        text = (await self.http.get("/metrics")).text
        lines = [line for line in text.splitlines() if line.startswith("spaces_subscriptions_")]
        return {
            line.split()[0].removeprefix("spaces_subscriptions_"): float(line.split()[1]) for line in lines
        }


@asynccontextmanager
async def _house(say: Say) -> AsyncIterator[_House]:
    say("spaces comes up")
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "SPACES_DATA_DIR": folder,
            "SPACES_PORT": str(port),
            "SPACES_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "SPACES_RATE_LIMIT_ENABLED": "false",
            "SPACES_PASSWORD_HASH_MIB": "1",
            "SPACES_LOG_LEVEL": "WARNING",
        }
        command = (sys.executable, "-m", "api.cli", "serve")
        async with (
            _process(*command, **environment) as process,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http,
        ):

            async def is_ready() -> None:
                (await http.get("/readyz")).raise_for_status()

            await _until(is_ready)
            house = _House(http, port, process.pid)
            house.host = await house.person()
            made = await house.do("createSpace", house.host, "space { id }", title=_LOUD)
            house.space_id = made["space"]["id"]
            yield house


@asynccontextmanager
async def _hearers() -> AsyncIterator[_Hearers]:
    async with _process(sys.executable, "-m", "benchmarks.hearers") as process:
        yield _Hearers(process)


@asynccontextmanager
async def _process(*command: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        cwd=_HERE.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # One line may tell of 5,000 messages.
        limit=10_000_000,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _until(work: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            try:
                return await work()
            except httpx.HTTPError:
                await asyncio.sleep(0.1)


def _node_is_ready() -> bool:
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    if not (_NODE / "node_modules").is_dir():
        done = subprocess.run(
            ("npm", "ci", "--no-audit", "--no-fund"), cwd=_NODE, capture_output=True, check=False
        )
        return done.returncode == 0
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
