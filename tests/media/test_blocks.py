"""Many ticks at once sound, and are written, as the same ticks one by one."""

import asyncio
import random

import numpy as np
import pytest

from media.encoder import AacEncoder
from media.mixer import Mixer
from media.opus import Pcm, new_decoder
from media.ticker import Ticker
from media.voice import MAX_TICKS, TICK_NS, TICK_SAMPLES, SpeakingDetector, Voice
from tests.media.publisher import tone
from tests.media.sound import opus_packets

MS = 1_000_000


def said(ticks: int, *, seed: int) -> Pcm:
    """What a voice plays with a lossy, shaken network, when so many ticks are made at once."""
    chance = random.Random(seed)
    packets = opus_packets(tone(frequency_hz=300, seconds=4), ptime_ms=20)
    arrivals = sorted(
        (number * 20 * MS + chance.randrange(90 * MS), number)
        for number in range(len(packets))
        if chance.random() > 0.05
    )
    voice = Voice(decoder=new_decoder())
    heard: list[Pcm] = []
    for first in range(0, 240, ticks):
        # As in a media process: it wakes up at the last tick of the block, and reads what has come.
        woken_ns = (first + ticks - 1) * TICK_NS
        while arrivals and arrivals[0][0] <= woken_ns:
            at_ns, number = arrivals.pop(0)
            voice.push(packets[number], sequence=number, timestamp=number * 960, ssrc=1, at_ns=at_ns)
        pcm = voice.pull(first * TICK_NS, ticks=ticks)
        heard.append(np.zeros(ticks * TICK_SAMPLES, np.float32) if pcm is None else pcm)
    assert voice.jitter.counters.lost > 0
    return np.concatenate(heard)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_voice_is_heard_the_same_however_many_ticks_are_made_at_once(seed: int) -> None:
    one_by_one = said(1, seed=seed)
    assert np.abs(one_by_one).max() > 0.1
    for ticks in (2, MAX_TICKS):
        assert np.array_equal(said(ticks, seed=seed), one_by_one)


def test_a_mix_is_limited_the_same_however_many_ticks_are_made_at_once() -> None:
    voices = [tone(frequency_hz=hz, seconds=0.96, level=0.6) for hz in (200, 310, 470)]
    whole, pieces = Mixer(), Mixer()
    length = MAX_TICKS * TICK_SAMPLES
    for at in range(0, len(voices[0]), length):
        block = whole.mix([voice[at : at + length] for voice in voices], ticks=MAX_TICKS)
        ticks = [
            pieces.mix([voice[start : start + TICK_SAMPLES] for voice in voices])
            for start in range(at, at + length, TICK_SAMPLES)
        ]
        assert block is not None
        assert np.array_equal(block, np.concatenate([pcm for pcm in ticks if pcm is not None]))
        assert np.abs(block).max() <= 1


def test_who_falls_silent_and_speaks_again_within_a_block_has_spoken_on() -> None:
    loud, quiet = np.full(TICK_SAMPLES, 0.1, np.float32), np.zeros(TICK_SAMPLES, np.float32)
    detector = SpeakingDetector()
    assert detector.update(np.concatenate([quiet, loud, loud, quiet]), ticks=4)
    assert (detector.speaking, detector.changed_at_tick) == (True, 2)
    assert not detector.update(None, ticks=13)
    assert not detector.update(np.concatenate([quiet, loud, loud]), ticks=3)
    assert detector.speaking


@pytest.mark.parametrize("samples", [1, 960, 1024, 9 * 1024 + 1, 10 * 1024, 15 * 1024 - 1, 20 * 1024 + 5])
def test_nothing_is_lost_when_the_encoder_is_emptied_at_any_length(samples: int) -> None:
    encoder = AacEncoder()
    sound = tone(frequency_hz=440, seconds=1)[:samples]
    frames = [
        frame
        for at in range(0, samples, 700)
        for frame in encoder.push(sound[at : at + 700], samples=min(700, samples - at))
    ]
    frames += encoder.drain()
    assert len(frames) == -(-samples // 1024)


async def test_rooms_of_one_pace_share_a_wake_up_and_every_tick_comes_once() -> None:
    now_ns, slow_pace = 1_000 * TICK_NS, MAX_TICKS
    heard: dict[str, list[tuple[int, int]]] = {"slow": [], "late": [], "quick": []}
    ticker = Ticker(monotonic_ns=lambda: now_ns)
    ticker.add(lambda at, *, ticks: heard["slow"].append((at, ticks)), pace=lambda: slow_pace)
    running = asyncio.create_task(ticker.run())
    await asyncio.sleep(0)
    quick = lambda at, *, ticks: heard["quick"].append((at, ticks))  # noqa: E731 - to be removed again
    for step in range(41):
        now_ns = (1_000 + step) * TICK_NS + 300_000
        ticker._catch_up(now_ns)
        if step == 11:
            ticker.add(lambda at, *, ticks: heard["late"].append((at, ticks)))
            ticker.add(quick, pace=lambda: 2)
            assert ticker.ticks_a_wake_up == 2
        if step == 25:
            slow_pace = 1
        if step == 33:
            slow_pace = MAX_TICKS
            ticker.remove(quick)
    running.cancel()
    for calls in heard.values():
        ticks = [at // TICK_NS + number for at, count in calls for number in range(count)]
        assert ticks == list(range(ticks[0], ticks[-1] + 1)), "expected every tick once"
    assert {count for _, count in heard["slow"][:3]} == {MAX_TICKS}
    assert {count for _, count in heard["quick"]} == {2}
    ends = [{at // TICK_NS + count for at, count in heard[name]} for name in ("slow", "late")]
    assert ends[1] <= ends[0], "expected one wake-up for both"


async def test_a_machine_that_slept_does_not_tick_what_it_missed() -> None:
    now_ns = 0
    heard: list[tuple[int, int]] = []
    ticker = Ticker(monotonic_ns=lambda: now_ns)
    ticker.add(lambda at, *, ticks: heard.append((at, ticks)), pace=lambda: 1)
    running = asyncio.create_task(ticker.run())
    await asyncio.sleep(0)
    now_ns = 60_000_000_000
    ticker._catch_up(now_ns)
    running.cancel()
    assert heard == [(0, 1), (now_ns, 1)]
