"""kill -9 at moments that nobody chose: what each live recording loses, and whether it is told."""

import asyncio
import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.media.publisher import SAMPLE_RATE_HZ, Publisher, tone
from tests.product.player import play
from tests.product.process import ServedTown, children_of, served_town
from tests.product.test_clock import moved
from tests.product.town import Person
from tests.product.whip import began_s

MOST_LOST_S = 1.5
SEED = 20261122
# Twenty in five rounds, each on a server of its own.
KILLS_A_ROUND = 4
ROOMS = 8
PATIENCE_S = 30.0
WANT = "status durationMs gaps { startMs endMs cause } playback { url }"
LOUD = 0.05
PIECE = 480


@dataclass
class Room:
    """A recorded Space, who speaks in it, and when its sound began and broke off, by the monotonic clock."""

    host: Person
    space_id: str
    voice: Publisher | None = None
    origin_s: float = 0.0
    spoken: list[tuple[float, float]] = field(default_factory=list)

    async def speak(self) -> None:
        """Publish (again), with patience: the server may still be opening the rooms."""
        self.voice = await self.host.publish(self.space_id, tone(frequency_hz=440, seconds=120))

    async def hush(self, at_s: float) -> None:
        """The stretch that was sent up to a kill."""
        assert self.voice is not None
        begun_s = began_s(self.voice)
        if not self.spoken:
            self.origin_s = begun_s
        self.spoken.append((begun_s - self.origin_s, at_s - self.origin_s))
        await self.voice.close()


async def until_heard(rooms: list[Room]) -> None:
    """Wait until every recorder is writing."""
    async with asyncio.timeout(PATIENCE_S):
        for room in rooms:
            while (await room.host.recording(room.space_id, "status"))["status"] != "RECORDING":
                await asyncio.sleep(0.05)


def loud(sound: Any, start_s: float, end_s: float) -> float:
    """Which part of a stretch is heard."""
    part = np.abs(sound[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)])
    pieces = part[: len(part) // PIECE * PIECE].reshape(-1, PIECE).max(axis=1)
    return float((pieces > LOUD).mean()) if len(pieces) else 0.0


def losses(room: Room, gaps: list[dict[str, Any]]) -> list[float]:
    """For each kill, seconds that were sent before it and lie in the gap that tells of it."""
    found = []
    for _, killed_s in room.spoken:
        told = [gap for gap in gaps if gap["startMs"] / 1000 <= killed_s + 0.2 < gap["endMs"] / 1000 + 0.4]
        assert told, f"no gap tells of the kill at {killed_s:.3f} s: {gaps}"
        found.append(killed_s - told[-1]["startMs"] / 1000)
    return found


async def kill_server(town: ServedTown) -> float:
    """The whole process group at once, and a new start; when it died."""
    pid = town.server.pid
    os.killpg(pid, signal.SIGKILL)
    killed_s = time.monotonic()
    await town.server.reap()
    await town.server.start()
    return killed_s


async def kill_media(town: ServedTown) -> float:
    """The media process alone; the server starts another."""
    (child,) = children_of(town.server.pid)
    os.kill(child, signal.SIGKILL)
    killed_s = time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        while children_of(town.server.pid) in ([child], []):
            await asyncio.sleep(0.02)
        while (await town.http.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.02)
    return killed_s


@pytest.mark.long
@pytest.mark.parametrize("round_", range(5))
async def test_a_kill_at_any_moment_costs_each_recording_at_most_so_much_and_is_told(
    tmp_path: Path, round_: int
) -> None:
    kills, count = KILLS_A_ROUND, ROOMS
    chance = random.Random(SEED + round_)
    async with served_town(tmp_path, SPACES_WORKER_INTERVAL_S="600") as town:
        rooms = []
        for number in range(count):
            host = await town.person(f"host_{number}")
            rooms.append(Room(host, await host.live_space(record=True)))
        for number in range(kills):
            await asyncio.gather(*(room.speak() for room in rooms))
            await until_heard(rooms)
            await asyncio.sleep(chance.uniform(0.2, 3.0))
            kill = (kill_server, kill_media)[number % 2]
            killed_s = await kill(town)
            await asyncio.gather(*(room.hush(killed_s) for room in rooms))
        await asyncio.gather(*(room.speak() for room in rooms))
        await until_heard(rooms)
        lost: list[float] = []
        for room in rooms:
            assert room.voice is not None
            await room.host.do("endSpace", spaceId=room.space_id)
            await room.voice.close()
            recording = await room.host.recording(room.space_id, WANT)
            assert recording["status"] == "AVAILABLE"
            gaps = recording["gaps"]
            assert {gap["cause"] for gap in gaps} == {"RESTART"}
            lost += losses(room, gaps)
            sound = await play(town, recording["playback"]["url"])
            assert abs(len(sound) / SAMPLE_RATE_HZ - recording["durationMs"] / 1000) < 0.05
            for start_s, killed_s in room.spoken:
                # A server that has just come up is still loading: the first words may come too late.
                assert loud(sound, start_s + 1.0, killed_s - MOST_LOST_S) > 0.95 or killed_s - start_s < 2.6
        print(
            f"{kills} kills of {count} rooms: lost {min(lost):.3f} to {max(lost):.3f} s,"
            f" {sum(lost) / len(lost):.3f} s on average"
        )
        assert len(lost) == kills * count
        assert max(lost) <= MOST_LOST_S
        town.server.forgive("media process lost")


@pytest.mark.long
@pytest.mark.needs_faketime
async def test_a_clock_that_is_set_back_over_a_kill_does_not_hide_the_hole(tmp_path: Path) -> None:
    async with served_town(tmp_path) as town:
        host = await town.person("host")
        room = Room(host, await host.live_space(record=True))
        await room.speak()
        await until_heard([room])
        await asyncio.sleep(1)
        os.killpg(town.server.pid, signal.SIGKILL)
        killed_s = time.monotonic()
        await town.server.reap()
        await town.server.start(**moved("-3600s"))
        await room.hush(killed_s)
        await room.speak()
        back_s = time.monotonic() - room.origin_s
        await until_heard([room])
        assert room.voice is not None
        await host.do("endSpace", spaceId=room.space_id)
        await room.voice.close()
        (gap,) = (await host.recording(room.space_id, WANT))["gaps"]
        assert gap["cause"] == "RESTART"
        assert 0 <= killed_s - room.origin_s - gap["startMs"] / 1000 + 0.1 <= MOST_LOST_S
        assert gap["endMs"] / 1000 == pytest.approx(back_s, abs=0.5)
