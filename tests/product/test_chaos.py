"""A part of a cluster is away for a while under load: told as such, nothing acknowledged is lost, and all goes on.

`make chaos` keeps each away for half a minute; without it, for some seconds.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from services.clock import SystemClock
from tests.media.publisher import SAMPLE_RATE_HZ
from tests.product.chaos import History, Load
from tests.product.cluster import Cluster
from tests.product.databases import databases
from tests.product.player import play
from tests.product.process import ServedTown
from tests.product.receiver import Receiver
from tests.product.s3 import ObjectStore
from tests.product.stored import make_recordings
from tests.product.test_kills import MOST_LOST_S, WANT, Room, loud, until_heard
from tests.product.test_many_processes import fronts
from tests.product.town import free_port

pytestmark = [
    pytest.mark.long,
    pytest.mark.starts_processes,
    pytest.mark.parametrize("database", ["postgres"], indirect=True, scope="module"),
]

AWAY_S = float(os.environ.get("SPACES_CHAOS_S", "6"))
ROOMS = 8
# What is promised, and the allowance for a machine that does all of this on two cores.
BACK_WITHIN_S, ALLOWANCE_S = 5.0, 10.0
RETIRED = 12 + int(AWAY_S) * 3

T = TypeVar("T")
Fault = Callable[[Cluster], "contextlib.AbstractAsyncContextManager[None]"]


@contextlib.asynccontextmanager
async def no_database(_cluster: Cluster) -> AsyncIterator[None]:
    """PostgreSQL is stopped."""
    await asyncio.to_thread(databases.postgres.stop)
    yield
    databases.postgres.launch()
    await databases.postgres.answers()


@contextlib.asynccontextmanager
async def no_store(cluster: Cluster) -> AsyncIterator[None]:
    """Nobody listens where the object store was."""
    await asyncio.to_thread(cluster.store.tell, "down")
    yield
    await asyncio.to_thread(cluster.store.tell, "up")


def hanging(which: Callable[[Cluster], list[int]]) -> Fault:
    """These processes stop, with all their sockets open."""

    @contextlib.asynccontextmanager
    async def fault(cluster: Cluster) -> AsyncIterator[None]:
        pids = which(cluster)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
        for pid in pids:
            # It may have been replaced.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return fault


def one_front(cluster: Cluster) -> list[int]:
    return sorted(fronts(cluster))[:1]


FAULTS: dict[str, Fault] = {"postgres": no_database, "store": no_store, "api": hanging(one_front)}


async def eventually(work: Callable[[], Awaitable[T]]) -> T:
    """Until it goes well: what needs a part that is just coming back may be refused."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await work()
            except (httpx.TransportError, AssertionError, TypeError, ValueError):
                await asyncio.sleep(0.2)


@pytest.mark.parametrize("name", list(FAULTS))
async def test_a_part_that_is_away_under_load_costs_nothing_that_was_acknowledged(
    tmp_path: Path, store: ObjectStore, name: str
) -> None:
    fault = FAULTS[name]
    cluster = Cluster(tmp_path, store, SPACES_WORKER_INTERVAL_S="2", SPACES_WEBHOOK_PRIVATE_ADDRESSES="true")
    await make_recordings(cluster.data_dir, RETIRED)
    history = History()
    receiver = Receiver(free_port(), SystemClock().now)
    limits = httpx.Limits(max_keepalive_connections=0)
    try:
        await cluster.start()
        async with (
            receiver.up(),
            httpx.AsyncClient(base_url=cluster.url, timeout=20, limits=limits) as http,
        ):
            town = ServedTown(cluster, http)
            load = Load(town, history, receiver)
            rooms = await speaking(town)
            try:
                await load.begin()
                began_s = time.monotonic()
                async with fault(cluster):
                    await asyncio.sleep(max(0.0, AWAY_S - (time.monotonic() - began_s)))
                back_s = time.monotonic()
                took_s = await history.until_all_well(back_s)
                await until_heard(rooms)
                await asyncio.sleep(2)
                await load.end()
                figures = await load.check()
            finally:
                await load.cancel()
            await check_sound(town, rooms)
        print(
            f"{name}: away for {back_s - began_s:.1f} s, all back after {took_s:.1f} s, cut off {history.cut_off},"
            f" refused {dict(history.refusals)}, {figures}"
        )
        assert took_s < BACK_WITHIN_S + ALLOWANCE_S
        assert {status for status, _ in history.refusals} <= {503, 200}
        assert "never" not in {after for _, after in history.refusals}
        assert name != "postgres" or any(status == 503 for status, _ in history.refusals)
        await cluster.stop()
    finally:
        await cluster.clean_up()
        databases.forget(tmp_path)


async def speaking(town: ServedTown) -> list[Room]:
    """Live recordings with a voice in each."""
    rooms = []
    for _ in range(ROOMS):
        host = await town.person()
        rooms.append(Room(host, await host.live_space(record=True)))
    for room in rooms:
        await room.speak()
    await until_heard(rooms)
    return rooms


async def check_sound(town: ServedTown, rooms: list[Room]) -> None:
    """Everything that was sent is heard, without a hole."""
    for room in rooms:
        await room.hush(time.monotonic())
        await room.host.do("endSpace", spaceId=room.space_id)
    for room in rooms:
        recording = await eventually(partial(available, room))
        assert recording["gaps"] == []
        sound = await play(town, recording["playback"]["url"])
        assert abs(len(sound) / SAMPLE_RATE_HZ - recording["durationMs"] / 1000) < 0.1
        ((start_s, end_s),) = room.spoken
        assert loud(sound, start_s + 1.0, end_s - MOST_LOST_S) > 0.95


async def available(room: Room) -> dict[str, Any]:
    recording: dict[str, Any] = await room.host.recording(room.space_id, WANT)
    assert recording["status"] == "AVAILABLE"
    return recording
