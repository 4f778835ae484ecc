"""A media process of its own: calls and events across the socket, and what a kill costs."""

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from media.control import RemoteEngine
from media.engine import (
    EngineLost,
    EngineUnavailable,
    OfferRefused,
    RecorderProgress,
    RecordingSpec,
    RoomNotFound,
    RoomSpec,
)
from media.launch import launch
from media.playlist import PROGRAMME, read_index
from media.process import connect
from media.repair import finish, repair
from tests.media.lateness import cpu_seconds
from tests.media.publisher import Publisher, tone
from tests.media.sound import decode
from tests.media.test_offer import AUDIO, HEAD

Started = tuple[subprocess.Popen[bytes], RemoteEngine]


@pytest.fixture
async def started() -> AsyncIterator[Started]:
    launched = launch(ice_address="127.0.0.1")
    engine = await connect(launched)
    yield launched.process, engine
    launched.process.kill()
    await exit_code(launched.process)
    await engine.aclose()


async def exit_code(process: subprocess.Popen[bytes], *, within_s: float = 3) -> int:
    """The exit code of a process that must end in time."""
    return await asyncio.to_thread(process.wait, within_s)


def spec(space_id: str, directory: Path) -> RoomSpec:
    return RoomSpec(
        space_id=space_id, recording=RecordingSpec(recording_id=space_id, directory=str(directory))
    )


async def publish(engine: RemoteEngine, space_id: str, publisher: Publisher) -> None:
    async def exchange(offer: str) -> str:
        return (await engine.publish(space_id, "p", offer)).sdp

    await publisher.start(exchange)


async def test_calls_are_answered_and_refusals_arrive_as_what_they_are(started: Started) -> None:
    _, engine = started
    assert await engine.open_room(RoomSpec(space_id="s")) is None
    assert (await engine.live_window("s")).fragments == ()
    assert await engine.live_init("s", 0) is None
    assert await engine.unpublish("s", "p", "nothing") is False
    assert await engine.has_session("s", "p", "nothing") is False
    answer = await engine.listen("s", "p", HEAD + AUDIO.replace("sendonly", "recvonly"))
    assert await engine.has_session("s", "p", answer.session_id) is True
    assert await engine.unpublish("s", "p", answer.session_id) is False
    assert await engine.unlisten("s", "p", answer.session_id) is True
    assert await engine.close_room("s") is None
    with pytest.raises(RoomNotFound):
        await engine.live_window("s")
    await engine.open_room(RoomSpec(space_id="s"))
    with pytest.raises(OfferRefused, match="v=0"):
        await engine.publish("s", "p", "\ud800 no offer")


async def test_it_is_ready_within_a_second_of_being_started() -> None:
    launched = launch()
    engine = await connect(launched)
    computed_s = cpu_seconds(launched.process.pid)
    await engine.aclose()
    assert computed_s < 2  # twice the goal, for a machine whose cores are shared
    assert await exit_code(launched.process) == 0


async def test_a_kill_loses_at_most_a_second_and_a_half(started: Started, tmp_path: Path) -> None:
    process, engine = started
    await engine.open_room(spec("s", tmp_path / "r"))
    publisher = Publisher(tone(frequency_hz=440, seconds=30))
    await publish(engine, "s", publisher)
    begin = time.monotonic()
    await asyncio.sleep(3.3)
    process.send_signal(signal.SIGKILL)
    sent_ms = (time.monotonic() - begin) * 1000
    await exit_code(process)
    await publisher.close()
    facts = repair(tmp_path / "r", recording_id="s")
    assert sent_ms - 1500 <= facts.duration_ms <= sent_ms + 100
    sound = decode(tmp_path / "r" / PROGRAMME)
    assert np.abs(sound[-4800:]).max() > 0.15
    events = [event async for event in engine.events()]
    assert isinstance(events[-1], EngineLost)
    with pytest.raises(EngineUnavailable):
        await engine.open_room(RoomSpec(space_id="s"))
    ended = finish(tmp_path / "r", recording_id="s")
    assert ended.duration_ms == facts.duration_ms
    assert read_index(tmp_path / "r").ended


async def test_signals_are_for_the_parent_whose_closing_closes_the_open_fragment(
    started: Started, tmp_path: Path
) -> None:
    process, engine = started
    await engine.open_room(spec("s", tmp_path / "r"))
    publisher = Publisher(tone(frequency_hz=440, seconds=30))
    await publish(engine, "s", publisher)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)  # Ctrl-C, and a SIGTERM to the group, reach it too
    process.send_signal(signal.SIGTERM)
    await asyncio.sleep(1.6)
    assert process.poll() is None
    await engine.aclose()
    sent_ms = (time.monotonic() - begin) * 1000
    assert await exit_code(process, within_s=1.5) == 0
    await publisher.close()
    facts = repair(tmp_path / "r", recording_id="s")
    assert abs(facts.duration_ms - sent_ms) <= 250
    assert not read_index(tmp_path / "r").ended


async def test_progress_is_told_about_once_a_second(started: Started, tmp_path: Path) -> None:
    _, engine = started
    await engine.open_room(spec("s", tmp_path / "r"))
    publisher = Publisher(tone(frequency_hz=440, seconds=30))
    await publish(engine, "s", publisher)
    durations: list[int] = []
    async with asyncio.timeout(10):
        async for event in engine.events():
            if isinstance(event, RecorderProgress):
                durations.append(event.facts.duration_ms)
            if len(durations) == 3:
                break
    assert durations == [960, 1920, 2880]
    await publisher.close()


async def test_a_call_that_is_not_answered_fails_in_time() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        engine = RemoteEngine(reader, writer, call_timeout_s=0.05)
        with pytest.raises(EngineUnavailable, match="no answer"):
            await engine.close_room("s")
        await engine.aclose()
