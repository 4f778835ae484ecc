"""What it costs to hand out a recording, beside nginx that hands out the same file and asks nobody.

Every request for bytes is checked anew: who the link was made for, what blocks them, the recording's state and
deadline. The ways: Spaces alone, Spaces behind nginx, and nginx told by Spaces which file to send (X-Accel-Redirect,
with `deploy/nginx.conf`). They are asked in turn over one connection each, and what counts is processor time, user and
system, of Spaces and nginx together: the middle one of some rounds. Without nginx the first way alone is measured.
"""

import asyncio
import http.client
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from benchmarks.asked import cpu_ns
from benchmarks.served import Server
from benchmarks.timeline_town import fill
from media.mp4 import FRAGMENT_FRAMES, Fragment
from media.playlist import PLAYLIST, PROGRAMME, render_index
from schema import ids
from tests.product.nginx import nginx
from tests.product.town import free_port

ROUNDS = 7
PLAIN, ALONE, BEHIND, TOLD = "nginx", "spaces", "spaces behind nginx", "nginx told by spaces"
# What is asked for, the bytes of it, and how often a round. An hour of 64 kbit/s, as recordings are.
FRAGMENT_BYTES, FRAGMENTS, INIT_BYTES = 8_000, 3_670, 800
ASKED = {"fragment": (FRAGMENT_BYTES, 200), "256 kB": (262_144, 100), "whole hour": (0, 3)}
_LINK = """{ timeline(first: 1) { edges { node { recording { id playback { url } } } } } }"""

Say = Callable[[str], None]


class Way:
    """One way to the bytes: an address, a connection to it, and whose processor time counts."""

    def __init__(self, port: int, path: str, spent_us: Callable[[], float]) -> None:
        self._link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path = path
        self._spent_us = spent_us

    def ask(self, asked: str | None) -> bytes:
        """Some bytes, or all of them."""
        self._link.request("GET", self._path, headers={"Range": asked} if asked else {})
        answer = self._link.getresponse()
        assert answer.status == (206 if asked else 200), answer.status
        return answer.read()

    def cpu_us(self, size: int, times: int) -> float:
        """µs per request. Each is for other bytes than the one before."""
        self._link.close()  # it may have been idle for too long
        before = self._spent_us()
        for number in range(times):
            start = INIT_BYTES + number * size
            self.ask(f"bytes={start}-{start + size - 1}" if size else None)
        return (self._spent_us() - before) / times

    def close(self) -> None:
        """Hang up."""
        self._link.close()


def _write(folder: Path) -> None:
    """A recording's files: of the right form, with noise for sound, which no server looks into."""
    folder.mkdir(parents=True)
    places = [INIT_BYTES + number * FRAGMENT_BYTES for number in range(FRAGMENTS)]
    fragments = [Fragment(place, FRAGMENT_BYTES, FRAGMENT_FRAMES) for place in places]
    with Path("/dev/urandom").open("rb") as noise:
        (folder / PROGRAMME).write_bytes(noise.read(INIT_BYTES + FRAGMENTS * FRAGMENT_BYTES))
    playlist = render_index(fragments, init_bytes=INIT_BYTES, started_at_ms=None, ended=True)
    (folder / PLAYLIST).write_text(playlist)


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@dataclass(frozen=True)
class Place:
    """A server with the recording, and the path of its bytes for somebody signed in."""

    server: Server
    recordings: Path
    path: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.url.rpartition(":")[2])

    def cpu_us(self) -> float:
        """Its processor time since its start."""
        return self.server.own_cpu_ms() * 1000


async def _place(folder: Path, token: str, **environment: str) -> Place:
    server = Server(folder, SPACES_WORKER_INTERVAL_S="3600", **environment)
    await server.start()
    async with httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as http:
        answer = (await http.post("/graphql", json={"query": _LINK})).json()
    found = answer["data"]["timeline"]["edges"][0]["node"]["recording"]
    recordings = folder / "data" / "recordings"
    _write(recordings / ids.read_any(found["id"])[1])
    return Place(server, recordings, urlsplit(urljoin(found["playback"]["url"], PROGRAMME)).path)


@asynccontextmanager
async def _ways(folder: Path, say: Say) -> AsyncIterator[dict[str, Way]]:
    first = folder / "asked"
    first.mkdir()
    token = await fill(first / "data", "")
    shutil.copytree(first, folder / "told")
    async with AsyncExitStack() as stack:
        say("spaces comes up")
        asked = await _place(first, token)
        stack.push_async_callback(asked.server.stop)
        ways = {ALONE: Way(asked.port, asked.path, asked.cpu_us)}
        if shutil.which("nginx"):
            told = await _place(folder / "told", token, SPACES_X_ACCEL_PATH="/recorded-bytes")
            stack.push_async_callback(told.server.stop)
            ways |= {BEHIND: await _front(stack, asked), TOLD: await _front(stack, told)}
            ways[PLAIN] = await _front(stack, asked, plain=True)
        for way in ways.values():
            stack.callback(way.close)
        yield ways


async def _front(stack: AsyncExitStack, place: Place, *, plain: bool = False) -> Way:
    front, port = free_port(), free_port()
    folder = place.recordings.parent.parent / f"nginx-{front}"
    proxy = await stack.enter_async_context(
        nginx(folder, port=front, plain_port=port, upstream=place.port, recordings=place.recordings)
    )
    worker = _only_child(proxy.pid)
    if plain:
        file = next(place.recordings.glob(f"*/{PROGRAMME}")).relative_to(place.recordings)
        return Way(port, f"/plain/{file}", lambda: cpu_ns(worker) / 1000)
    return Way(front, place.path, lambda: cpu_ns(worker) / 1000 + place.cpu_us())


def _measure(ways: dict[str, Way], rounds: int) -> list[dict[str, Any]]:
    rows = []
    for what, (size, times) in ASKED.items():
        wanted = None if size == 0 else f"bytes=0-{size - 1}"
        answers = {name: way.ask(wanted) for name, way in ways.items()}
        assert len({len(answer) for answer in answers.values()}) == 1
        assert answers[ALONE] == answers.get(BEHIND, answers[ALONE])
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                spent[name].append(way.cpu_us(size, times))
        us = {name: median(found) for name, found in spent.items()}
        for name, one in us.items():
            ratio = round(one / us[PLAIN], 2) if PLAIN in us else None
            rows.append(
                {"asked": what, "way": name, "cpu_us_per_request": round(one), "ratio_to_nginx": ratio}
            )
    return rows


async def run(say: Say, *, rounds: int = ROUNDS) -> dict[str, list[dict[str, Any]]]:
    """µs of processor time per request, of each way."""
    with tempfile.TemporaryDirectory(prefix="spaces-bench-") as folder:
        async with _ways(Path(folder), say) as ways:
            say("asking")
            return {"cost": await asyncio.to_thread(_measure, ways, rounds)}
