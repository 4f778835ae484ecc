"""A Space on a real network: people drop and come back, and every position stays the time since the first audio."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tests.media.publisher import Publisher, tone
from tests.media.sound import Signal, decode
from tests.product.town import Person, Town

STEP = 240
LOUD = 0.1


def sounding_ms(sound: Signal, frequency_hz: float) -> list[tuple[float, float]]:
    """Stretches of at least 100 ms in which a tone is heard, to the 5 ms."""
    moments = np.arange(STEP * 2) / 48_000
    probe = np.exp(-2j * np.pi * frequency_hz * moments) / STEP
    levels = [abs(np.dot(sound[at : at + 2 * STEP], probe)) for at in range(0, len(sound) - 2 * STEP, STEP)]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.array(levels) > LOUD, [0]])))
    stretches = [
        (float(begin) * 5, float(end) * 5) for begin, end in zip(edges[::2], edges[1::2], strict=True)
    ]
    return [(begin, end) for begin, end in stretches if end - begin >= 100]


def programme(town: Town) -> Signal:
    (path,) = town.data_dir.rglob("programme.mp4")
    return decode(path)


def track(town: Town, number: int) -> Signal:
    (path,) = [path for path in town.data_dir.rglob("*.opus") if path.name.endswith(f"-{number}.opus")]
    return decode(path)


async def speak(
    person: Person, space: str, frequency_hz: float, *, seconds: float
) -> tuple[Publisher, float]:
    """Publish a tone; the publisher, and when its first sample was played."""
    publisher = await person.publish(space, tone(frequency_hz=frequency_hz, seconds=seconds))
    async with asyncio.timeout(5):
        while publisher.track._started_s is None:
            await asyncio.sleep(0.005)
    return publisher, publisher.track._started_s


async def gaps_of(person: Person, space: str) -> list[dict[str, Any]]:
    gaps: list[dict[str, Any]] = (await person.recording(space, "gaps { startMs endMs cause }"))["gaps"]
    return gaps


async def test_a_speaker_drops_and_comes_back_and_nobody_s_time_moves(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    space = await host.live_space(record=True)
    await guest.speak_in(space, host)
    hosting, begun_s = await speak(host, space, 440, seconds=4)
    first, first_s = await speak(guest, space, 1000, seconds=0.8)
    await first.play_to_end()
    await first.close()
    assert (await host.recording(space, "status"))["status"] == "RECORDING"
    # A pitch of its own: a fast machine is back before the end of the first is heard.
    second, second_s = await speak(guest, space, 1500, seconds=0.8)
    await second.play_to_end()
    await hosting.play_to_end()
    # Ended while both are there: between the last one's going and the end there would be a gap.
    await host.do("endSpace", spaceId=space)
    for publisher in (second, hosting):
        await publisher.close()
    assert await gaps_of(host, space) == []
    sound = programme(town)
    for frequency_hz, sent_s in ((1000, first_s), (1500, second_s)):
        told = sounding_ms(sound, frequency_hz)
        assert abs(told[0][0] - (sent_s - begun_s) * 1000) <= 150
        # A machine that held the publisher up may have broken the tone in two.
        assert abs(told[-1][1] - told[0][0] - 800) <= 100 + 200 * (len(told) - 1)
    host_told = sounding_ms(sound, 440)
    assert abs(host_told[-1][1] - 4000) <= 100 + 200 * (len(host_told) - 1)
    assert len(list(town.data_dir.rglob("*.opus"))) == 3


async def test_all_drop_and_come_back_and_the_hole_is_told_and_keeps_its_length(town: Town) -> None:
    host = await town.person()
    space = await host.live_space(record=True)
    publisher, first_s = await speak(host, space, 440, seconds=1)
    await publisher.play_to_end()
    await publisher.close()
    await host.until(space, "INTERRUPTED")
    assert (await host.space(space, "isRecording"))["isRecording"]
    await asyncio.sleep(1)
    publisher, second_s = await speak(host, space, 440, seconds=1)
    await host.until(space, "RECORDING")
    await publisher.play_to_end()
    await host.do("endSpace", spaceId=space)
    await publisher.close()
    (gap,) = await gaps_of(host, space)
    assert gap["cause"] == "NO_PUBLISHER"
    sounding = sounding_ms(programme(town), 440)
    first_end_ms = max(end_ms for _, end_ms in sounding if end_ms <= gap["endMs"])
    second_ms = min(begin_ms for begin_ms, _ in sounding if begin_ms >= gap["startMs"])
    assert abs(second_ms - (second_s - first_s) * 1000) <= 150
    assert first_end_ms - 30 <= gap["startMs"] < gap["endMs"] <= second_ms + 30
    # The host's second session has a track of its own, and it begins where the programme does.
    track_ms, _ = sounding_ms(track(town, 2), 440)[0]
    assert abs(track_ms - second_ms) <= 30


async def test_a_host_who_is_back_within_the_window_goes_on_and_one_who_is_not_ends_the_space(
    town: Town,
) -> None:
    host = await town.person()
    space = await host.live_space(record=True)
    publisher, _ = await speak(host, space, 440, seconds=0.6)
    await publisher.play_to_end()
    await publisher.close()
    await host.until(space, "INTERRUPTED")
    town.clock.move(timedelta(seconds=59))
    await town.round()
    assert (await host.space(space, "state"))["state"] == "LIVE"
    publisher, _ = await speak(host, space, 440, seconds=0.6)
    await host.until(space, "RECORDING")
    town.clock.move(timedelta(seconds=59))
    await town.round()
    assert (await host.space(space, "state"))["state"] == "LIVE"
    await publisher.play_to_end()
    dropped_s = time.monotonic()
    await publisher.close()
    await host.until(space, "INTERRUPTED")
    town.clock.move(timedelta(seconds=61))
    await town.round()
    ended = await host.space(space, "state startedAt endedAt recording { status durationMs gaps { endMs } }")
    assert (ended["state"], ended["recording"]["status"]) == ("ENDED", "AVAILABLE")
    # The hole at the end is told up to the Space's end, which is that of the window, and not filled.
    last = ended["recording"]["gaps"][-1]["endMs"]
    assert ended["recording"]["durationMs"] < last
    assert time.monotonic() - dropped_s < 10


async def test_what_a_publisher_sent_before_it_dropped_is_in_the_files(town: Town, tmp_path: Path) -> None:
    host = await town.person()
    space = await host.live_space(record=True)
    publisher, _ = await speak(host, space, 440, seconds=1)
    await publisher.play_to_end()
    await publisher.close()
    await host.do("endSpace", spaceId=space)
    for sound in (programme(town), track(town, 1)):
        told = sounding_ms(sound, 440)
        # A machine that held the publisher up may have broken the tone in two.
        assert sum(end_ms - begin_ms for begin_ms, end_ms in told) >= 1000 - 50 - 150 * (len(told) - 1)
        assert told[-1][1] - told[0][0] <= 1060 + 200 * (len(told) - 1)
