"""Speakers hear each other, and not themselves, with real WebRTC on loopback."""

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from media import outlet
from media.engine import OfferRefused, RoomSpec, TooManySessions
from media.ice import IceConfig
from media.local import MAX_SESSIONS_PER_PARTICIPANT, LocalEngine
from media.room import TICKS_IN_CONVERSATION
from media.voice import MAX_TICKS
from tests.media.hearer import Hearer
from tests.media.lateness import HELD_BACK_S, lateness
from tests.media.publisher import Publisher, tone
from tests.media.sound import Signal, tone_level_db
from tests.media.test_live import wall_ms
from tests.media.test_offer import AUDIO, HEAD

RECEIVE = AUDIO.replace("sendonly", "recvonly")


@pytest.fixture
async def engine() -> AsyncIterator[LocalEngine]:
    engine = LocalEngine(ice=IceConfig(address="127.0.0.1"), now_ms=wall_ms)
    await engine.open_room(RoomSpec(space_id="s"))
    yield engine
    await engine.aclose()


async def publish(
    engine: LocalEngine, who: str, signal: Signal, *, device: str = ""
) -> tuple[Publisher, str]:
    publisher = Publisher(signal)
    sessions: list[str] = []

    async def exchange(offer: str) -> str:
        answer = await engine.publish("s", who, offer, device)
        sessions.append(answer.session_id)
        return answer.sdp

    await publisher.start(exchange)
    return publisher, sessions[0]


async def listen(engine: LocalEngine, who: str, *, device: str = "") -> tuple[Hearer, str]:
    hearer = Hearer()
    sessions: list[str] = []

    async def exchange(offer: str) -> str:
        answer = await engine.listen("s", who, offer, device)
        sessions.append(answer.session_id)
        return answer.sdp

    await hearer.start(exchange)
    return hearer, sessions[0]


async def until_gone(engine: LocalEngine, session_id: str) -> None:
    """Wait for a session's end, and in any case for the server to notice who has connected."""
    await asyncio.sleep(0.2)
    async with asyncio.timeout(5):
        while await engine.has_session("s", "a", session_id):
            await asyncio.sleep(0.01)


def level(sound: Signal, frequency_hz: float) -> float:
    return tone_level_db(sound, frequency_hz=frequency_hz, reference=0.2)


