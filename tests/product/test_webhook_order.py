"""Webhooks arrive: all of them, in the order of each Space, whatever the receiver does."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.responses import Response

from models.webhook_delivery import WebhookDelivery
from services import callbacks, leases
from services.clock import SystemClock
from tests.product.process import served_town
from tests.product.receiver import Called, Receiver, deliver, hook, receiver, verified, verified_in_node
from tests.product.town import Person, Town, free_port, open_town
from workers.courier import Courier

STORY = [
    "space.started", "space.ended", "recording.started", "recording.available", "recording.shared", "recording.deleted",
]  # fmt: skip


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A server that may call this machine; its recordings need no audio, and its clock stands still."""
    async with open_town(tmp_path / "data", quiet=True, webhook_private_addresses=True) as opened:
        opened.clock.stand_at(opened.clock.now())
        yield opened


async def told(host: Person) -> str:
    """A Space of which everything in `STORY` happens."""
    space_id = await host.live_space(record=True)
    await host.do("endSpace", spaceId=space_id)
    recording = await host.recording(space_id, "id status")
    assert recording["status"] == "AVAILABLE"
    await host.do("shareRecording", recordingId=recording["id"])
    await host.do("deleteRecording", recordingId=recording["id"])
    return space_id


def by_space(calls: list[Called]) -> dict[str, list[str]]:
    """What was told of each Space, in its order; a message that came twice where it came first."""
    found: dict[str, list[str]] = defaultdict(list)
    seen: set[str] = set()
    for call in calls:
        if call.id in seen:
            continue
        seen.add(call.id)
        found[call.data["spaceId"]].append(call.type)
    return dict(found)


@pytest.mark.both_databases
@pytest.mark.needs_node
async def test_a_receiver_that_is_down_then_slow_then_failing_gets_everything_in_order(town: Town) -> None:
    host, far = await town.person(), receiver(town)
    made = await hook(host, far.url)
    spaces = [await told(host) for _ in range(2)]
    down_until = town.clock.now() + timedelta(hours=1)
    while town.clock.now() < down_until:
        await deliver(town)
        town.clock.stand_at(town.clock.now() + timedelta(minutes=10))
    assert {state for _, state in await made.states()} == {"PENDING"}
    cross = 2

    async def slow_then_failing(called: Called) -> Response:
        nonlocal cross
        await asyncio.sleep(0.02)
        failing = called.type == "recording.available" and cross > 0
        cross -= failing
        return Response(status_code=500 if failing else 200)

    far.answer = slow_then_failing
    async with far.up():
        for _ in range(4):
            town.clock.stand_at(town.clock.now() + timedelta(hours=1, minutes=15))
            await deliver(town)
    assert cross == 0
    assert by_space(far.taken) == dict.fromkeys(spaces, STORY)
    payloads = await verified_in_node([(call, made.secret) for call in far.calls])
    assert [one["type"] for one in payloads] == [call.type for call in far.calls]
    assert {state for _, state in await made.states()} == {"DELIVERED"}
    ids = [call.id for call in far.taken]
    assert len(set(ids)) == len(ids) == len(spaces) * len(STORY)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_the_receiver_answers_a_space_is_told_in_order(town: Town, seed: int) -> None:
    chance = random.Random(seed)
    one, two, far = await town.person(), await town.person(), receiver(town)
    first, second = await hook(one, far.url), await hook(two, far.url)
    house = town.built.house

    refused: Counter[str] = Counter()

    async def moody(called: Called) -> Response:
        await asyncio.sleep(chance.choice([0, 0, 0.01]))
        # A third time would take some of them past their 24 h.
        status = chance.choice([200, 204, 302, 400, 429, 503]) if refused[called.id] < 2 else 200
        refused[called.id] += status >= 300
        return Response(status_code=status)

    far.answer = moody
    async with far.up():
        spaces = [await told(host) for host in (one, two, one)]
        while await WebhookDelivery.filter(state="PENDING").exists():
            # A worker that dies with what it has leased, and two that go on beside the server's own.
            if chance.random() < 0.3:
                await leases.claim(house, WebhookDelivery, "killed", most=chance.randint(1, 2))
            await asyncio.gather(*(Courier(house, interval_s=3600).round() for _ in range(2)))
            due = await leases.next_due(WebhookDelivery)
            if due is not None:
                town.clock.stand_at(max(due, town.clock.now()))
            await asyncio.sleep(0.005)
    assert by_space(far.taken) == dict.fromkeys(spaces, STORY)
    assert {state for made in (first, second) for _, state in await made.states()} == {"DELIVERED"}


