"""Headless Chromiums that publish by WHIP and listen by WHEP, with the browser's own WebRTC and WebAudio."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from playwright.async_api import Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)

# What a page knows: `connect` speaks WHIP with a track, or null for one to come, and WHEP with none at all.
# It resolves once sound can flow.
_CONNECT = """async ({ url, token, track }) => {
  const peer = new RTCPeerConnection();
  const connected = new Promise((resolve) => {
    peer.onconnectionstatechange = () => peer.connectionState === "connected" && resolve();
  });
  const direction = track === undefined ? "recvonly" : "sendonly";
  const transceiver = peer.addTransceiver(track ?? "audio", { direction });
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
  (window.peers ??= []).push(peer);
  return transceiver;
}"""


@contextlib.asynccontextmanager
async def browser_page(url: str, *, arguments: Sequence[str] = ()) -> AsyncIterator[Page]:
    """A page of a Chromium of its own, at an address whose origin may use the microphone."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])
        try:
            page = await browser.new_page()
            await page.goto(url)
            await page.evaluate(f"() => {{ window.connect = {_CONNECT}; }}")
            yield page
        finally:
            await browser.close()
