"""What every audio engine promises: acceptance tests of `media.engine.AudioEngine`, over its interface alone.

Peers are real WebRTC on loopback. Nothing here looks inside an engine; what it wrote is read from the disk.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import numpy as np
import pytest
import pytest_asyncio

from media.engine import (
    AudioEngine,
    EngineError,
    EngineEvent,
    GapCause,
    ListenerConnected,
    ListenerLost,
    OfferRefused,
    PublisherConnected,
    PublisherLost,
    RecorderChanged,
    RecorderProgress,
    RecorderState,
    RecordingFacts,
    RecordingSpec,
    RoomNotFound,
    RoomSpec,
    SpeakingChanged,
    TooManySessions,
)
from media.playlist import PROGRAMME, read_index
from tests.media.engines import ENGINES
from tests.media.hearer import Hearer
from tests.media.publisher import Publisher, tone
from tests.media.sound import decode, steady_level_db, tone_level_db
from tests.media.test_offer import AUDIO, HEAD

Told = TypeVar("Told", bound=EngineEvent)
PATIENCE_S = 20
# The server's own engine at every run; the ways to it, and others, where there is time.
HELD = [pytest.param(name, marks=() if name == "local" else pytest.mark.long) for name in ENGINES]
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=HELD)
async def ear(request: pytest.FixtureRequest) -> AsyncIterator["Ear"]:
    """One engine for all tests, which tells a single reader what happens."""
    async with ENGINES[request.param]() as opened, Ear(opened) as listening:
        yield listening


class Ear:
    """All that an engine has told, in order; it has one reader."""

    def __init__(self, engine: AudioEngine) -> None:
        self.events: list[EngineEvent] = []
        self.engine = engine

    async def __aenter__(self) -> "Ear":
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _listen(self) -> None:
        async for event in self.engine.events():
            self.events.append(event)


class Stage:
    """One Space of an engine: who comes there, and what is told of it."""

    def __init__(self, ear: Ear, folder: Path) -> None:
        self.engine = ear.engine
        self.folder = folder
        self.space_id = uuid4().hex
        self._ear = ear
        self._peers: list[Publisher | Hearer] = []

    @property
    def recorded(self) -> RoomSpec:
        """Its room, with a recording."""
        spec = RecordingSpec(recording_id=self.folder.name, directory=str(self.folder))
        return RoomSpec(space_id=self.space_id, recording=spec)

    @property
    def unrecorded(self) -> RoomSpec:
        """Its room, without."""
        return RoomSpec(space_id=self.space_id)

    def told(self, kind: type[Told]) -> list[Told]:
        """Of one kind, so far."""
        found = [event for event in self._ear.events if isinstance(event, kind)]
        return [event for event in found if getattr(event, "space_id", "") == self.space_id]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for it."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.01)

    async def until_told(self, kind: type[EngineEvent], *, count: int = 1) -> None:
        """Wait for so many."""
        await self.until(lambda: len(self.told(kind)) >= count)

    async def until_recorded(self, ms: int) -> None:
        """Wait until so much is on disk, by what the engine tells."""
        await self.until(
            lambda: max((one.facts.duration_ms for one in self.told(RecorderProgress)), default=0) >= ms
        )

    async def until_gone(self, who: str, session_id: str) -> None:
        """Wait until a session has ended."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.engine.has_session(self.space_id, who, session_id):
                await asyncio.sleep(0.01)

    async def speak(self, who: str, hz: float = 440, *, device: str = "") -> tuple[Publisher, str]:
        """Somebody publishes a tone; the peer and the session's id."""
        publisher, sessions = Publisher(tone(frequency_hz=hz, seconds=1), repeat=True), []
        self._peers.append(publisher)

        async def exchange(offer: str) -> str:
            answer = await self.engine.publish(self.space_id, who, offer, device)
            sessions.append(answer.session_id)
            return answer.sdp

        await publisher.start(exchange)
        return publisher, sessions[0]

    async def hear(self, who: str, *, device: str = "") -> tuple[Hearer, str]:
        """Somebody listens; the peer and the session's id."""
        hearer, sessions = Hearer(), []
        self._peers.append(hearer)

        async def exchange(offer: str) -> str:
            answer = await self.engine.listen(self.space_id, who, offer, device)
            sessions.append(answer.session_id)
            return answer.sdp

        await hearer.start(exchange)
        return hearer, sessions[0]

    async def close(self) -> None:
        """Everybody goes."""
        with suppress(EngineError):
            await self.engine.close_room(self.space_id)
        for peer in self._peers:
            await peer.close()


