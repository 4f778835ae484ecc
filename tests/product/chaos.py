"""Load on a cluster whose parts fail, the history of what was answered, and the model it is held to."""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import WebSocketException

from models.fields import to_ms
from services.clock import SystemClock
from tests.media.publisher import tone
from tests.product.cluster import Cluster
from tests.product.databases import databases
from tests.product.process import ServedTown
from tests.product.receiver import Receiver, hook
from tests.product.town import Person
from tests.product.voices import uuid_of

PAUSE_S = 0.1
# A process that hangs keeps what it has accepted; people try again.
GIVEN_UP_AFTER_S = 5.0
MARKED_A_ROUND = 3
STALL_S = 0.2
UPDATES = (
    "subscription($id: ID!, $after: String) { spaceUpdates(spaceId: $id, after: $after) { cursor kind } }"
)
EVENTS = (
    "query($id: ID!, $after: String) { spaceEvents(spaceId: $id, first: 100, after: $after)"
    " { edges { node { kind cursor } } pageInfo { hasNextPage endCursor } } }"
)
TIMELINE = "{ timeline(first: 20) { edges { node { id space { title recording { status } } } } } }"


@dataclass
class History:
    """What everybody was answered."""

    refusals: Counter[tuple[int, str]] = field(default_factory=Counter)
    cut_off: int = 0
    # When each kind of work was last answered well, by the monotonic clock.
    well_s: dict[str, float] = field(default_factory=dict)
    answered: Counter[str] = field(default_factory=Counter)
    # When this process itself was held up, by the monotonic clock: what it sent then was late.
    stalls: list[tuple[float, float]] = field(default_factory=list)

    def went_well(self, what: str) -> None:
        self.well_s[what] = time.monotonic()
        self.answered[what] += 1

    async def until_all_well(self, since_s: float) -> float:
        """Wait until every kind of work has gone well once more; how long after `since_s` that was."""
        give_up_s = time.monotonic() + 60
        while late := [what for what, well_s in self.well_s.items() if well_s <= since_s]:
            assert time.monotonic() < give_up_s, f"never went well again: {late}"
            await asyncio.sleep(0.02)
        return min(self.well_s.values()) - since_s


