"""Sound that is played a little faster: what is cut out of it, and that nobody hears it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.opus import Pcm
from media.voice import shortened
from tests.media.publisher import tone

MOST = 480
LEAST = 96


def jumps(sound: Pcm) -> float:
    """The largest step from one sample to the next."""
    return float(np.abs(np.diff(sound)).max())


@pytest.mark.parametrize("frequency_hz", [110, 125, 220, 440, 1000])
@pytest.mark.parametrize("ptime_ms", [20, 60])
def test_whole_periods_are_cut_so_that_a_tone_goes_on_as_if_nothing_were_missing(
    frequency_hz: float, ptime_ms: int
) -> None:
    sound = tone(frequency_hz=frequency_hz, seconds=ptime_ms / 1000)
    shorter = shortened(sound, most=MOST)
    assert LEAST <= len(sound) - len(shorter) <= MOST
    assert jumps(shorter) <= 1.1 * jumps(sound)
    level = np.sqrt(np.mean(shorter**2)) / np.sqrt(np.mean(sound**2))
    assert level == pytest.approx(1, abs=0.05)


def test_of_silence_as_much_is_cut_as_may_be() -> None:
    assert len(shortened(np.zeros(960, np.float32), most=MOST)) == 960 - MOST


@given(st.integers(0, 2**32 - 1), st.integers(0, 3000), st.integers(LEAST, MOST))
@settings(max_examples=100, deadline=None)
def test_never_more_is_cut_than_may_be_and_nothing_from_what_is_too_short(
    seed: int, samples: int, most: int
) -> None:
    sound = np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)
    cut = samples - len(shortened(sound, most=most))
    assert cut == 0 or LEAST <= cut <= most
    assert cut or samples < 4 * MOST
