"""A browser whose microphone hears speech."""

import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Browser

from tests.media.sound import SAMPLE_RATE_HZ, decode
from tests.product.client.scene import DEMO
from tests.product.client.visitor import chromium, skip_unless_built


def _speech(folder: Path) -> Path:
    """What the browsers' microphones hear."""
    file = folder / "speech.wav"
    samples = np.round(np.clip(decode(DEMO / "host.opus")[: 4 * SAMPLE_RATE_HZ], -1, 1) * 32767)
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(samples.astype("<i2").tobytes())
    return file


@pytest.fixture
async def talking(tmp_path: Path) -> AsyncIterator[Browser]:
    """A Chromium in which everybody who opens a microphone talks."""
    skip_unless_built()
    async with chromium(f"--use-file-for-fake-audio-capture={_speech(tmp_path)}") as opened:
        yield opened