@pytest_asyncio.fixture(loop_scope="module")
async def stage(ear: Ear, tmp_path: Path) -> AsyncIterator[Stage]:
    """A Space of its own for each test."""
    opened = Stage(ear, tmp_path / "r")
    yield opened
    await opened.close()


# --- rooms ---


async def test_a_room_is_opened_once_and_closed_once(stage: Stage) -> None:
    engine = stage.engine
    before = (await engine.stats()).rooms
    first = await engine.open_room(stage.recorded)
    assert first == RecordingFacts(recording_id="r", started_at_ms=None, duration_ms=0, size_bytes=0)
    assert await engine.open_room(stage.recorded) == first
    assert (await engine.stats()).rooms == before + 1
    assert await engine.close_room(stage.space_id) == first
    assert await engine.close_room(stage.space_id) is None
    assert (await engine.stats()).rooms == before
    assert await engine.open_room(stage.unrecorded) is None
    assert await engine.close_room(stage.space_id) is None


async def test_a_room_that_is_not_there_has_nothing_to_offer(stage: Stage) -> None:
    engine, space_id = stage.engine, stage.space_id
    for refused in (
        engine.publish(space_id, "p", HEAD + AUDIO),
        engine.listen(space_id, "p", HEAD + AUDIO),
        engine.remove_participant(space_id, "p"),
        engine.set_muted(space_id, "p", True),
        engine.stop_recording(space_id),
        engine.live_window(space_id),
        engine.live_init(space_id, 0),
        engine.live_fragment(space_id, 0),
        engine.live_part(space_id, 0, 0),
    ):
        with pytest.raises(RoomNotFound):
            await refused
    assert await engine.has_session(space_id, "p", "a session") is False
    assert await engine.unpublish(space_id, "p", "a session") is False
    assert await engine.unlisten(space_id, "p", "a session") is False
    assert await engine.close_room(space_id) is None


async def test_an_offer_that_cannot_be_answered_is_refused_and_leaves_no_session(stage: Stage) -> None:
    await stage.engine.open_room(stage.unrecorded)
    before = (await stage.engine.stats()).sessions
    rubbish = ("", "v=0", "v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 111\n", "\0" * 100, "\ud800", "x" * 99_999)
    for offer in rubbish:
        with pytest.raises(OfferRefused):
            await stage.engine.publish(stage.space_id, "p", offer)
        with pytest.raises(OfferRefused):
            await stage.engine.listen(stage.space_id, "p", offer)
    assert (await stage.engine.stats()).sessions == before


async def test_a_participant_has_four_sessions_in_a_room_and_no_fifth(stage: Stage) -> None:
    engine, space_id = stage.engine, stage.space_id
    await engine.open_room(stage.unrecorded)
    offer = HEAD + AUDIO.replace("sendonly", "recvonly")
    taken = [(await engine.listen(space_id, "p", offer)).session_id for _ in range(4)]
    with pytest.raises(TooManySessions):
        await engine.listen(space_id, "p", offer)
    await engine.listen(space_id, "q", offer)
    assert await engine.unlisten(space_id, "p", taken[0]) is True
    await engine.listen(space_id, "p", offer)


async def test_a_session_is_ended_by_its_own_name_alone(stage: Stage) -> None:
    engine, space_id = stage.engine, stage.space_id
    await engine.open_room(stage.unrecorded)
    told = (await engine.publish(space_id, "p", HEAD + AUDIO)).session_id
    assert await engine.has_session(space_id, "p", told) is True
    for room, who, session_id in (("t", "p", told), (space_id, "q", told), (space_id, "p", "another")):
        assert await engine.has_session(room, who, session_id) is False
        assert await engine.unpublish(room, who, session_id) is False
    assert await engine.unlisten(space_id, "p", told) is False
    assert await engine.unpublish(space_id, "p", told) is True
    assert await engine.unpublish(space_id, "p", told) is False
    assert await engine.has_session(space_id, "p", told) is False


# --- recording ---


