"""The whole way with real WebRTC on loopback: offer, ICE, DTLS, RTP, mix, file."""

import asyncio
import random
import re
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from media import tap
from media.engine import (
    EngineEvent,
    OfferRefused,
    PublisherConnected,
    PublisherLost,
    RecorderChanged,
    RecorderState,
    RecordingFacts,
    RecordingSpec,
    RoomNotFound,
    RoomSpec,
)
from media.ice import IceConfig
from media.local import LocalEngine
from media.playlist import PROGRAMME
from tests.media.publisher import Publisher, tone
from tests.media.sound import decode, noise, place_of, steady_level_db
from tests.media.test_offer import AUDIO, HEAD
from tests.product.player import level_of_tone

TONES_HZ = (440, 1000, 2500)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
async def engine() -> AsyncIterator[LocalEngine]:
    engine = LocalEngine(ice=IceConfig(address="127.0.0.1"), now_ms=wall_ms)
    yield engine
    await engine.aclose()


class Listener:
    """Collects what the engine tells."""

    def __init__(self, engine: LocalEngine) -> None:
        self.events: list[EngineEvent] = []
        self._task = asyncio.create_task(self._listen(engine))

    async def _listen(self, engine: LocalEngine) -> None:
        async for event in engine.events():
            self.events.append(event)

    async def until(self, kind: type[EngineEvent], *, count: int = 1) -> None:
        async with asyncio.timeout(15):
            while sum(isinstance(event, kind) for event in self.events) < count:
                await asyncio.sleep(0.01)

    async def stop(self) -> list[EngineEvent]:
        await asyncio.sleep(0)
        self._task.cancel()
        return self.events


async def publish(engine: LocalEngine, participant_id: str, publisher: Publisher) -> str:
    """Publish into the Space `s`; the session's id."""
    sessions: list[str] = []

    async def exchange(offer: str) -> str:
        answer = await engine.publish("s", participant_id, offer)
        sessions.append(answer.session_id)
        return answer.sdp

    await publisher.start(exchange)
    return sessions[0]


async def record_tones(
    engine: LocalEngine, directory: Path, *, seconds: float
) -> tuple[RecordingFacts, float]:
    """What was recorded, and for how many seconds somebody sounded."""
    spec = RoomSpec(space_id="s", recording=RecordingSpec(recording_id="r", directory=str(directory)))
    await engine.open_room(spec)
    publishers = [Publisher(tone(frequency_hz=frequency_hz, seconds=seconds)) for frequency_hz in TONES_HZ]
    await asyncio.gather(
        *(publish(engine, f"p{number}", publisher) for number, publisher in enumerate(publishers))
    )
    await asyncio.gather(*(publisher.play_to_end() for publisher in publishers))
    await asyncio.gather(*(publisher.close() for publisher in publishers))
    facts = await engine.close_room("s")
    assert facts is not None
    # On a busy machine they do not begin together.
    begun_s = [publisher.track._started_s or 0.0 for publisher in publishers]
    return facts, seconds + max(begun_s) - min(begun_s)


