"""A part of a cluster is away for a while under load: told as such, nothing acknowledged is lost, and all goes on.

`make chaos` keeps each away for half a minute; without it, for some seconds.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from services.clock import SystemClock
from tests.product.chaos import History, Load
from tests.product.cluster import Cluster
from tests.product.databases import databases
from tests.product.faults import FAULTS, written_by
from tests.product.process import ServedTown
from tests.product.receiver import Receiver
from tests.product.s3 import ObjectStore
from tests.product.stored import make_recordings
from tests.product.talks import Talk
from tests.product.town import free_port

pytestmark = [
    pytest.mark.long,
    pytest.mark.starts_processes,
    pytest.mark.parametrize("database", ["postgres"], indirect=True, scope="module"),
]

AWAY_S = float(os.environ.get("SPACES_CHAOS_S", "6"))
TALKS = 8
# What is promised, and the allowance for a machine that does all of this on two cores.
BACK_WITHIN_S, ALLOWANCE_S = 5.0, 10.0
RETIRED = 12 + int(AWAY_S) * 3
# With these away, something that needs them is asked for, and refused.
NEEDED = {"postgres", "store"}
# What nobody should ever read in a log, whatever is away.
NEVER_LOGGED = ('"event": "bug"', "a task ended badly", "could not take in", "never retrieved")

T = TypeVar("T")


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
            talks = [await Talk.begin(await town.person(), f"talks {n}", history) for n in range(TALKS)]
            try:
                for talk in talks:
                    talk.start()
                await load.begin(also=TALKS)
                print(await suffer(name, cluster, talks, load))
            finally:
                await load.cancel()
                for talk in talks:
                    await talk.stop()
        await cluster.stop()
        assert [line for line in cluster.errors() if any(word in line for word in NEVER_LOGGED)] == []
    finally:
        await cluster.clean_up()
        databases.forget(tmp_path)


async def suffer(name: str, cluster: Cluster, talks: list[Talk], load: Load) -> str:
    """The part goes away and comes back; what is kept is held to what was answered."""
    fault, history, town = FAULTS[name], load.history, load.town
    silenced = written_by(fault.silences(cluster)) & {talk.recording_id for talk in talks}
    assert bool(silenced) == bool(fault.silences(cluster))
    # So that there is something to lose of each.
    await asyncio.sleep(4)
    began_s = time.monotonic()
    async with fault.away(cluster):
        await asyncio.sleep(max(0.0, AWAY_S - (time.monotonic() - began_s)))
        back_s = time.monotonic()
    took_s = await history.until_all_well(back_s)
    await asyncio.sleep(2)
    for talk in talks:
        await talk.end()
    await load.end()
    figures = await load.check()
    heard = [
        await talk.check(town, silenced_at_s=began_s if talk.recording_id in silenced else None)
        for talk in talks
    ]
    lost_s, quiet_s = (max(found) for found in zip(*heard, strict=True))
    assert took_s < BACK_WITHIN_S + ALLOWANCE_S
    assert {status for status, _ in history.refusals} <= {503, 200}
    assert "never" not in {after for _, after in history.refusals}
    assert name not in NEEDED or any(status == 503 for status, _ in history.refusals)
    return (
        f"{name}: away for {back_s - began_s:.1f} s, all back after {took_s:.1f} s, cut off {history.cut_off},"
        f" refused {dict(history.refusals)}, {len(silenced)} rooms moved: {lost_s:.2f} s of sound lost before it,"
        f" {quiet_s:.1f} s unheard, {figures}"
    )
