"""Publishers that others wrote: what each of them sends is in the recording, and understood."""

import asyncio
import wave
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from tests.media.sound import SAMPLE_RATE_HZ, Signal
from tests.media.speech import compare, speech
from tests.product.browser import browser_page
from tests.product.player import play
from tests.product.town import Place, Town

NODE = Path(__file__).parent / "node"
LEAST_KEPT = 0.95
# Speech from the same encoders over no network at all has 0.98; below 0.75 a listener begins to guess.
LEAST_STOI = 0.9
PATIENCE_S = 60.0

# The fake microphone plays its file from when it is opened: so it is opened when all is connected.
_SPEAK = """async ({ url, token, seconds }) => {
  const { sender } = await connect({ url, token, track: null });
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { autoGainControl: false, noiseSuppression: false, echoCancellation: false, channelCount: 1 },
  });
  await sender.replaceTrack(stream.getAudioTracks()[0]);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}"""


@dataclass(frozen=True)
class Speech:
    """What is to be said, and its file."""

    sound: Signal
    file: Path

    @property
    def seconds(self) -> float:
        return len(self.sound) / SAMPLE_RATE_HZ


def written(folder: Path, said: Signal) -> Speech:
    """As a file of 16-bit mono."""
    file = folder / "said.wav"
    with wave.open(str(file), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(SAMPLE_RATE_HZ)
        wav.writeframes(np.round(said * 32767).astype("<i2").tobytes())
    return Speech(said, file)


async def run(*command: str | Path) -> None:
    """A program that must succeed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            _, complaints = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaints.decode()


async def by_chromium(town: Town, place: Place, speech: Speech) -> None:
    microphone = f"--use-file-for-fake-audio-capture={speech.file}%noloop"
    async with browser_page(f"{town.url}/healthz", arguments=[microphone]) as page:
        arguments = {"url": place.whip_url, "token": place.token, "seconds": speech.seconds + 1}
        await page.evaluate(_SPEAK, arguments)


async def by_node(town: Town, place: Place, speech: Speech) -> None:
    raw = speech.file.with_suffix(".pcm")
    raw.write_bytes(np.round(speech.sound * 32767).astype("<i2").tobytes())
    await run("node", NODE / "publish.mjs", raw, place.whip_url, place.token)


async def by_ffmpeg(town: Town, place: Place, speech: Speech) -> None:
    """Begins to read when it is started, and catches up with itself once it is connected."""
    await run(
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-re", "-i", speech.file),
        # By itself FFmpeg makes two channels of one 3 dB softer.
        *("-af", "pan=stereo|c0=c0|c1=c0", "-c:a", "libopus", "-ar", "48000", "-b:a", "64k"),
        *("-f", "whip", "-authorization", place.token, place.whip_url),
    )


def node_modules() -> None:
    """What `npm ci` has to have installed beforehand, with SPACES_CI set a failure without."""
    if not (NODE / "node_modules").is_dir():
        pytest.skip("npm ci --prefix tests/product/node was not run")


@pytest.mark.needs_espeak
@pytest.mark.parametrize("sentences", [1, pytest.param(10, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "publish",
    [
        pytest.param(by_chromium, id="Chromium", marks=[pytest.mark.needs_chromium, pytest.mark.long]),
        pytest.param(by_node, id="Node", marks=pytest.mark.needs_node),
        pytest.param(by_ffmpeg, id="FFmpeg"),
    ],
)
async def test_what_a_foreign_publisher_sends_is_recorded_and_understood(
    town: Town, tmp_path: Path, publish: Callable[[Town, Place, Speech], Awaitable[None]], sentences: int
) -> None:
    if publish is by_node:
        node_modules()
    said = written(tmp_path, speech(sentences))
    host = await town.person()
    space = await host.live_space(record=True)
    await publish(town, await host.join(space), said)
    await host.do("endSpace", spaceId=space)
    recording = await host.recording(space, "status gaps { startMs endMs } playback { url }")
    assert recording["status"] == "AVAILABLE"
    heard = compare(said.sound, await play(town, recording["playback"]["url"]))
    print(publish.__name__, heard, recording["gaps"])
    assert heard.kept >= LEAST_KEPT
    assert heard.stoi >= LEAST_STOI
