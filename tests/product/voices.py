"""What tests of the product's rules share: recordings made faster than real time, ids, moments."""

import asyncio
import base64
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID, uuid4

from media.local import LocalEngine
from media.voice import START_DELAY_SAMPLES, TICK_SAMPLES
from models.recording import Recording, RecordingStatus
from services import attendance
from tests.media.publisher import tone
from tests.media.sound import Signal
from tests.product.town import Person, Town

TICK_NS = 20_000_000
MS = timedelta(milliseconds=1)
GARBAGE_IDS = ("", "x", "%%%", "🎙", "\0", "U3BhY2U6", "U3BhY2U6bm90LWEtdXVpZA", "a" * 10_000)


def uuid_of(global_id: str) -> UUID:
    """The row's id behind a global id."""
    text = base64.urlsafe_b64decode(global_id + "=" * (-len(global_id) % 4)).decode()
    return UUID(text.partition(":")[2])


_NOWHERE = UUID("00000000-0000-4000-8000-000000000000")


def global_id(type_name: str, key: UUID | None = None) -> str:
    """A global id; without a key, of something that is not there."""
    return base64.urlsafe_b64encode(f"{type_name}:{key or _NOWHERE}".encode()).rstrip(b"=").decode()


def iso(moment: datetime) -> str:
    """A moment as clients send it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def at(text: str) -> datetime:
    """A moment as clients get it."""
    assert text.endswith("Z")
    assert len(text) == len("2026-01-31T18:00:00.000Z")
    return datetime.fromisoformat(text)


@dataclass(frozen=True)
class Talk:
    """An ended Space with its recording."""

    space_id: str
    recording_id: str


async def speak(town: Town, space_id: str, seconds: float, *, signal: Signal | None = None) -> None:
    """A voice in a live Space, below the WebRTC layer and faster than real time. Without `signal` a tone."""
    engine = cast(LocalEngine, town.built.engine._engine)
    room = engine._rooms[str(uuid_of(space_id))]
    engine.ticker.remove(room.tick)
    voice = room.add_publisher(str(uuid4()))
    voice.connected = True
    signal = tone(frequency_hz=440, seconds=seconds) if signal is None else signal
    count = round(seconds * 50)
    frames = [signal[number * 960 : (number + 1) * 960] for number in range(count)]
    # A voice is heard from the tick on which so much of it has come.
    ahead = START_DELAY_SAMPLES // TICK_SAMPLES
    assert count >= ahead, f"expected at least {ahead} frames, got {count}"
    for frame in frames[:ahead]:
        voice.on_pcm(frame)
    start_ns = max(room._tick_ns + TICK_NS, time.monotonic_ns())
    for number in range(count):
        room.tick(start_ns + number * TICK_NS)
        for frame in frames[number + ahead : number + ahead + 1]:
            voice.on_pcm(frame)
        await asyncio.sleep(0)
    row = Recording.filter(space_id=uuid_of(space_id), status=RecordingStatus.RECORDING)
    async with asyncio.timeout(10):
        while not await row.exists():
            await asyncio.sleep(0.005)
    voice.leave()


async def recorded(town: Town, host: Person, *, seconds: float = 1.0) -> Talk:
    """A Space of theirs, recorded, ended, AVAILABLE."""
    space_id = await host.live_space(record=True)
    await speak(town, space_id, seconds)
    await host.do("endSpace", spaceId=space_id)
    recording = await host.recording(space_id, "id status")
    assert recording["status"] == "AVAILABLE"
    return Talk(space_id=space_id, recording_id=recording["id"])


async def present(town: Town, space_id: str) -> None:
    """Write who is present in a Space without waiting for the server to do so."""
    await attendance.settle(town.built.house, uuid_of(space_id))
