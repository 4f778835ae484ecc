"""Subscriptions with the clients that others wrote: graphql-ws and graphql-sse, over a network that breaks."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conformance.breaking_proxy import BreakingProxy, breaking_proxy
from tests.conformance.programs import NODE
from tests.product.process import ServedTown
from tests.product.town import Person

pytestmark = [pytest.mark.needs_node, pytest.mark.usefixtures("node_modules")]

QUIET_S = 60.0
EVENTS = """query($id: ID!, $after: String) { spaceEvents(spaceId: $id, first: 100, after: $after) {
  edges { node { cursor kind ... on RecordingToggled { enabled } } } pageInfo { hasNextPage endCursor } } }"""


async def _pulled(person: Person, space_id: str, after: str) -> list[Any]:
    """Every event after a cursor, as the query has them."""
    events: list[Any] = []
    while True:
        page = (await person.read(EVENTS, id=space_id, after=after))["spaceEvents"]
        events += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return events
        after = page["pageInfo"]["endCursor"]


@contextlib.asynccontextmanager
async def _follower(
    protocol: str, proxy: BreakingProxy, host: Person, space_id: str
) -> AsyncIterator[asyncio.StreamReader]:
    """What a client prints that follows a Space."""
    process = await asyncio.create_subprocess_exec(
        *("node", str(NODE / "follow.mjs"), protocol, f"{proxy.url}/graphql", host.token or "", space_id),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(
    ("number", "cuts"), [(40, 4), pytest.param(10_000, 50, marks=pytest.mark.long)], ids=["40", "10000"]
)
@pytest.mark.parametrize("protocol", ["ws", "sse"])
async def test_no_event_is_lost_or_comes_twice_however_often_the_connection_breaks(
    town: ServedTown, protocol: str, number: int, cuts: int
) -> None:
    host = await town.person(f"follower_{protocol}_{number}")
    space_id = (await host.new_space())["id"]

    async def toggle() -> None:
        for at in range(number):
            await host.do("toggleRecording", spaceId=space_id, enabled=at % 2 == 0)

    async with (
        breaking_proxy(town.server.port) as proxy,
        _follower(protocol, proxy, host, space_id) as told,
        asyncio.TaskGroup() as tasks,
    ):
        begin = json.loads(await told.readline())
        assert begin["kind"] == "SNAPSHOT"
        tasks.create_task(toggle())
        heard: list[Any] = []
        for at in range(number):
            async with asyncio.timeout(QUIET_S):
                heard.append(json.loads(await told.readline()))
            if at % (number // cuts) == number // cuts // 2:
                await proxy.cut()
    assert heard == await _pulled(host, space_id, begin["cursor"])
    assert [event["enabled"] for event in heard] == [at % 2 == 0 for at in range(number)]
    assert len({event["cursor"] for event in heard}) == number
    assert proxy.cuts == cuts
