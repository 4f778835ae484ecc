"""What recording costs: CPU, bytes and memory of a media process, and how soon a Space can be played after its end.

CPU is that of the media process alone (all its threads, by the scheduler's own count), with real WebRTC on
loopback. Return audio is the difference that everyone's listening by WHEP makes. FFmpeg decodes, mixes and
encodes the tracks that were recorded meanwhile, from files and as fast as it can: it has no network to serve.
"""

import asyncio
import gc
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.asked import cpu_ns
from benchmarks.crowd import Peer
from media import journal
from media.control import RemoteEngine
from media.engine import RecordingSpec, RoomSpec
from media.journal import JOURNAL
from media.launch import launch
from media.mp4 import FRAME_SAMPLES
from media.playlist import read_index, render
from media.process import connect, end
from media.store import RecordingStore

SPEAKERS = (1, 3, 10)
PTIMES_MS = (20, 60)
SETTLE_S = 1.5
MEASURE_S = 6.0
ROOMS = 5
ROOMS_AT_ONCE = 8
LENGTHS_MIN = (1, 240)

Say = Callable[[str], None]


class Studio:
    """A media process and the folder that it writes to."""

    def __init__(self, engine: RemoteEngine, *, pid: int, folder: Path) -> None:
        self._engine = engine
        self._pid = pid
        self.folder = folder
        self.peers: list[Peer] = []

    async def open(self, room: str) -> None:
        recording = RecordingSpec(recording_id=room, directory=str(self.folder / room))
        await self._engine.open_room(RoomSpec(space_id=room, recording=recording))

    async def talk(self, room: str, who: int, *, ptime_ms: int) -> None:
        async def exchange(offer: str) -> str:
            return (await self._engine.publish(room, f"p{who}", offer)).sdp

        peer = Peer()
        self.peers.append(peer)
        await peer.talk(exchange, frequency_hz=90 + 20 * who, ptime_ms=ptime_ms)

    async def listen(self, room: str, who: int) -> None:
        async def exchange(offer: str) -> str:
            return (await self._engine.listen(room, f"p{who}", offer)).sdp

        peer = Peer()
        self.peers.append(peer)
        await peer.listen(exchange)

    async def close(self, room: str) -> None:
        await self._engine.close_room(room)

    async def hang_up(self) -> None:
        for peer in self.peers:
            await peer.close()
        self.peers.clear()

    def cpu_ms(self) -> float:
        """CPU time of every thread since its start."""
        return cpu_ns(self._pid) / 1e6

    async def load_ms_per_s(self) -> float:
        """CPU per second, over the next seconds."""
        await asyncio.sleep(SETTLE_S)
        before, begun_s = self.cpu_ms(), time.monotonic()
        await asyncio.sleep(MEASURE_S)
        return (self.cpu_ms() - before) / (time.monotonic() - begun_s)

    def memory_mb(self) -> float:
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


async def run(say: Say) -> dict[str, list[dict[str, Any]]]:
    """Everything, in some two minutes."""
    with tempfile.TemporaryDirectory() as folder:
        launched = launch(ice_address="127.0.0.1")
        engine = await connect(launched)
        studio = Studio(engine, pid=launched.process.pid, folder=Path(folder))
        try:
            cost = [
                await _cost(studio, speakers=speakers, ptime_ms=ptime_ms, say=say)
                for ptime_ms in PTIMES_MS
                for speakers in SPEAKERS
            ]
            many = [await _many(studio, ptime_ms=ptime_ms, say=say) for ptime_ms in PTIMES_MS]
            memory = [await _memory(studio, say=say)]
            playable = [await _playable(studio, minutes=minutes, say=say) for minutes in LENGTHS_MIN]
        finally:
            await studio.hang_up()
            await end(launched, engine)
    return {"cost": cost, "many rooms": many, "memory": memory, "end to playable": playable}


