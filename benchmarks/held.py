"""How long one read holds the event loop, found by a watchdog.

The watchdog times every callback of the loop while a read is answered. What the scheduler gave to other processes
meanwhile is taken off; waiting for a lock or a disk is not. Each read's longest hold is the middle one of some rounds:
one that comes again, not an accident of the machine. The reads are the timeline's and the browser client's.
"""

import asyncio
import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from api.app import build
from api.serve import SWITCH_S
from benchmarks.timeline_servers import quiet_engine
from benchmarks.timeline_town import DOCUMENT, fill, settings_of
from models.space import Space
from schema import ids

ROUNDS = 9
LIMIT_MS = 5.0
_CLIENT = Path(__file__).parent.parent / "api" / "static" / "client" / "documents.json"


class Watchdog:
    """The longest callback of the running loop: asyncio's own, whose callbacks are run from Python."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._waited = os.open("/proc/thread-self/schedstat", os.O_RDONLY)

    def _preempted_ns(self) -> int:
        return int(os.pread(self._waited, 100, 0).split()[1])

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time all callbacks."""
        run: Any = asyncio.Handle._run

        def timed(handle: Any) -> None:
            preempted, begun = self._preempted_ns(), time.monotonic_ns()
            run(handle)
            held = time.monotonic_ns() - begun - (self._preempted_ns() - preempted)
            self.longest_ms = max(self.longest_ms, held / 1e6)

        asyncio.Handle._run = timed  # type: ignore[method-assign, assignment]
        self.longest_ms = 0.0
        try:
            yield
        finally:
            asyncio.Handle._run = run  # type: ignore[method-assign]


async def _ask(app: Any, token: str, document: str, variables: dict[str, Any]) -> None:
    """One request, without a client whose own work would hold the loop too."""
    body = orjson.dumps({"query": document, "variables": variables})
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "host": "127.0.0.1"}
    scope = {
        "type": "http", "method": "POST", "path": "/graphql", "raw_path": b"/graphql", "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http", "http_version": "1.1",
        "root_path": "", "state": {},
    }  # fmt: skip
    answered: list[bytes] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        answered.append(message.get("body", b""))

    await app(scope, receive, send)
    assert b'"data":{' in b"".join(answered), answered


async def _longest_ms(app: Any, token: str, documents: Iterator[str], variables: dict[str, Any]) -> float:
    found = []
    for _ in range(ROUNDS + 1):
        watchdog = Watchdog()
        document = next(documents)
        with watchdog.watching():
            await asyncio.create_task(_ask(app, token, document, variables))
        found.append(watchdog.longest_ms)
    return median(found[1:])


def _known(document: str) -> Iterator[str]:
    while True:
        yield document


def _fresh(document: str) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"{document} # {number}"


def _reads(space: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Documents and their variables, by what they are."""
    reads: dict[str, tuple[str, dict[str, Any]]] = {
        f"timeline of {first}": (DOCUMENT, {"first": first}) for first in (20, 100)
    }
    said = {"first": 20, "id": space, "ids": [space], "text": "host", "handle": "host_1"}
    for document in orjson.loads(_CLIENT.read_bytes()).values() if _CLIENT.exists() else ():
        kind, name = document.replace("(", " ").split(maxsplit=2)[:2]
        if kind == "query" and name not in {"Queue", "Audit", "CaseFile"}:  # are moderators' alone
            reads[f"client's {name}"] = document, said
    return reads


async def _measured(folder: Path, *, compiled: bool) -> list[dict[str, Any]]:
    token = await fill(folder, "")
    built = build(settings_of(folder, "", compiled_operations=compiled), start_engine=quiet_engine)
    rows = []
    async with built.app.router.lifespan_context(built.app):
        space = ids.pack("Space", (await Space.all().first()).id)  # type: ignore[union-attr]
        gc.freeze()
        sys.setswitchinterval(SWITCH_S)
        for what, (document, variables) in _reads(space).items():
            ways = {"known": _known(document), "first seen": _fresh(document)}
            for way, documents in ways.items():
                longest = await _longest_ms(built.app, token, documents, variables)
                rows.append({"read": what, "document": way, "longest_ms": round(longest, 2)})
    return rows


async def run(say: Callable[[str], None]) -> dict[str, list[dict[str, Any]]]:
    """The longest hold of each read, by a plan and by the ordinary executor."""
    found = {}
    for name, compiled in (("compiled", True), ("ordinary", False)):
        say(name)
        with tempfile.TemporaryDirectory(prefix="spaces-bench-") as folder:
            found[name] = await _measured(Path(folder), compiled=compiled)
    worst = max(row["longest_ms"] for row in found["compiled"])
    return {**found, "verdict": [{"longest_ms": worst, "limit_ms": LIMIT_MS, "holds": worst <= LIMIT_MS}]}
