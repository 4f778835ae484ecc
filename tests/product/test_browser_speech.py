"""What somebody says into a browser is what the recording plays."""

import contextlib
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Page, async_playwright
from scipy.signal import correlate, correlation_lags

from tests.media.sound import SAMPLE_RATE_HZ, Signal, decode
from tests.product.player import between, play
from tests.product.process import served_town

CHROMIUM = "/usr/bin/chromium"
DEMO_VOICE = Path("api/demo/host.opus")
# The demo host's first sentence.
SPEECH_S = (0.2, 4.0)
# The fake microphone plays its file from when it is opened: until the silence is over, all is connected.
LEAD_IN_S = 2.5
TAIL_S = 0.6
LEAST_CORRELATION = 0.9
MARGIN_S = 0.3

PUBLISH = """async ({ url, token }) => {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { autoGainControl: false, noiseSuppression: false, echoCancellation: false, channelCount: 1 },
  });
  const opened = performance.now();
  const peer = new RTCPeerConnection();
  window.peer = peer;
  const connected = new Promise((resolve) => {
    peer.onconnectionstatechange = () => peer.connectionState === "connected" && resolve();
  });
  peer.addTransceiver(stream.getAudioTracks()[0], { direction: "sendonly", streams: [stream] });
  await peer.setLocalDescription();
  await new Promise((resolve) => {
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
    if (peer.iceGatheringState === "complete") resolve();
  });
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
    body: peer.localDescription.sdp,
  });
  if (answer.status !== 201) throw new Error(`expected 201, got ${answer.status}: ${await answer.text()}`);
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  await connected;
  return performance.now() - opened;
}"""
WAIT = """(seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))"""


def speech() -> Signal:
    """A sentence, as the demo speaks it."""
    said = between(decode(DEMO_VOICE), *SPEECH_S)
    loudest = float(np.abs(said).max())
    loud: Signal = (0.5 * said / loudest).astype(np.float32)
    return loud


def write_microphone(path: Path, said: Signal) -> float:
    """The file that the fake microphone plays; its length in seconds."""
    silence = np.zeros(round(LEAD_IN_S * SAMPLE_RATE_HZ), np.float32)
    whole = np.concatenate([silence, said, np.zeros(round(TAIL_S * SAMPLE_RATE_HZ), np.float32)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(np.round(whole * 32767).astype("<i2").tobytes())
    return len(whole) / SAMPLE_RATE_HZ


@contextlib.asynccontextmanager
async def browser_page(url: str, microphone: Path) -> AsyncIterator[Page]:
    """A page of a headless Chromium that hears a file."""
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--allow-loopback-in-peer-connection",
        "--autoplay-policy=no-user-gesture-required",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            page = await browser.new_page()
            await page.goto(url)
            yield page
        finally:
            await browser.close()


def correlation(said: Signal, heard: Signal) -> tuple[float, float]:
    """How alike two signals are when they are laid on each other at their best, and where that is, in s."""
    scores = correlate(heard, said, mode="full", method="fft")
    lag = int(correlation_lags(len(heard), len(said), mode="full")[int(np.argmax(np.abs(scores)))])
    piece = heard[max(0, lag) : lag + len(said)]
    likeness = float(np.max(np.abs(scores))) / float(np.linalg.norm(said) * np.linalg.norm(piece))
    return likeness, lag / SAMPLE_RATE_HZ


@pytest.mark.needs_chromium
async def test_speech_from_a_browser_is_in_the_recording_as_it_was_spoken(tmp_path: Path) -> None:
    said = speech()
    length_s = write_microphone(tmp_path / "microphone.wav", said)
    async with served_town(tmp_path) as town:
        host = await town.person("host")
        space_id = await host.live_space(record=True)
        joined = await host.do("joinSpace", "whipUrl mediaToken", spaceId=space_id)
        async with browser_page(f"{town.url}/healthz", tmp_path / "microphone.wav") as page:
            arguments = {"url": joined["whipUrl"], "token": joined["mediaToken"]}
            waited_s = await page.evaluate(PUBLISH, arguments) / 1000
            assert waited_s < LEAD_IN_S - MARGIN_S, "expected to be connected in the silence"
            await page.evaluate(WAIT, length_s - waited_s)
            await host.do("endSpace", spaceId=space_id)
        recording = await host.recording(space_id, "playback { url } gaps { startMs }")
        assert recording["gaps"] == []
        heard = await play(town, recording["playback"]["url"])
    likeness, at_s = correlation(said, heard)
    print(
        f"correlation {likeness:.4f} at {at_s:.2f} s of {len(heard) / SAMPLE_RATE_HZ:.2f} s,"
        f" connected {waited_s:.2f} s after the microphone"
    )
    assert likeness >= LEAST_CORRELATION
