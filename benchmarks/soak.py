"""Many recorded Spaces for ten minutes, API and media process together on one core.

The people who talk are a process of their own, and so is whoever asks the API. Lateness is that of the media
process's own ticks; what it dropped are packets that came and were not heard, and what the kernel dropped for it.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from benchmarks.served import PATIENCE_S, Server, process

ROOMS = 20
SPEAKERS = 3
SECONDS = 600.0
# Rooms fill their windows and the server its caches; growth counts from then on.
SETTLE_S = 60.0
SAMPLE_S = 5.0
REQUESTS_PER_S = 20
_CARDS = "{ timeline(first: 20) { edges { node { id createdAt space { title state isRecording } } } } }"
_SPACE = "query($id: ID!) { space(id: $id) { title isRecording participantCount recording { status durationMs } } }"

Say = Callable[[str], None]


async def run(say: Say) -> dict[str, list[dict[str, Any]]]:
    """Ten minutes, and some for coming up."""
    return await soak(say, rooms=ROOMS, speakers=SPEAKERS, seconds=SECONDS, settle_s=SETTLE_S)


async def soak(
    say: Say, *, rooms: int, speakers: int, seconds: float, settle_s: float
) -> dict[str, list[dict[str, Any]]]:
    """So many rooms with so many speakers each, for so long after they have settled."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        crowd = await process("benchmarks.talkers", Path(folder))
        try:
            await server.start()
            async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
                house = _House(http)
                say(f"{rooms} Spaces come up")
                places = [place for _ in range(rooms) for place in await house.open(speakers)]
                await _tell(crowd, orjson.dumps(places))
                await _hear(crowd, "talking")
                say("settling")
                await asyncio.sleep(settle_s)
                measured = await _measure(server, house, say=say, seconds=seconds)
                await _tell(crowd, b"silence")
                sent = (await _hear(crowd, "sent"))["sent"]
                await asyncio.sleep(1)
                measured["packets_sent"] = sent
                measured["packets_received"] = round((await house.metrics())["packets_received"])
                lengths = await house.close()
                await _tell(crowd, b"bye")
        finally:
            with suppress(ProcessLookupError):
                crowd.kill()
            await crowd.wait()
            await server.stop()
    return {"soak": [{"rooms": rooms, "speakers": speakers, **measured, **lengths}]}