class Load:
    """People who work until `stop`."""

    def __init__(self, town: ServedTown, history: History, receiver: Receiver) -> None:
        self.town = town
        self.history = history
        self._receiver = receiver
        self.stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._following: list[asyncio.Task[None]] = []
        self._tried: Counter[str] = Counter()
        self._renamed: Counter[str] = Counter()
        self._title: dict[str, int] = {}
        self._followed: dict[str, list[str]] = {}
        self._hosts: dict[str, Person] = {}
        self._launched: set[str] = set()
        self._ended: set[str] = set()

    async def begin(self, *, renamers: int = 2, followers: int = 2, also: int = 0) -> None:
        """Everybody starts, and has been answered once, `also` others who work on the same history."""
        for number in range(renamers):
            host = await self.town.person()
            space_id = str((await host.new_space())["id"])
            self._hosts[space_id] = host
            self._start(self._rename(host, space_id, f"renames {number}"))
            for follower in range(followers):
                key = f"{space_id} {follower}"
                self._followed[key] = []
                self._following.append(asyncio.create_task(self._follow(host, space_id, self._followed[key])))
        launcher = await self.town.person()
        self.hook = await hook(launcher, self._receiver.url, "SPACE_STARTED", "SPACE_ENDED")
        self._start(self._play(await self._stored(launcher)))
        self._start(self._launch(launcher))
        self._start(self._read(launcher))
        self._start(self._retire())
        self._start(self._look_at_itself())
        async with asyncio.timeout(60):
            while len(self.history.well_s) < renamers + 4 + also:
                assert not any(task.done() for task in self._tasks), "somebody has given up"
                await asyncio.sleep(0.05)

    def _start(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def end(self) -> None:
        """Everybody stops, those who follow once they know all; what they failed by is raised."""
        self.stop.set()
        await asyncio.gather(*self._tasks)
        last = {space_id: (await told(host, space_id))[-1][1] for space_id, host in self._hosts.items()}
        async with asyncio.timeout(60):
            while any(found[-1:] != [last[key.split()[0]]] for key, found in self._followed.items()):
                await asyncio.sleep(0.05)
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)

    async def cancel(self) -> None:
        """Whatever became of the test."""
        work = [*self._tasks, *self._following]
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    async def _ask(self, person: Person, query: str, **variables: Any) -> Any:
        """The one field of the answer, or None when it was refused as it may be."""
        body = {"query": query, "variables": variables}
        try:
            answer = await self.town.http.post(
                "/graphql", json=body, headers=person.headers, timeout=GIVEN_UP_AFTER_S
            )
        except httpx.TransportError:
            self.history.cut_off += 1
            return None
        if answer.status_code != 200:
            self.history.refusals[answer.status_code, answer.headers.get("Retry-After", "never")] += 1
            return None
        told = answer.json()
        if "errors" in told:
            codes = {error["extensions"]["code"] for error in told["errors"]}
            assert codes == {"UNAVAILABLE"}, told
            assert all(error["extensions"]["retryAfterMs"] > 0 for error in told["errors"]), told
            self.history.refusals[200, "UNAVAILABLE"] += 1
            return None
        return next(iter(told["data"].values()))

    async def _mutate(self, person: Person, name: str, want: str = "", **fields: Any) -> Any:
        kind = f"{name[0].upper()}{name[1:]}Input"
        query = f"mutation($input: {kind}!) {{ {name}(input: $input) {{ {want} errors {{ code }} }} }}"
        payload = await self._ask(person, query, input=fields)
        if payload is None or payload["errors"]:
            return None
        return payload

    async def _rename(self, host: Person, space_id: str, what: str) -> None:
        while not self.stop.is_set():
            self._tried[space_id] += 1
            number = self._tried[space_id]
            if await self._mutate(host, "updateSpace", spaceId=space_id, title=f"Title {number}"):
                self._renamed[space_id] += 1
                self._title[space_id] = number
                self.history.went_well(what)
            await asyncio.sleep(PAUSE_S)

    async def _follow(self, who: Person, space_id: str, found: list[str]) -> None:
        """Every event once, over as many connections as it takes."""
        while True:
            with contextlib.suppress(OSError, WebSocketException, TimeoutError, KeyError, AssertionError):
                async with asyncio.timeout(GIVEN_UP_AFTER_S), who.socket() as socket:
                    after = found[-1] if found else None
                    name = await socket.subscribe(UPDATES, id=space_id, after=after)
                    while True:
                        event = await socket.next(name)
                        found.append(event["cursor"])
            await asyncio.sleep(PAUSE_S)

    async def _launch(self, host: Person) -> None:
        """Spaces are launched and ended, which a webhook tells."""
        while not self.stop.is_set():
            await asyncio.sleep(PAUSE_S)
            made = await self._mutate(host, "createSpace", "space { id }", title="Short")
            if made is None:
                continue
            space_id = made["space"]["id"]
            if await self._mutate(host, "startSpace", spaceId=space_id):
                self._launched.add(space_id)
            # Answered or not, it may be live: a host has one at most.
            while not await self._is_over(host, space_id):
                if await self._mutate(host, "endSpace", spaceId=space_id):
                    self._ended.add(space_id)
                await asyncio.sleep(PAUSE_S)
            self.history.went_well("launches")

    async def _is_over(self, host: Person, space_id: str) -> bool:
        found = await self._ask(host, "query($id: ID!) { space(id: $id) { state } }", id=space_id)
        return found is not None and found["state"] != "LIVE"

    async def _read(self, person: Person) -> None:
        while not self.stop.is_set():
            if await self._ask(person, TIMELINE) is not None:
                self.history.went_well("reads")
            await asyncio.sleep(PAUSE_S)

    async def _stored(self, host: Person) -> str:
        """A recording that is in the object store alone: where its bytes are played from."""
        space_id = await host.live_space(record=True)
        voice = await host.publish(space_id, tone(frequency_hz=440, seconds=1))
        await voice.play_to_end()
        await host.do("endSpace", spaceId=space_id)
        await voice.close()
        recording = await host.recording(space_id, "id playback { url }")
        async with asyncio.timeout(60):
            while (self.town.data_dir / "recordings" / str(uuid_of(recording["id"]))).exists():
                await asyncio.sleep(0.1)
        return str(recording["playback"]["url"].replace("index.m3u8", "programme.mp4"))

    async def _play(self, url: str) -> None:
        while not self.stop.is_set():
            try:
                answer = await self.town.http.get(
                    url, headers={"Range": "bytes=0-999"}, timeout=GIVEN_UP_AFTER_S
                )
            except httpx.TransportError:
                self.history.cut_off += 1
            else:
                if answer.status_code == 206:
                    self.history.went_well("plays")
                else:
                    self.history.refusals[answer.status_code, answer.headers.get("Retry-After", "never")] += 1
            await asyncio.sleep(PAUSE_S)

    async def _look_at_itself(self) -> None:
        while not self.stop.is_set():
            before_s = time.monotonic()
            await asyncio.sleep(PAUSE_S)
            now_s = time.monotonic()
            if now_s - before_s > PAUSE_S + STALL_S:
                self.history.stalls.append((before_s, now_s))

    async def _retire(self) -> None:
        """Review copies run out, a few a second, and are purged by whichever worker finds them."""
        while not self.stop.is_set():
            await asyncio.to_thread(self._mark, MARKED_A_ROUND)
            await asyncio.sleep(1)

    def _mark(self, count: int) -> None:
        now_ms = to_ms(SystemClock().now())
        with contextlib.suppress(Exception):
            databases.write(
                self.town.data_dir,
                f"UPDATE recording SET status = 'DELETED', gone_at = {now_ms} - 31::bigint * 86400000, "
                f"purge_at = {now_ms} - 86400000 WHERE id IN (SELECT recording.id FROM recording JOIN space"
                " ON space.id = recording.space_id WHERE recording.status = 'AVAILABLE'"
                f" AND space.title LIKE 'Talk %' LIMIT {count})",
            )
            self.history.went_well("retires")

    # --- the model ---

    async def check(self) -> dict[str, int]:
        """Hold what is kept against what was answered; figures of what was compared."""
        for space_id, host in self._hosts.items():
            events = await told(host, space_id)
            renames = [kind for kind, _ in events].count("UPDATED")
            assert self._renamed[space_id] <= renames <= self._tried[space_id]
            title = (await host.space(space_id, "title"))["title"]
            assert self._title[space_id] <= int(title.removeprefix("Title ")) <= self._tried[space_id]
            for key, found in self._followed.items():
                if key.startswith(space_id):
                    cursors = [cursor for _, cursor in events]
                    # The first is the current state, at the cursor that was the last then.
                    begun = cursors.index(found[1])
                    assert found[1:] == cursors[begun:], "lost, doubled or out of order"
        await self._check_webhooks()
        await self._check_purges()
        return dict(self.history.answered)

    async def _check_webhooks(self) -> None:
        expected = {("space.started", one) for one in self._launched}
        expected |= {("space.ended", one) for one in self._ended}
        async with asyncio.timeout(120):
            while missing := expected - {(call.type, space_of(call.data)) for call in self._receiver.taken}:
                await asyncio.sleep(0.2)
                assert missing
        order: dict[str, list[str]] = {}
        for call in self._receiver.taken:
            kinds = order.setdefault(space_of(call.data), [])
            if call.type not in kinds:
                kinds.append(call.type)
        assert all(kinds in (["space.started", "space.ended"], ["space.started"]) for kinds in order.values())

    async def _check_purges(self) -> None:
        folder = self.town.data_dir

        def waiting() -> int:
            query = "SELECT count(*) FROM recording WHERE status = 'DELETED' AND purge_at IS NOT NULL"
            return int(databases.read(folder, query)[0][0])

        async with asyncio.timeout(120):
            while await asyncio.to_thread(waiting):
                await asyncio.sleep(0.2)
        purged = databases.read(folder, "SELECT id FROM recording WHERE status = 'PURGED'")
        entries = databases.read(
            folder, "SELECT subject_id FROM audit_entry WHERE action = 'recording.purged'"
        )
        receipts = databases.read(folder, "SELECT recording_id FROM purge_receipt")
        assert len(purged) > 0
        assert sorted(map(str, entries)) == sorted(map(str, purged)) == sorted(map(str, receipts))
        for (recording_id,) in purged:
            assert not (Path(folder) / "recordings" / str(recording_id)).exists()
        cluster = self.town.server
        assert isinstance(cluster, Cluster)
        left = "\n".join(await asyncio.to_thread(cluster.store.everything, cluster.bucket))
        assert not [one for (one,) in purged if str(one) in left]
        self.history.answered["purged"] = len(purged)


def space_of(data: dict[str, Any]) -> str:
    """The id of the Space that a webhook is about."""
    return str(data["spaceId"])


async def told(host: Person, space_id: str) -> list[tuple[str, str]]:
    """Kind and cursor of all events of a Space."""
    found: list[tuple[str, str]] = []
    after = None
    while True:
        page = (await host.read(EVENTS, id=space_id, after=after))["spaceEvents"]
        found += [(edge["node"]["kind"], edge["node"]["cursor"]) for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]