async def _cost(studio: Studio, *, speakers: int, ptime_ms: int, say: Say) -> dict[str, Any]:
    say(f"{speakers} speakers at {ptime_ms} ms")
    room = f"{speakers}x{ptime_ms}"
    await studio.open(room)
    for who in range(speakers):
        await studio.talk(room, who, ptime_ms=ptime_ms)
    recorded = await studio.load_ms_per_s()
    for who in range(speakers):
        await studio.listen(room, who)
    with_return = await studio.load_ms_per_s()
    await studio.hang_up()
    await studio.close(room)
    directory = studio.folder / room
    duration_s = read_index(directory).duration_ms / 1000
    tracks = sorted(directory.rglob("*.opus"))
    sizes = [path.stat().st_size for path in (directory / "programme.mp4", *tracks)]
    return {
        "speakers": speakers,
        "ptime_ms": ptime_ms,
        "cpu_ms_per_s": round(recorded, 1),
        "spaces_per_core": int(1000 / recorded),
        "return_cpu_ms_per_s": round(with_return - recorded, 1),
        "ffmpeg_cpu_ms_per_s": await asyncio.to_thread(_ffmpeg_ms_per_s, tracks, duration_s=duration_s),
        "programme_mb_per_hour": round(sizes[0] / duration_s * 3600 / 1e6, 1),
        "tracks_mb_per_hour": round(sum(sizes[1:]) / duration_s * 3600 / 1e6, 1),
    }


def _ffmpeg_ms_per_s(tracks: list[Path], *, duration_s: float) -> float | None:
    """CPU of FFmpeg for decoding, mixing and encoding the same sound, a second of it; None without FFmpeg."""
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    inputs = [argument for path in tracks for argument in ("-i", str(path))]
    mix = f"amix=inputs={len(tracks)}:normalize=0,alimiter,aformat=channel_layouts=mono"
    coding = ["-filter_complex", mix, "-c:a", "aac", "-b:a", "64k", "-f", "mp4", "-y", "/dev/null"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, "-v", "error", "-threads", "1", *inputs, *coding], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(spent_s * 1000 / duration_s, 1)


async def _many(studio: Studio, *, ptime_ms: int, say: Say) -> dict[str, Any]:
    """What one Space of several in a process costs, received, mixed and recorded."""
    say(f"{ROOMS_AT_ONCE} rooms at {ptime_ms} ms")
    rooms = [f"many{number}x{ptime_ms}" for number in range(ROOMS_AT_ONCE)]
    for room in rooms:
        await studio.open(room)
        for who in range(3):
            await studio.talk(room, who, ptime_ms=ptime_ms)
    each = await studio.load_ms_per_s() / ROOMS_AT_ONCE
    await studio.hang_up()
    for room in rooms:
        await studio.close(room)
    return {
        "rooms": ROOMS_AT_ONCE,
        "speakers": 3,
        "ptime_ms": ptime_ms,
        "cpu_ms_per_s_each": round(each, 1),
        "spaces_per_core": int(1000 / each),
    }


async def _memory(studio: Studio, *, say: Say) -> dict[str, Any]:
    say(f"memory of {ROOMS} rooms")
    before = studio.memory_mb()
    rooms = [f"memory{number}" for number in range(ROOMS)]
    for room in rooms:
        await studio.open(room)
        for who in range(3):
            await studio.talk(room, who, ptime_ms=60)
    await asyncio.sleep(SETTLE_S)
    after = studio.memory_mb()
    await studio.hang_up()
    for room in rooms:
        await studio.close(room)
    return {
        "rooms": ROOMS,
        "speakers": 3,
        "process_mb": round(after, 1),
        "mb_per_room": round((after - before) / ROOMS, 1),
    }


async def _playable(studio: Studio, *, minutes: int, say: Say) -> dict[str, Any]:
    """A recording that has lasted so long ends: until its playlist, complete, has been read and rendered."""
    say(f"the end of {minutes} min")
    room = f"long{minutes}"
    await asyncio.to_thread(_prepare, studio.folder / room, minutes=minutes)
    await studio.open(room)
    await studio.talk(room, 0, ptime_ms=20)
    await asyncio.sleep(2)
    # What the other peers of this process left behind is not part of it.
    gc.collect()
    begun_s = time.perf_counter()
    await studio.close(room)
    text = render(await asyncio.to_thread(read_index, studio.folder / room))
    took_ms = (time.perf_counter() - begun_s) * 1000
    await studio.hang_up()
    assert text.endswith("#EXT-X-ENDLIST\n")
    return {"length_min": minutes, "end_to_playable_ms": round(took_ms, 1), "playlist_kb": len(text) // 1000}


def _prepare(directory: Path, *, minutes: int) -> None:
    began_ms = time.time_ns() // 1_000_000 - minutes * 60_000
    store = RecordingStore(directory)
    store.open()
    store.begin(at_ms=began_ms)
    store.append_journal(journal.started(at_ms=began_ms))
    store.append_silence(minutes * 60 * 48_000 // FRAME_SAMPLES)
    store.close()
    assert (directory / JOURNAL).exists()
