"""An audio plane without audio: every recording gets real files of a second of silence, at no cost.

Rules about recordings do not depend on what is heard. Nobody can publish here.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from media import journal
from media.engine import (
    EngineEvent,
    EngineLost,
    EngineStats,
    LiveWindow,
    OfferRefused,
    PublishAnswer,
    RecordingFacts,
    RoomNotFound,
    RoomSpec,
)
from media.repair import finish, repair
from media.store import RecordingStore
from models.fields import to_ms
from services.clock import Clock

_FRAMES = 47


class QuietEngine:
    """An `AudioEngine` whose recordings exist on disk from the moment their room opens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rooms: dict[str, RoomSpec] = {}

    async def open_room(self, spec: RoomSpec, /) -> RecordingFacts | None:
        self._rooms[spec.space_id] = spec
        if spec.recording is None:
            return None
        directory = Path(spec.recording.directory)
        if not repair(directory, recording_id=spec.recording.recording_id).size_bytes:
            _write(directory, at_ms=to_ms(self._clock.now()))
        return repair(directory, recording_id=spec.recording.recording_id)

    async def close_room(self, space_id: str, /) -> RecordingFacts | None:
        facts = await self.stop_recording(space_id)
        del self._rooms[space_id]
        return facts

    async def stop_recording(self, space_id: str, /) -> RecordingFacts | None:
        spec = self._room(space_id).recording
        if spec is None:
            return None
        self._rooms[space_id] = RoomSpec(space_id=space_id)
        return finish(spec.directory, recording_id=spec.recording_id)

    def _room(self, space_id: str) -> RoomSpec:
        if space_id not in self._rooms:
            raise RoomNotFound(space_id)
        return self._rooms[space_id]

    async def publish(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        raise OfferRefused("nobody can publish here")

    async def listen(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        raise OfferRefused("nobody can listen here")

    async def unlisten(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        return False

    async def has_session(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        return False

    async def unpublish(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        return False

    async def remove_participant(self, space_id: str, participant_id: str, /) -> None:
        self._room(space_id)

    async def set_muted(self, space_id: str, participant_id: str, muted: bool, /) -> None:
        self._room(space_id)

    async def live_window(self, space_id: str, /) -> LiveWindow:
        self._room(space_id)
        return LiveWindow(generation=0, fragments=())

    async def live_init(self, space_id: str, generation: int, /) -> bytes | None:
        return None

    async def live_fragment(self, space_id: str, sequence: int, /) -> bytes | None:
        return None

    async def live_part(self, space_id: str, sequence: int, number: int, /) -> bytes | None:
        return None

    async def suspend(self) -> tuple[RecordingFacts, ...]:
        specs = [spec.recording for spec in self._rooms.values() if spec.recording is not None]
        return tuple(repair(spec.directory, recording_id=spec.recording_id) for spec in specs)

    async def stats(self) -> EngineStats:
        return EngineStats(rooms=len(self._rooms))

    async def events(self) -> AsyncIterator[EngineEvent]:
        await asyncio.Event().wait()
        yield EngineLost()

    async def aclose(self) -> None:
        """Nothing runs."""


def _write(directory: Path, *, at_ms: int) -> None:
    store = RecordingStore(directory)
    store.open()
    store.begin(at_ms=at_ms)
    store.append_journal(journal.started(at_ms=at_ms))
    store.append_silence(_FRAMES)
    store.close()


def write_recording(directory: Path, *, at_ms: int) -> RecordingFacts:
    """The files of a finished recording, for rows that are made without a Space being run."""
    _write(directory, at_ms=at_ms)
    return finish(directory, recording_id=directory.name)