@pytest.mark.parametrize("way", ["socket", pytest.param("track", marks=pytest.mark.long)])
async def test_each_hears_the_others_at_their_level_and_nobody_hears_themselves(
    engine: LocalEngine, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "track":

        def refuse(*_arguments: object, **_keywords: object) -> None:
            raise AttributeError("another stack")

        monkeypatch.setattr(outlet, "SocketOutlet", refuse)
    tones = {"a": 440.0, "b": 1000.0}
    listeners = {who: (await listen(engine, who))[0] for who in ("a", "b", "silent")}
    publishers = [
        (await publish(engine, who, tone(frequency_hz=hz, seconds=30)))[0] for who, hz in tones.items()
    ]
    for who, hearer in listeners.items():
        for speaker, hz in tones.items():
            assert speaker == who or await hearer.hears(hz)
    await asyncio.sleep(1)
    for who, hearer in listeners.items():
        sound = hearer.heard(last_s=1)
        assert 40_000 < len(sound) < 56_000
        assert who not in tones or level(sound, tones[who]) < -40
    peers: list[Publisher | Hearer] = [*publishers, *listeners.values()]
    for peer in peers:
        await peer.close()


async def test_a_voice_reaches_the_other_s_ear_within_300_ms(engine: LocalEngine) -> None:
    signal = np.concatenate([np.zeros(48_000, np.float32), tone(frequency_hz=600, seconds=2)])
    hearer, _ = await listen(engine, "b")
    async with lateness() as late:
        publisher, _ = await publish(engine, "a", signal)
        await publisher.play_to_end()
    assert publisher.track._started_s is not None
    heard_s = hearer.first_heard_s(level=0.1)
    assert heard_s is not None
    # What aiortc's peers add (20 ms of packet, its own jitter buffer) is counted in.
    assert heard_s - (publisher.track._started_s + 1.0) < late.allowing(0.3 + HELD_BACK_S)
    await publisher.close()
    await hearer.close()


async def test_muting_is_heard_within_200_ms(engine: LocalEngine) -> None:
    hearer, _ = await listen(engine, "b")
    publisher, _ = await publish(engine, "a", tone(frequency_hz=600, seconds=30))
    assert await hearer.hears(600)
    muted_s = time.monotonic()
    await engine.set_muted("s", "a", True)
    async with lateness() as late:
        await asyncio.sleep(0.8)
    last_s = hearer.last_heard_s(level=0.02)
    assert last_s is not None
    assert last_s - muted_s < late.allowing(0.2 + HELD_BACK_S)
    await engine.set_muted("s", "a", False)
    assert await hearer.hears(600)
    await publisher.close()
    await hearer.close()


async def test_removing_someone_stops_both_directions_at_once(engine: LocalEngine) -> None:
    other, _ = await listen(engine, "b")
    talking, _ = await publish(engine, "b", tone(frequency_hz=500, seconds=30))
    hearer, _ = await listen(engine, "a")
    publisher, _ = await publish(engine, "a", tone(frequency_hz=600, seconds=30))
    assert await hearer.hears(500)
    assert await other.hears(600)
    removed_s = time.monotonic()
    async with lateness() as late:
        await engine.remove_participant("s", "a")
        await asyncio.sleep(0.8)
    for ear in (other, hearer):
        last_s = ear.last_heard_s(level=0.02)
        assert last_s is not None
        assert last_s - removed_s < late.allowing(0.2 + HELD_BACK_S)
    assert (publisher.state, hearer.state) == ("closed", "closed")
    for peer in (other, talking, hearer, publisher):
        await peer.close()


async def test_a_second_device_takes_over_when_it_publishes_and_not_before(engine: LocalEngine) -> None:
    silence = np.zeros(48_000, np.float32)
    first, heard_first = await publish(engine, "a", silence, device="phone")
    on_the_phone, on_phone = await listen(engine, "a", device="phone")
    elsewhere, on_laptop = await listen(engine, "a", device="laptop")
    await until_gone(engine, "none")
    assert await engine.has_session("s", "a", on_phone)
    second, _ = await publish(engine, "a", silence, device="laptop")
    await until_gone(engine, on_phone)
    assert not await engine.has_session("s", "a", heard_first)
    assert await engine.has_session("s", "a", on_laptop)
    again, _ = await publish(engine, "a", silence, device="laptop")
    assert await engine.has_session("s", "a", on_laptop)
    for peer in (first, on_the_phone, elsewhere, second, again):
        await peer.close()


async def test_the_room_answers_faster_only_while_somebody_listens_in_real_time(engine: LocalEngine) -> None:
    assert engine.ticker.ticks_a_wake_up == MAX_TICKS
    hearer, session_id = await listen(engine, "a")
    assert engine.ticker.ticks_a_wake_up == TICKS_IN_CONVERSATION
    assert not await engine.unpublish("s", "a", session_id)
    assert not await engine.unlisten("s", "b", session_id)
    assert await engine.unlisten("s", "a", session_id)
    assert engine.ticker.ticks_a_wake_up == MAX_TICKS
    await hearer.close()


async def test_a_fifth_session_and_an_offer_to_send_are_refused(engine: LocalEngine) -> None:
    for _ in range(MAX_SESSIONS_PER_PARTICIPANT):
        await engine.listen("s", "a", HEAD + RECEIVE)
    with pytest.raises(TooManySessions):
        await engine.listen("s", "a", HEAD + RECEIVE)
    with pytest.raises(TooManySessions):
        await engine.publish("s", "a", HEAD + AUDIO)
    with pytest.raises(OfferRefused, match="recvonly"):
        await engine.listen("s", "b", HEAD + AUDIO)


async def test_a_listener_whose_socket_breaks_disturbs_nobody_else(engine: LocalEngine) -> None:
    broken, session_id = await listen(engine, "a")
    hearer, _ = await listen(engine, "b")
    publisher, _ = await publish(engine, "c", tone(frequency_hz=600, seconds=30))
    await asyncio.sleep(0.5)
    session = engine._seats[session_id].session
    assert session is not None
    connection = session._peer.getTransceivers()[0].sender.transport.transport._connection
    connection._nominated[1].protocol.transport.close()
    await asyncio.sleep(0.3)
    assert await hearer.hears(600)
    assert engine.ticker.failures == 0
    for peer in (broken, hearer, publisher):
        await peer.close()
