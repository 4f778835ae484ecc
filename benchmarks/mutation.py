"""What a mutation costs the server, beside a bare transaction that writes the same rows.

The rival (`benchmarks/mutation_by_hand.py`) is an endpoint for two mutations alone. Both are processes of their own and
are asked in turn over one connection; what counts is processor time, user and system, per operation: the middle one of
some rounds. Each has a database of its own that was filled alike. The time of PostgreSQL itself counts for nobody.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks import timeline
from benchmarks.asked import Asked
from tests.product.town import free_port

ROUNDS, OPERATIONS, WARM = 7, 100, 30
OURS, BARE = "spaces", "bare transaction"
_MODULES = {OURS: ("benchmarks.timeline_servers", "compiled"), BARE: ("benchmarks.mutation_by_hand",)}
_UPDATE = """mutation Update($input: UpdateSpaceInput!) {
  updateSpace(input: $input) { space { id title } errors { message } } }"""
_SHARE = """mutation Share($input: ShareSpaceInput!) {
  shareSpace(input: $input) { item { id comment } errors { message } } }"""
_CREATE = """mutation { createSpace(input: {title: "A talk"}) { space { id } errors { message } } }"""


class Served(Asked):
    """A server, and Spaces to write to."""

    def __init__(self, kind: str, folder: Path, url: str, token: str) -> None:
        port = free_port()
        module, *arguments = _MODULES[kind]
        command = [sys.executable, "-m", module, *arguments, str(folder), str(port), url]
        super().__init__(command, port=port, token=token)
        self._number = 0
        self.spaces: list[str] = []

    def ask(self, document: str, **given: Any) -> Any:
        """The data of one operation."""
        (payload,) = orjson.loads(self.send(document, {"input": given}))["data"].values()
        assert not payload["errors"], payload
        return payload

    def update(self) -> Any:
        """Another title for the first Space, which has one card."""
        self._number += 1
        return self.ask(
            _UPDATE, spaceId=self.spaces[0], title=f"A talk about everything, part {self._number}"
        )

    def share(self) -> Any:
        """A share of the second Space."""
        self._number += 1
        return self.ask(_SHARE, spaceId=self.spaces[1], comment=f"Listen to this, {self._number}")


def _measure(servers: dict[str, Served], rounds: int) -> list[dict[str, Any]]:
    rows = []
    for what in ("update", "share"):
        works = {name: getattr(server, what) for name, server in servers.items()}
        first = [work() for work in works.values()]
        assert (
            len(
                {
                    str([(key, sorted(one)) for key, one in found.items() if key != "errors"])
                    for found in first
                }
            )
            == 1
        )
        spent: dict[str, list[float]] = {name: [] for name in servers}
        for number in range(rounds + 1):
            for name, server in servers.items():
                spent[name].append(server.cpu_us(works[name], OPERATIONS if number else WARM))
        us = {name: median(found[1:]) for name, found in spent.items()}
        rows += [
            {"mutation": what, "server": name, "cpu_us_per_operation": round(one),
             "ratio_to_bare": round(one / us[BARE], 2)}
            for name, one in us.items()
        ]  # fmt: skip
    return rows


def measure(kind: str, *, rounds: int) -> list[dict[str, Any]]:
    """The rows of one kind of database."""
    with ExitStack() as stack:
        servers = {}
        for name in (OURS, BARE):
            place, url = stack.enter_context(timeline._database(kind))
            fill = [sys.executable, "-m", "benchmarks.timeline_town", str(place), url]
            token = subprocess.run(fill, check=True, capture_output=True, text=True).stdout.strip()
            # The Spaces are made by the product; then each server has the folder for itself.
            servers[name] = _opened(stack, name, place, url, token)
        return [{"database": kind, **row} for row in _measure(servers, rounds)]


def _opened(stack: ExitStack, name: str, place: Path, url: str, token: str) -> Served:
    maker = Served(OURS, place, url, token)
    try:
        maker.wait()
        spaces = [str(maker.ask(_CREATE)["space"]["id"]) for _ in range(2)]
    finally:
        maker.end()
    server = Served(name, place, url, token)
    stack.callback(server.end)
    server.spaces = spaces
    server.wait()
    return server


async def run(say: Callable[[str], None], *, rounds: int = ROUNDS) -> dict[str, list[dict[str, Any]]]:
    """µs of processor time per mutation, on both databases."""
    rows: list[dict[str, Any]] = []
    for kind in ("sqlite", "postgres"):
        say(kind)
        rows += await asyncio.to_thread(measure, kind, rounds=rounds)
    return {"cost": rows}