async def test_a_space_whose_receiver_hangs_does_not_hold_up_another(town: Town) -> None:
    host, far = await town.person(), receiver(town)
    made = await hook(host, far.url, "SPACE_STARTED", "SPACE_ENDED")
    go_on, stuck = asyncio.Event(), ""

    async def hangs_for_the_first(called: Called) -> Response:
        if called.data["spaceId"] == stuck:
            await go_on.wait()
        return Response(status_code=200)

    far.answer = hangs_for_the_first
    async with far.up():
        stuck = str((await host.new_space())["id"])
        await host.do("startSpace", spaceId=stuck)
        await host.do("endSpace", spaceId=stuck)
        free = await host.live_space()
        await host.do("endSpace", spaceId=free)
        async with asyncio.timeout(20):
            while len(far.taken) < 2:
                await asyncio.sleep(0.01)
        assert by_space(far.calls) == {free: ["space.started", "space.ended"]}
        go_on.set()
        async with asyncio.timeout(20):
            while len(far.taken) < 4:
                await deliver(town)
                await asyncio.sleep(0.01)
    assert by_space(far.taken)[stuck] == ["space.started", "space.ended"]
    assert {state for _, state in await made.states()} == {"DELIVERED"}


async def test_what_a_killed_worker_held_is_sent_by_the_next_after_its_lease(town: Town) -> None:
    host, far = await town.person(), receiver(town)
    await hook(host, far.url, "SPACE_STARTED", "SPACE_ENDED")
    house = town.built.house
    space_id = await host.live_space()
    await deliver(town)  # nobody is there: it is put off
    town.clock.stand_at(town.clock.now() + timedelta(minutes=1))
    assert len(await leases.claim(house, WebhookDelivery, "killed", most=10)) == 1
    await host.do("endSpace", spaceId=space_id)
    async with far.up():
        await Courier(house, interval_s=3600).round()
        assert far.calls == []
        town.clock.stand_at(town.clock.now() + house.rules.lease_for - timedelta(milliseconds=1))
        await Courier(house, interval_s=3600).round()
        assert far.calls == []
        town.clock.stand_at(town.clock.now() + timedelta(milliseconds=1))
        await deliver(town)
        assert by_space(far.taken) == {space_id: ["space.started", "space.ended"]}
        # Whoever comes back after its lease writes nothing any more.
        (row, _) = await WebhookDelivery.all().order_by("number")
        await callbacks.call(house, row.id, "killed")
    assert len(far.calls) == 2


@pytest.mark.long
@pytest.mark.starts_processes
async def test_what_a_killed_server_had_not_sent_is_sent_after_its_next_start(tmp_path: Path) -> None:
    environment = {"SPACES_WEBHOOK_PRIVATE_ADDRESSES": "true", "SPACES_WORKER_INTERVAL_S": "1"}
    async with served_town(tmp_path, **environment) as served:
        host = await served.person()
        far = Receiver(free_port(), SystemClock().now)
        made = await hook(host, far.url, "SPACE_STARTED", "SPACE_ENDED")
        space_id = await host.live_space()
        # Nobody answers, and that is written down: what is under way at the kill would have to wait for its lease.
        async with asyncio.timeout(30):
            while not (await made.deliveries())[0]["attempts"]:
                await asyncio.sleep(0.02)
        await host.do("endSpace", spaceId=space_id)
        await served.server.kill()
        async with far.up():
            await served.server.start()
            async with asyncio.timeout(100):
                while len(far.taken) < 2:
                    await asyncio.sleep(0.05)
        assert by_space(far.taken) == {space_id: ["space.started", "space.ended"]}
        assert [verified(call, made.secret)["type"] for call in far.calls] == ["space.started", "space.ended"]
