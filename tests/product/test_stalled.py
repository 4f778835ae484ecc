"""A client that stops reading is bounded and closed, and misses nothing when it comes back."""

import asyncio
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from benchmarks.stalled import stalled
from models.recording import Recording, RecordingStatus
from services.bus import sight_topic
from services.house import House
from services.live import Heard, RecordingStream
from tests.product.town import PATIENCE_S, Town, open_town
from tests.product.voices import uuid_of

EVENTS = 30
# Some 6 kB an event, so that few fill every buffer on the way.
WANT = "cursor kind " + " ".join(f"t{number}: space {{ title }}" for number in range(28))
UPDATES = (
    f"subscription($id: ID!, $after: String) {{ spaceUpdates(spaceId: $id, after: $after) {{ {WANT} }} }}"
)
STATUS = f"""subscription($id: ID!) {{ recordingStatus(spaceId: $id) {{ status durationMs {
    " ".join(f"t{number}: recording {{ space {{ title }} }}" for number in range(28))
} }} }}"""


def narrow(town: Town) -> socket.socket:
    """A connection whose own side takes little."""
    address = urlsplit(town.url)
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect((address.hostname, address.port))
    one.setblocking(False)
    return one


async def test_a_client_that_does_not_read_is_closed_and_misses_no_event(tmp_path: Path) -> None:
    async with open_town(tmp_path / "data", quiet=True, send_timeout_s=0.3) as town:
        host, guest, hearer = [await town.person() for _ in range(3)]
        space = (await host.new_space(title="x" * 200))["id"]
        await host.do("startSpace", spaceId=space)
        await guest.do("joinSpace", spaceId=space)
        heard: list[dict[str, str]] = []
        url = town.url.replace("http", "ws") + "/graphql"
        async with connect(
            url, subprotocols=[Subprotocol("graphql-transport-ws")], sock=narrow(town), compression=None
        ) as raw:
            init = {"type": "connection_init", "payload": {"authorization": f"Bearer {hearer.token}"}}
            await raw.send(json.dumps(init))
            await raw.recv()
            payload = {"query": UPDATES, "variables": {"id": space}}
            await raw.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            heard.append(json.loads(await raw.recv())["payload"]["data"]["spaceUpdates"])
            raw.transport.pause_reading()
            for number in range(EVENTS):
                await guest.do("raiseHand", spaceId=space, raised=number % 2 == 0)
            async with asyncio.timeout(PATIENCE_S):
                while town.built.house.bus.listeners(sight_topic(uuid_of(hearer.id))):
                    await asyncio.sleep(0.02)
            raw.transport.resume_reading()
            try:
                while True:
                    heard.append(json.loads(await raw.recv())["payload"]["data"]["spaceUpdates"])
            except ConnectionClosed:
                # 1006 on a machine so slow that it was cut off before it could read why.
                assert raw.close_code in {1013, 1006}
        assert len(heard) < EVENTS
        async with town.anyone.socket() as again:
            name = await again.subscribe(UPDATES, id=space, after=heard[-1]["cursor"])
            while len(heard) <= EVENTS:
                heard.append(await again.next(name))
        assert len({event["cursor"] for event in heard}) == EVENTS + 1
        kinds = [event["kind"] for event in heard]
        assert kinds == ["SNAPSHOT", *kinds[1:3] * (EVENTS // 2)]


async def test_of_ticks_that_a_client_did_not_read_the_newest_counts_and_no_change_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = 0

    async def tick(self: RecordingStream, house: House) -> Heard | None:
        nonlocal ticks
        ticks += 1
        return await told(self, house)

    told = RecordingStream.tick
    monkeypatch.setattr(RecordingStream, "tick", tick)
    monkeypatch.setattr(RecordingStream, "tick_s", lambda *_: 0.005)
    async with open_town(tmp_path / "data", quiet=True) as town:
        host = await town.person()
        space = (await host.new_space(record=True, title="x" * 200))["id"]
        await host.do("startSpace", spaceId=space)
        # Nobody speaks here, so the recorder never gets that far by itself.
        await Recording.filter(space_id=uuid_of(space)).update(status=RecordingStatus.RECORDING)
        url = town.url.replace("http", "ws") + "/graphql"
        async with connect(
            url, subprotocols=[Subprotocol("graphql-transport-ws")], sock=narrow(town), compression=None
        ) as raw:
            await raw.send(json.dumps({"type": "connection_init"}))
            await raw.recv()
            payload = {"query": STATUS, "variables": {"id": space}}
            await raw.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            raw.transport.pause_reading()
            async with asyncio.timeout(PATIENCE_S):
                while not town.built.house.told["behind"]:
                    await asyncio.sleep(0.02)
            behind = ticks
            # Nobody else follows, so nothing more is made until this client reads.
            await Recording.filter(space_id=uuid_of(space)).update(duration_ms=777_000)
            raw.transport.resume_reading()
            heard: list[dict[str, object]] = [{}]
            async with asyncio.timeout(PATIENCE_S):
                while heard[-1].get("durationMs") != 777_000:
                    heard.append(json.loads(await raw.recv())["payload"]["data"]["recordingStatus"])
                stale = len(heard) - 2
                await host.do("endSpace", spaceId=space)
                while heard[-1].get("status") != "AVAILABLE":
                    heard.append(json.loads(await raw.recv())["payload"]["data"]["recordingStatus"])
    # What was on its way when it stopped, and the snapshot.
    assert stale <= behind + 1
    assert list(dict.fromkeys(one["status"] for one in heard[1:])) == ["RECORDING", "FINALIZING", "AVAILABLE"]


@pytest.mark.long
async def test_clients_that_stall_cost_little_and_those_who_read_miss_nothing() -> None:
    measured = await stalled(print, clients=60, readers=5, per_s=10, seconds=20)
    print(measured)
    assert measured["missed"] == 0
    assert measured["stalled_to_the_end"] == 60
    assert measured["server_growth_mb"] < 64
