"""A room with a recorder and a clock that the test moves: real packets, faster than real time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from media.disk import Reserve
from media.elapsed import Moment
from media.engine import EngineEvent, RecorderChanged, RecorderState, RecordingFacts
from media.publisher import Publisher
from media.recorder import Recorder
from media.room import Room
from media.store import RecordingStore
from media.voice import TICK_NS
from tests.media.sound import Signal, opus_packets

EPOCH_MS = 1_800_000_000_000


async def at_once(work: Callable[[], None]) -> None:
    """In place of a thread: the test's clock stands still while the disk works."""
    work()


@dataclass
class Voice:
    """Someone who publishes a signal, packet by packet."""

    publisher: Publisher
    packets: list[bytes]
    ptime_ms: int
    begin_ms: int
    sent: int = 0

    def send_until(self, now_ms: int) -> None:
        while self.sent < len(self.packets) and self.begin_ms + self.sent * self.ptime_ms <= now_ms:
            self.publisher.on_packet(
                self.packets[self.sent],
                sequence=self.sent & 0xFFFF,
                timestamp=self.sent * self.ptime_ms * 48,
                ssrc=1,
            )
            self.sent += 1


@dataclass
class Studio:
    """`run` moves the clock; everything else happens now."""

    directory: Path
    store_type: type[RecordingStore] = RecordingStore
    events: list[EngineEvent] = field(default_factory=list)
    voices: list[Voice] = field(default_factory=list)
    clock_ms: int = 0
    wall_offset_ms: int = EPOCH_MS
    # Which boot this is, and for how long the machine had been up; without one the wall clock alone tells.
    boot: str = ""
    boot_offset_ms: int = 0
    reserve_bytes: int = 0

    async def open(self) -> RecordingFacts:
        self.recorder = Recorder(
            space_id="space",
            recording_id="recording",
            store=self.store_type(self.directory, reserve=Reserve(self.reserve_bytes)),
            emit=self.events.append,
            now_ms=self.now_ms,
            in_thread=at_once,
            moment=self.moment,
        )
        facts = await self.recorder.open()
        self.room = Room(
            space_id="space", emit=self.events.append, now_ms=self.now_ms, recorder=self.recorder
        )
        return facts

    def now_ms(self) -> int:
        return self.wall_offset_ms + self.clock_ms

    def moment(self) -> Moment:
        return Moment(
            wall_ms=self.now_ms(), boot=self.boot, since_boot_ms=self.boot_offset_ms + self.clock_ms
        )

    def join(self, participant_id: str, signal: Signal, *, ptime_ms: int = 20) -> Voice:
        publisher = self.room.add_publisher(participant_id)
        publisher.connected = True
        voice = Voice(publisher, opus_packets(signal, ptime_ms=ptime_ms), ptime_ms, self.clock_ms)
        self.voices.append(voice)
        return voice

    def leave(self, voice: Voice) -> None:
        voice.publisher.leave()
        self.voices.remove(voice)

    async def run(self, ms: int, *, ticks: int = 1) -> None:
        end_ms, step_ms = self.clock_ms + ms, ticks * TICK_NS // 1_000_000
        while self.clock_ms < end_ms:
            for voice in self.voices:
                voice.send_until(self.clock_ms + step_ms - TICK_NS // 1_000_000)
            self.room.tick(self.clock_ms * 1_000_000, ticks=ticks)
            self.clock_ms += step_ms
            if self.clock_ms % 500 < step_ms:
                await settle()
        await settle()

    async def pass_time(self, ms: int) -> None:
        """Time without ticks, as when nothing happens for hours."""
        self.clock_ms += ms
        await settle()

    async def close(self) -> RecordingFacts:
        for voice in list(self.voices):
            self.leave(voice)
        facts = await self.room.close()
        assert facts is not None
        return facts

    def kill(self) -> None:
        """As kill -9 does: what is in memory is gone."""
        writer = self.recorder._disk._task
        assert writer is not None
        writer.cancel()
        self.recorder._store.close()

    @property
    def states(self) -> list[RecorderState]:
        return [event.state for event in self.events if isinstance(event, RecorderChanged)]


async def settle() -> None:
    """Let the recorder's task write what is queued."""
    import asyncio

    for _ in range(4):
        await asyncio.sleep(0)
