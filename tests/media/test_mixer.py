"""The mix: one voice alone is left as it is, many are never clipped."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.mixer import LOOKAHEAD_SAMPLES, Mixer
from tests.media.publisher import tone
from tests.media.sound import Signal, noise, tone_level_db

BLOCK = 960


def mix(*voices: Signal) -> Signal:
    mixer = Mixer()
    blocks = []
    for at in range(0, len(voices[0]), BLOCK):
        mixed = mixer.mix([voice[at : at + BLOCK] for voice in voices])
        assert mixed is not None
        blocks.append(mixed)
    return np.concatenate(blocks)


def test_one_voice_alone_keeps_its_level_to_the_bit() -> None:
    voice = tone(frequency_hz=440, seconds=1, level=1.0)
    assert np.array_equal(mix(voice)[LOOKAHEAD_SAMPLES:], voice[:-LOOKAHEAD_SAMPLES])


def test_voices_that_fit_are_a_plain_sum() -> None:
    voices = [noise(seconds=1, seed=seed, level=0.3) for seed in range(3)]
    expected = voices[0] + voices[1] + voices[2]
    assert np.allclose(mix(*voices)[LOOKAHEAD_SAMPLES:], expected[:-LOOKAHEAD_SAMPLES])


@pytest.mark.parametrize("count", [2, 5, 13])
def test_many_loud_voices_do_not_clip_and_are_hardly_distorted(count: int) -> None:
    voices = [tone(frequency_hz=300 + 170 * number, seconds=2, level=0.9) for number in range(count)]
    mixed = mix(*voices)
    assert np.abs(mixed).max() <= 1.0 + 1e-6
    levels = [
        tone_level_db(mixed[48_000:], frequency_hz=300 + 170 * number, reference=0.9)
        for number in range(count)
    ]
    assert max(levels) - min(levels) < 1.0
    between = tone_level_db(mixed[48_000:], frequency_hz=300 + 170 * 0.5, reference=0.9)
    assert between < min(levels) - 20


def test_the_level_comes_back_after_a_loud_moment() -> None:
    voice = tone(frequency_hz=440, seconds=3, level=0.5)
    loud = np.zeros_like(voice)
    loud[48_000:50_000] = 3.0
    mixed = mix(voice, loud)
    assert tone_level_db(mixed[-24_000:], frequency_hz=440, reference=0.5) == pytest.approx(0, abs=0.1)


def test_silence_costs_nothing_and_loses_nothing() -> None:
    mixer = Mixer()
    assert mixer.mix([]) is None
    block = np.full(BLOCK, 0.5, np.float32)
    first = mixer.mix([block])
    rest = mixer.mix([])
    assert first is not None
    assert rest is not None
    assert float(first.sum() + rest.sum()) == pytest.approx(BLOCK * 0.5)
    assert mixer.mix([]) is None


@given(st.lists(st.floats(0, 8), min_size=2, max_size=12), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_whatever_comes_nothing_is_louder_than_full_scale(levels: list[float], seed: int) -> None:
    generator = np.random.default_rng(seed)
    mixer = Mixer()
    for level in levels:
        block = (generator.uniform(-1, 1, BLOCK) * level).astype(np.float32)
        mixed = mixer.mix([block])
        assert mixed is not None
        assert np.abs(mixed).max() <= 1.0 + 1e-5