async def _measure(server: Server, house: "_House", *, say: Say, seconds: float) -> dict[str, Any]:
    before = await house.metrics()
    begun_s, (cpu_ms, waited_ms) = time.monotonic(), server.cpu_ms()
    asking = asyncio.create_task(house.ask_on(), name="requests")
    memory: list[tuple[float, float]] = []
    while (passed_s := time.monotonic() - begun_s) < seconds:
        memory.append(server.memory_mb())
        say(f"{passed_s:.0f} of {seconds:.0f} s")
        await asyncio.sleep(min(SAMPLE_S, seconds))
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    passed_s = time.monotonic() - begun_s
    after = await house.metrics()
    late = {bound: after["late"][bound] - before["late"][bound] for bound in after["late"]}
    took = sorted(house.took_ms)
    of_server, of_media = ([row[which] for row in memory] for which in (0, 1))
    return {
        "seconds": round(passed_s),
        "cpu_ms_per_s": round((server.cpu_ms()[0] - cpu_ms) / passed_s),
        "cpu_waited_ms_per_s": round((server.cpu_ms()[1] - waited_ms) / passed_s),
        "tick_late_p99_ms": percentile(late, 0.99),
        "tick_late_worst_ms": round(after["tick_late_worst_ms"], 1),
        "packets_dropped": round(after["packets_dropped"] - before["packets_dropped"]),
        "kernel_dropped": server.kernel_drops(),
        "events_dropped": round(after["events_dropped"]),
        "requests": len(took),
        "requests_failed": house.failed,
        "api_p50_ms": round(took[len(took) // 2], 1),
        "api_p99_ms": round(took[int(len(took) * 0.99)], 1),
        "media_mb": round(memory[-1][1], 1),
        "media_growth_mb": growth_mb(of_media, since_third=0),
        "media_growth_after_middle_mb": growth_mb(of_media, since_third=1),
        "server_mb": round(memory[-1][0], 1),
        "server_growth_mb": growth_mb(of_server, since_third=0),
        "server_growth_after_middle_mb": growth_mb(of_server, since_third=1),
    }


def growth_mb(samples: list[float], *, since_third: int) -> float:
    """From the mean of a third (0 is the first) to that of the last."""
    third = max(1, len(samples) // 3)
    before, after = samples[since_third * third :][:third], samples[-third:]
    return round(sum(after) / len(after) - sum(before) / len(before), 1) if before else 0.0


def percentile(counts: dict[float, float], part: float) -> float:
    """From cumulative counts by upper bound: the bound under which so large a part lies."""
    total = max(counts.values())
    return next(bound for bound, count in sorted(counts.items()) if count >= part * total)


@dataclass
class _House:
    """The people, Spaces and questions of the benchmark, by the public door."""

    http: httpx.AsyncClient
    hosts: list[tuple[str, str]] = field(default_factory=list)
    live: list[str] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    failed: int = 0
    people: int = 0

    async def read(self, query: str, token: str = "", **variables: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.http.post(
            "/graphql", json={"query": query, "variables": variables}, headers=headers
        )
        data = answer.json()
        assert "errors" not in data, data
        return data["data"]

    async def do(self, mutation: str, token: str = "", want: str = "", **fields: Any) -> Any:
        kind = f"{mutation[0].upper()}{mutation[1:]}Input"
        query = f"mutation($input: {kind}!) {{ {mutation}(input: $input) {{ {want} errors {{ message }} }} }}"
        payload = (await self.read(query, token, input=fields))[mutation]
        assert not payload["errors"], payload
        return payload

    async def person(self) -> tuple[str, str]:
        self.people += 1
        made = await self.do(
            "signUp", want="token user { id }", handle=f"soak_{self.people}", name="x", password="long enough"
        )
        return made["token"], made["user"]["id"]

    async def open(self, speakers: int) -> list[dict[str, str]]:
        """A live recorded Space; where its speakers publish."""
        host, _ = await self.person()
        made = await self.do("createSpace", host, "space { id }", title="Soak", record=True)
        space_id = made["space"]["id"]
        await self.do("startSpace", host, spaceId=space_id)
        self.hosts.append((host, space_id))
        told = await self.read(
            "query($id: ID!) { space(id: $id) { consent { version } live { url } } }", id=space_id
        )
        self.live.append(told["space"]["live"]["url"])
        places = [await self._join(host, space_id)]
        for _ in range(speakers - 1):
            guest, user_id = await self.person()
            await self.do("joinSpace", guest, spaceId=space_id)
            version = told["space"]["consent"]["version"]
            await self.do("acknowledgeRecording", guest, spaceId=space_id, consentVersion=version)
            await self.do("raiseHand", guest, spaceId=space_id, raised=True)
            await self.do("setParticipantRole", host, spaceId=space_id, userId=user_id, role="SPEAKER")
            places.append(await self._join(guest, space_id))
        return places

    async def _join(self, token: str, space_id: str) -> dict[str, str]:
        joined = await self.do("joinSpace", token, "whipUrl mediaToken", spaceId=space_id)
        return {"url": joined["whipUrl"], "token": joined["mediaToken"]}

    async def ask_on(self) -> None:
        """Timelines, Spaces and live playlists in turn, until cancelled; a slow answer delays no other question."""
        async with asyncio.TaskGroup() as asking:
            number = 0
            while True:
                asking.create_task(self._ask(number))
                number += 1
                await asyncio.sleep(1 / REQUESTS_PER_S)

    async def _ask(self, number: int) -> None:
        token, space_id = self.hosts[number % len(self.hosts)]
        begun_s = time.perf_counter()
        try:
            if number % 3 == 0:
                await self.read(_CARDS, token)
            elif number % 3 == 1:
                await self.read(_SPACE, id=space_id)
            else:
                (await self.http.get(self.live[number % len(self.live)])).raise_for_status()
        except (httpx.HTTPError, AssertionError):
            self.failed += 1
        self.took_ms.append((time.perf_counter() - begun_s) * 1000)

    async def metrics(self) -> dict[str, Any]:
        """What the media process tells, by name; `late` by bound in ms."""
        found: dict[str, Any] = {"late": {}}
        for line in (await self.http.get("/metrics")).text.splitlines():
            if not line.startswith("spaces_media_") or "{" not in line:
                continue
            name, _, rest = line.removeprefix("spaces_media_").partition("{")
            labels, value = rest.rsplit("} ", 1)
            if name == "tick_late":
                found["late"][float(labels.partition('le_ms="')[2].partition('"')[0])] = float(value)
            else:
                found[name] = float(value)
        return found

    async def close(self) -> dict[str, Any]:
        """End every Space; whether each recording is whole."""
        gaps, shortest_ms = 0, 10**9
        for host, space_id in self.hosts:
            await self.do("endSpace", host, spaceId=space_id)
            told = await self.read(
                "query($id: ID!) { space(id: $id) { recording { status durationMs gaps { cause } } } }",
                id=space_id,
            )
            recording = told["space"]["recording"]
            assert recording["status"] == "AVAILABLE", recording
            gaps += len(recording["gaps"])
            shortest_ms = min(shortest_ms, recording["durationMs"])
        return {"gaps": gaps, "shortest_s": round(shortest_ms / 1000, 1)}


async def _tell(process: asyncio.subprocess.Process, line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line + b"\n")
    await process.stdin.drain()


async def _hear(process: asyncio.subprocess.Process, what: str) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S * 4):
        told: dict[str, Any] = orjson.loads(await process.stdout.readline())
    assert what in told, told
    return told