@pytest.mark.long
async def test_what_is_said_is_recorded_and_told_once_it_is_on_disk(stage: Stage) -> None:
    folder = stage.folder
    await stage.engine.open_room(stage.recorded)
    _, session_id = await stage.speak("p")
    await stage.until_recorded(2500)
    told = stage.told(RecorderProgress)[-1].facts
    assert (folder / PROGRAMME).stat().st_size >= told.size_bytes
    assert not read_index(folder).ended
    facts = await stage.engine.close_room(stage.space_id)
    await stage.until_told(PublisherLost)

    assert facts is not None
    assert facts.gaps == ()
    assert facts.size_bytes == (folder / PROGRAMME).stat().st_size == read_index(folder).size_bytes
    assert read_index(folder).ended
    sound = decode(folder / PROGRAMME)
    assert len(sound) / 48 == pytest.approx(facts.duration_ms, abs=50)
    assert abs(steady_level_db(sound[24_000:96_000], frequency_hz=440, reference=0.2)) < 1
    states = [one.state for one in stage.told(RecorderChanged)]
    assert states[:2] == [RecorderState.STARTING, RecorderState.RECORDING]
    durations = [0, *(one.facts.duration_ms for one in stage.told(RecorderProgress))]
    assert max(after - before for before, after in pairwise(durations)) <= 1000
    assert [one.session_id for one in stage.told(PublisherConnected)] == [session_id]
    assert [(one.session_id, one.replaced) for one in stage.told(PublisherLost)] == [(session_id, False)]
    assert stage.told(SpeakingChanged)[0].speaking is True


@pytest.mark.long
async def test_a_recording_waits_for_the_next_who_speaks_and_tells_the_hole(stage: Stage) -> None:
    await stage.engine.open_room(stage.recorded)
    _, session_id = await stage.speak("p")
    await stage.until_recorded(900)
    assert await stage.engine.unpublish(stage.space_id, "p", session_id) is True
    await stage.until(lambda: stage.told(RecorderChanged)[-1].state == RecorderState.INTERRUPTED)
    interrupted_ms = stage.told(RecorderChanged)[-1].facts.duration_ms
    await asyncio.sleep(1)
    await stage.speak("q", 1000)
    await stage.until_recorded(interrupted_ms + 1900)
    facts = await stage.engine.close_room(stage.space_id)
    assert facts is not None
    [gap] = facts.gaps
    assert gap.cause == GapCause.NO_PUBLISHER
    assert gap.start_ms >= interrupted_ms - 50
    # The hole is silence of its length: times in the file are times of the Space.
    sound = decode(stage.folder / PROGRAMME)
    hole = sound[(gap.start_ms + 200) * 48 : (gap.end_ms - 200) * 48]
    assert len(hole) > 0
    assert np.abs(hole).max() < 0.01
    assert abs(steady_level_db(sound[-24_000:-4800], frequency_hz=1000, reference=0.2)) < 1


@pytest.mark.long
@pytest.mark.parametrize("name", list(ENGINES))
async def test_a_recording_that_was_suspended_is_continued_in_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "r"
    async with ENGINES[name]() as opened, Ear(opened) as ear:
        stage = Stage(ear, folder)
        await stage.engine.open_room(stage.recorded)
        await stage.speak("p")
        await stage.until_recorded(900)
        [facts] = await stage.engine.suspend()
        assert facts.duration_ms >= 900
        assert not read_index(folder).ended
        with pytest.raises(EngineError):
            await stage.engine.open_room(stage.unrecorded)
        await stage.close()
    await asyncio.sleep(1)
    async with ENGINES[name]() as opened, Ear(opened) as ear:
        stage = Stage(ear, folder)
        again = await stage.engine.open_room(stage.recorded)
        assert again is not None
        assert again.duration_ms == facts.duration_ms
        await stage.speak("p", 1000)
        await stage.until_recorded(facts.duration_ms + 900)
        ended = await stage.engine.close_room(stage.space_id)
        await stage.close()
    assert ended is not None
    assert [gap.cause for gap in ended.gaps] == [GapCause.RESTART]
    assert ended.started_at_ms == facts.started_at_ms
    assert len(decode(folder / PROGRAMME)) / 48 == pytest.approx(ended.duration_ms, abs=50)


@pytest.mark.long
async def test_a_recording_that_is_stopped_grows_no_more_and_the_room_goes_on(stage: Stage) -> None:
    await stage.engine.open_room(stage.recorded)
    await stage.speak("p")
    await stage.until_recorded(900)
    facts = await stage.engine.stop_recording(stage.space_id)
    assert facts is not None
    assert read_index(stage.folder).ended
    async with asyncio.timeout(PATIENCE_S):
        while len((await stage.engine.live_window(stage.space_id)).fragments) < 2:
            await asyncio.sleep(0.05)
    assert await stage.engine.close_room(stage.space_id) is None
    assert facts.size_bytes == (stage.folder / PROGRAMME).stat().st_size


# --- listening ---


