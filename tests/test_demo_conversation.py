"""The demo conversation: three files that fit together, and small enough to be handed on."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from api.demo import make_voices

SAMPLE_RATE_HZ = 48_000
CONVERSATION = make_voices.read_conversation()
VOICES = sorted(CONVERSATION.voices)


def path_of(voice: str) -> Path:
    return make_voices.HERE / f"{voice}.opus"


@pytest.fixture(scope="module")
def tracks() -> dict[str, NDArray[np.float32]]:
    """Each voice's samples, mono at 48 kHz."""
    found = {}
    for voice in VOICES:
        with av.open(str(path_of(voice))) as container:
            frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
        found[voice] = np.concatenate(frames).astype(np.float32)
    return found


@pytest.mark.parametrize("voice", VOICES)
def test_a_voice_is_a_small_ogg_opus_file(voice: str) -> None:
    with av.open(str(path_of(voice))) as container:
        stream = container.streams.audio[0]
        assert (container.format.name, stream.codec_context.name) == ("ogg", "opus")
        assert (stream.layout.name, stream.rate) == ("mono", SAMPLE_RATE_HZ)
    assert path_of(voice).stat().st_size < 150_000


@pytest.mark.parametrize("voice", VOICES)
def test_a_voice_lasts_as_long_as_the_conversation(
    voice: str, tracks: dict[str, NDArray[np.float32]]
) -> None:
    duration_ms = len(tracks[voice]) / SAMPLE_RATE_HZ * 1000

    assert duration_ms == pytest.approx(CONVERSATION.length_ms, abs=20)


@pytest.mark.parametrize("line", CONVERSATION.lines, ids=lambda line: f"{line.at_ms}-{line.voice}")
def test_a_line_is_spoken_at_its_time_by_its_voice_alone(
    line: make_voices.Line, tracks: dict[str, NDArray[np.float32]]
) -> None:
    start = line.at_ms * SAMPLE_RATE_HZ // 1000
    first_half_second = slice(start, start + SAMPLE_RATE_HZ // 2)
    loudness = {voice: float(np.sqrt(np.mean(tracks[voice][first_half_second] ** 2))) for voice in VOICES}

    assert loudness.pop(line.voice) > 0.02
    assert max(loudness.values()) < 0.001


def test_all_voices_together_do_not_clip(tracks: dict[str, NDArray[np.float32]]) -> None:
    shortest = min(len(track) for track in tracks.values())
    programme = np.sum([track[:shortest] for track in tracks.values()], axis=0)

    assert 0.3 < float(np.max(np.abs(programme))) < 0.9
