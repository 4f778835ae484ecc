"""What a timeline of 20 cards with recordings costs the server, beside what others make of the same rows.

`python -m benchmarks timeline --json`. Rivals: an endpoint written by hand for this answer alone, Strawberry with
Tortoise as their manuals have it, and Mercurius with graphql-jit on Node. Each is a process of its own; they are
asked in turn, and what counts is processor time (user and system) per operation: the middle one of many short rounds,
and of a ratio the middle one of what it is in each round, since a machine that others disturb is slow for minutes.
The database of PostgreSQL is another process, whose time is not counted for anybody.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from benchmarks.asked import Asked
from benchmarks.timeline_town import DOCUMENT, VARIABLES
from tests.product import postgres
from tests.product.postgres import Postgres
from tests.product.town import free_port

ROUNDS, OPERATIONS, SLOW_OPERATIONS = 21, 100, 20
# Node compiles for some thousand operations until it is as fast as it gets.
WARM, SLOW_WARM = 2000, 60
OURS, HAND, STOCK, NODE, ORDINARY = "compiled", "by_hand", "stock_strawberry", "mercurius", "ordinary"
SLOW = {STOCK, ORDINARY}
LIMITS = {
    "ratio_to_handwritten": 1.25, "ratio_to_stock_strawberry": 0.04, "ratio_to_mercurius": 1.0,
    "first_seen_to_ordinary": 1.1, "fallback_to_ordinary": 1.05,
}  # fmt: skip
# Introspection has no plan, so all of the document falls back to the ordinary executor.
FALLBACK = DOCUMENT.removesuffix("}") + ' __type(name: "Query") { name } }'
_HERE = Path(__file__).parent / "node"


class Served(Asked):
    """A server, and the timeline as it is asked for."""

    def __init__(self, kind: str, folder: Path, url: str, token: str) -> None:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.timeline_servers", kind, str(folder), str(port), url]
        if kind == NODE:
            keys = folder / "keys" / "links.key"
            database = url or str(folder / "spaces.sqlite3")
            command = ["node", str(_HERE / "timeline.mjs"), str(port), database, str(keys)]
        super().__init__(command, port=port, token=token)
        self.wait()

    def ask(self, document: str = DOCUMENT) -> bytes:
        """The answer to one operation."""
        return self.send(document, VARIABLES)

    def read_us(self, documents: Iterator[str], operations: int) -> float:
        """Processor time per document, in µs."""
        return self.cpu_us(lambda: self.ask(next(documents)), operations)


def _same(document: str = DOCUMENT) -> Iterator[str]:
    while True:
        yield document


def _fresh(name: str) -> Iterator[str]:
    """The document, never twice with the same text."""
    number = 0
    while True:
        number += 1
        yield DOCUMENT.replace("Timeline", f"{name}{number}")


def _cards(answer: bytes) -> Any:
    """An answer without what hangs on the moment."""
    data = json.loads(answer)
    assert "errors" not in data, data
    for edge in data["data"]["timeline"]["edges"]:
        link = edge["node"]["recording"]["playback"]
        assert link["url"].startswith("http")
        assert link["expiresAt"]
        link["url"] = link["expiresAt"] = ""
        # Stock Strawberry writes times in Python's way.
        for place in (edge["node"], edge["node"]["space"], edge["node"]["recording"]):
            for key, value in place.items():
                if key.endswith("At") and value:
                    place[key] = value.replace("+00:00", "Z").replace(".000Z", "Z")[:19]
    return data


def _kinds() -> Sequence[str]:
    with_node = shutil.which("node") and (_HERE / "node_modules" / "mercurius").is_dir()
    return (OURS, HAND, STOCK, ORDINARY, *((NODE,) if with_node else ()))


def measure(folder: Path, url: str, *, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """µs per operation of each server in each round."""
    filled = [sys.executable, "-m", "benchmarks.timeline_town", str(folder), url]
    token = subprocess.run(filled, check=True, capture_output=True, text=True).stdout.strip()
    servers: dict[str, Served] = {}
    try:
        for kind in _kinds():
            servers[kind] = Served(kind, folder, url, token)
        answers = {kind: _cards(server.ask()) for kind, server in servers.items()}
        assert all(answer == answers[HAND] for answer in answers.values())
        return _rounds(servers, rounds)
    finally:
        for server in servers.values():
            server.end()


def _rounds(servers: dict[str, Served], rounds: int) -> dict[str, list[float]]:
    spent: dict[str, list[float]] = {}
    fresh = {kind: _fresh("Fresh") for kind in (OURS, ORDINARY)}
    for kind, server in servers.items():
        server.read_us(_same(), SLOW_WARM if kind in SLOW else WARM)
    for _ in range(rounds):
        for kind, server in servers.items():
            operations = SLOW_OPERATIONS if kind in SLOW else OPERATIONS
            spent.setdefault(kind, []).append(server.read_us(_same(), operations))
        for kind, documents in fresh.items():
            found = spent.setdefault(f"{kind} fallback", [])
            found.append(servers[kind].read_us(_same(FALLBACK), SLOW_OPERATIONS))
            found = spent.setdefault(f"{kind} first seen", [])
            found.append(servers[kind].read_us(documents, SLOW_OPERATIONS))
    return spent


@contextmanager
def _database(kind: str) -> Iterator[tuple[Path, str]]:
    with tempfile.TemporaryDirectory(prefix="spaces-bench-") as name:
        if kind == "sqlite":
            yield Path(name), ""
            return
        with patch.dict(postgres._OPTIONS, {"autovacuum": "on"}):
            server = Postgres()
        try:
            server.run("CREATE DATABASE bench")
            yield Path(name), server.url("bench")
        finally:
            server.remove()


def _ratios(kind: str, us: dict[str, list[float]]) -> dict[str, Any]:
    def ratio(ours: str, theirs: str) -> float:
        return median(mine / other for mine, other in zip(us[ours], us[theirs], strict=True))

    ratios: dict[str, Any] = {
        "database": kind,
        "ratio_to_handwritten": ratio(OURS, HAND),
        "ratio_to_stock_strawberry": ratio(OURS, STOCK),
        "ratio_to_mercurius": ratio(OURS, NODE) if NODE in us else None,
        "first_seen_to_ordinary": ratio(f"{OURS} first seen", f"{ORDINARY} first seen"),
        "fallback_to_ordinary": ratio(f"{OURS} fallback", f"{ORDINARY} fallback"),
    }
    shown = {name: round(one, 3) if isinstance(one, float) else one for name, one in ratios.items()}
    holds = all(shown[name] is None or shown[name] <= LIMITS[name] for name in shown if name in LIMITS)
    return {**shown, "holds": holds}


async def run(
    say: Callable[[str], None] = lambda _doing: None, *, rounds: int = ROUNDS
) -> dict[str, list[dict[str, Any]]]:
    """µs of processor per operation on both databases, and what ours is of each rival's."""
    costs: list[dict[str, Any]] = []
    ratios: list[dict[str, Any]] = []
    for kind in ("sqlite", "postgres"):
        say(kind)
        with _database(kind) as (folder, url):
            us = await asyncio.to_thread(measure, folder, url, rounds=rounds)
        costs += [
            {"database": kind, "server": name, "cpu_us_per_operation": round(median(one))}
            for name, one in us.items()
        ]
        ratios.append(_ratios(kind, us))
    return {"cost": costs, "ratio": ratios}