@pytest.mark.long
async def test_each_hears_the_others_and_nobody_hears_themselves(stage: Stage) -> None:
    tones = {"p": 440.0, "q": 1000.0}
    await stage.engine.open_room(stage.unrecorded)
    ears = {who: (await stage.hear(who))[0] for who in (*tones, "silent")}
    for who, hz in tones.items():
        await stage.speak(who, hz)
    for who, hearer in ears.items():
        for speaker, hz in tones.items():
            assert speaker == who or await hearer.hears(hz)
    for who, hz in tones.items():
        own = np.pad(ears[who].heard(last_s=0.5), (1, 0))
        assert tone_level_db(own, frequency_hz=hz, reference=0.2) < -40
    assert {one.participant_id for one in stage.told(ListenerConnected)} == {"p", "q", "silent"}
    await stage.engine.close_room(stage.space_id)
    await stage.until_told(ListenerLost, count=3)
    await stage.until_told(PublisherLost, count=2)


@pytest.mark.long
async def test_an_unrecorded_room_is_heard_from_memory_and_reaches_no_file(stage: Stage) -> None:
    engine, space_id = stage.engine, stage.space_id
    await engine.open_room(stage.unrecorded)
    assert (await engine.live_window(space_id)).fragments == ()
    await stage.speak("p")
    async with asyncio.timeout(PATIENCE_S):
        while len((window := await engine.live_window(space_id)).fragments) < 3:
            await asyncio.sleep(0.05)
    init = await engine.live_init(space_id, window.generation)
    piece = await engine.live_fragment(space_id, window.fragments[1].sequence)
    assert init is not None
    assert piece is not None
    assert abs(steady_level_db(decode(init + piece), frequency_hz=440, reference=0.2)) < 1
    last = window.fragments[-1]
    parts = [await engine.live_part(space_id, last.sequence, number) for number in range(len(last.parts_ms))]
    assert b"".join(part or b"" for part in parts) == await engine.live_fragment(space_id, last.sequence)
    assert await engine.live_init(space_id, window.generation + 9) is None
    assert await engine.live_fragment(space_id, last.sequence + 999) is None
    assert await engine.live_part(space_id, last.sequence, 999) is None
    assert not stage.folder.exists()


# --- who may ---


@pytest.mark.long
async def test_who_is_muted_is_not_heard_whatever_they_send_now_and_by_a_session_to_come(
    stage: Stage,
) -> None:
    await stage.engine.open_room(stage.unrecorded)
    hearer, _ = await stage.hear("q")
    await stage.engine.set_muted(stage.space_id, "p", True)
    await stage.speak("p", 440)
    await stage.speak("p", 1000)
    await stage.speak("r", 2500)
    assert await hearer.hears(2500)
    await asyncio.sleep(0.5)
    for hz in (440, 1000):
        assert tone_level_db(hearer.heard(last_s=0.5), frequency_hz=hz, reference=0.2) < -40
    await stage.engine.set_muted(stage.space_id, "p", False)
    assert await hearer.hears(1000)


@pytest.mark.long
async def test_a_newer_session_takes_over_once_it_is_connected(stage: Stage) -> None:
    engine, space_id = stage.engine, stage.space_id
    await engine.open_room(stage.unrecorded)
    _, old = await stage.speak("p", device="phone")
    _, listening = await stage.hear("p", device="phone")
    # One that never connects takes nothing away.
    await engine.publish(space_id, "p", HEAD + AUDIO, "laptop")
    assert await engine.has_session(space_id, "p", old) is True
    _, new = await stage.speak("p", device="laptop")
    await stage.until_gone("p", old)
    await stage.until_gone("p", listening)
    assert await engine.has_session(space_id, "p", new) is True
    await stage.until_told(ListenerLost)
    await stage.until_told(PublisherConnected, count=2)
    assert (old, True) in [(one.session_id, one.replaced) for one in stage.told(PublisherLost)]
    assert [one.session_id for one in stage.told(PublisherConnected)] == [old, new]


@pytest.mark.long
async def test_who_is_removed_is_heard_no_more_and_hears_nothing(stage: Stage) -> None:
    await stage.engine.open_room(stage.unrecorded)
    mouth, _ = await stage.speak("p")
    ear, _ = await stage.hear("p")
    other, _ = await stage.hear("q")
    assert await other.hears(440)
    await stage.engine.remove_participant(stage.space_id, "p")
    await stage.until_told(PublisherLost)
    await stage.until_told(ListenerLost)
    await stage.until(lambda: mouth.state == ear.state == "closed")
    await stage.until(lambda: np.abs(other.heard(last_s=0.3)).max(initial=0) < 0.01)