@pytest.mark.parametrize("way", ["socket", pytest.param("track", marks=pytest.mark.long)])
async def test_three_tones_by_whip_are_in_the_programme_with_level_and_length(
    engine: LocalEngine, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "track":

        def refuse(*_arguments: object, **_keywords: object) -> None:
            raise AttributeError("another stack")

        monkeypatch.setattr(tap, "SocketTap", refuse)
    listener = Listener(engine)
    facts, length_s = await record_tones(engine, tmp_path / "r", seconds=3)
    assert abs(facts.duration_ms - length_s * 1000) <= 200
    assert facts.gaps == ()
    # While all three sound.
    together = slice(int((length_s - 3 + 0.4) * 48_000), 120_000)
    sound = decode(tmp_path / "r" / PROGRAMME)[together]
    for frequency_hz in TONES_HZ:
        assert abs(steady_level_db(sound, frequency_hz=frequency_hz, reference=0.2)) < 1
    events = await listener.stop()
    states = [event.state for event in events if isinstance(event, RecorderChanged)]
    assert states[:2] == [RecorderState.STARTING, RecorderState.RECORDING]
    assert sum(isinstance(event, PublisherConnected) for event in events) == 3
    assert sum(isinstance(event, PublisherLost) for event in events) == 3


async def test_what_was_said_is_found_where_it_was_said(engine: LocalEngine, tmp_path: Path) -> None:
    await engine.open_room(
        RoomSpec(space_id="s", recording=RecordingSpec(recording_id="r", directory=str(tmp_path / "r")))
    )
    signal = np.concatenate([tone(frequency_hz=500, seconds=1), noise(seconds=2)])
    publisher = Publisher(signal)
    await publish(engine, "p", publisher)
    await publisher.play_to_end()
    await publisher.close()
    facts = await engine.close_room("s")
    assert facts is not None
    sound = decode(tmp_path / "r" / PROGRAMME)
    tone_at = int(np.argmax(np.abs(sound) > 0.1))
    at, _ = place_of(signal[52_800:96_000], within=sound)
    assert abs(at - tone_at - 52_800) < 1440


async def test_muting_holds_for_packets_on_the_way_and_for_sessions_to_come(
    engine: LocalEngine, tmp_path: Path
) -> None:
    await engine.open_room(
        RoomSpec(space_id="s", recording=RecordingSpec(recording_id="r", directory=str(tmp_path / "r")))
    )
    await engine.set_muted("s", "p", True)
    publisher = Publisher(tone(frequency_hz=440, seconds=3))
    await publish(engine, "p", publisher)
    await asyncio.sleep(0.5)
    assert list((tmp_path / "r").glob("programme*")) == []
    await engine.set_muted("s", "p", False)
    await asyncio.sleep(0.6)
    await engine.set_muted("s", "p", True)
    await asyncio.sleep(0.6)
    await publisher.close()
    facts = await engine.close_room("s")
    assert facts is not None
    sound = decode(tmp_path / "r" / PROGRAMME)
    loud = np.flatnonzero(np.abs(sound) > 0.02)
    assert (loud[-1] - loud[0]) / 48 < 600 + 60


async def test_a_newer_session_takes_over_once_it_is_connected(engine: LocalEngine) -> None:
    await engine.open_room(RoomSpec(space_id="s"))
    listener = Listener(engine)
    first, second = (Publisher(tone(frequency_hz=440, seconds=5)) for _ in range(2))
    old = await publish(engine, "p", first)
    await listener.until(PublisherConnected)
    new = await publish(engine, "p", second)
    await listener.until(PublisherLost)
    (lost,) = [event for event in listener.events if isinstance(event, PublisherLost)]
    assert (lost.session_id, lost.replaced) == (old, True)
    connected = [event.session_id for event in listener.events if isinstance(event, PublisherConnected)]
    assert connected == [old, new]
    assert await engine.unpublish("s", "p", old) is False
    assert await engine.unpublish("s", "q", new) is False
    assert await engine.unpublish("s", "p", new) is True
    await listener.stop()
    await first.close()
    await second.close()


async def test_removing_someone_ends_their_session_and_the_peer_hears_of_it(engine: LocalEngine) -> None:
    await engine.open_room(RoomSpec(space_id="s"))
    listener = Listener(engine)
    publisher = Publisher(tone(frequency_hz=440, seconds=10))
    await publish(engine, "p", publisher)
    await listener.until(PublisherConnected)
    await engine.remove_participant("s", "p")
    await listener.until(PublisherLost)
    async with asyncio.timeout(5):
        while publisher._peer.connectionState != "closed":
            await asyncio.sleep(0.01)
    await listener.stop()
    await publisher.close()


async def test_an_unrecorded_room_is_heard_from_memory(engine: LocalEngine, tmp_path: Path) -> None:
    await engine.open_room(RoomSpec(space_id="s"))
    publisher = Publisher(tone(frequency_hz=440, seconds=10))
    await publish(engine, "p", publisher)
    async with asyncio.timeout(10):
        while len((await engine.live_window("s")).fragments) < 2:
            await asyncio.sleep(0.05)
    window = await engine.live_window("s")
    init = await engine.live_init("s", window.generation)
    piece = await engine.live_fragment("s", window.fragments[1].sequence)
    assert init is not None
    assert piece is not None
    assert abs(steady_level_db(decode(init + piece), frequency_hz=440, reference=0.2)) < 1
    await publisher.close()


async def test_hostile_offers_and_unknown_rooms_are_refused(engine: LocalEngine) -> None:
    with pytest.raises(RoomNotFound):
        await engine.publish("nowhere", "p", "v=0")
    await engine.open_room(RoomSpec(space_id="s"))
    for text in ("", "v=0", "v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 111\n", "\0" * 100, "x" * 100_000):
        with pytest.raises(OfferRefused):
            await engine.publish("s", "p", text)
    assert await engine.unpublish("s", "p", "nothing") is False


async def test_rubbish_on_the_session_s_port_disturbs_nobody(engine: LocalEngine, tmp_path: Path) -> None:
    await engine.open_room(
        RoomSpec(space_id="s", recording=RecordingSpec(recording_id="r", directory=str(tmp_path / "r")))
    )
    publisher = Publisher(tone(frequency_hz=440, seconds=2))
    ports: list[int] = []

    async def exchange(offer: str) -> str:
        answer = await engine.publish("s", "p", offer)
        ports.append(int(re.findall(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+) ", answer.sdp)[0]))
        return answer.sdp

    await publisher.start(exchange)
    chance = random.Random(3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in range(3000):
            # STUN, DTLS, SRTP and SRTCP by their first byte (RFC 7983), and none of them.
            first = chance.choice(
                [b"", b"\0\1", b"\1\1", b"\x16", b"\x17", b"\x80\x6f", b"\x80\xc8", b"\xbf", b"\xff"]
            )
            stranger.sendto(first + chance.randbytes(chance.randint(0, 60)), ("127.0.0.1", ports[0]))
            stranger.sendto(b"", ("127.0.0.1", ports[0]))
            if number % 50 == 0:
                await asyncio.sleep(0.01)
    await publisher.play_to_end()
    facts = await engine.close_room("s")
    await publisher.close()
    assert facts is not None
    assert facts.gaps == ()
    assert abs(facts.duration_ms - 2000) <= 400
    sound = decode(tmp_path / "r" / PROGRAMME)
    assert abs(level_of_tone(sound[24_000:72_000], frequency_hz=440, reference=0.2)) < 1


async def test_a_publisher_that_never_comes_is_let_go_after_half_a_minute() -> None:
    now_ns = 5_000_000_000
    engine = LocalEngine(ice=IceConfig(address="127.0.0.1"), now_ms=wall_ms, monotonic_ns=lambda: now_ns)
    await engine.open_room(RoomSpec(space_id="s"))
    listener = Listener(engine)
    answer = await engine.publish("s", "p", HEAD + AUDIO)
    engine._check(now_ns + 29_900_000_000)
    await asyncio.sleep(0)
    assert listener.events == []
    engine._check(now_ns + 31_000_000_000)
    await listener.until(PublisherLost)
    assert await engine.unpublish("s", "p", answer.session_id) is False
    await listener.stop()
    await engine.aclose()


async def test_behind_nat_the_answer_tells_the_advertised_address() -> None:
    engine = LocalEngine(ice=IceConfig(address="192.0.2.77"), now_ms=wall_ms)
    await engine.open_room(RoomSpec(space_id="s"))
    answer = await engine.publish("s", "p", HEAD + AUDIO)
    candidates = [line.split(" ")[4] for line in answer.sdp.splitlines() if line.startswith("a=candidate:")]
    assert candidates == ["192.0.2.77"]
    await engine.aclose()
