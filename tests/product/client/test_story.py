"""One evening on the client: two people talk, a third listens, the recording is shared, heard and deleted."""

import asyncio
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Browser, Page, expect

from tests.media.sound import SAMPLE_RATE_HZ, decode
from tests.product.client.scene import DEMO, resident
from tests.product.client.visitor import Visitor, chromium, skip_unless_built, visit
from tests.product.process import ServedTown, served_town
from tests.product.town import Person, Town

pytestmark = [pytest.mark.needs_chromium, pytest.mark.needs_node]

PATIENCE_S = 20
TITLE = "Tea <b>& biscuits</b>"
# Resolves once the element's sound, as the page plays it, is as loud as speech; else with what the element says.
HEARD = """async (id) => {
  const element = document.getElementById(id);
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 2048 });
  const samples = new Float32Array(analyser.fftSize);
  let track = null;
  const until = performance.now() + 60_000;
  while (performance.now() < until) {
    // A player that begins anew ends the track that was taken from it.
    if (track?.readyState !== "live" && !element.paused) {
      [track = null] = element.captureStream().getAudioTracks();
      if (track !== null) context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    }
    analyser.getFloatTimeDomainData(samples);
    if (Math.hypot(...samples) / Math.sqrt(samples.length) > 0.01) return context.close().then(() => "heard");
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  const { paused, readyState, currentTime, duration } = element;
  return JSON.stringify({ paused, readyState, currentTime, duration, track: track?.readyState });
}"""


def speech(folder: Path) -> Path:
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
async def town(tmp_path: Path) -> AsyncIterator[ServedTown]:
    """A server of its own: browsers and people who talk leave it little time otherwise."""
    async with served_town(tmp_path / "served") as opened:
        yield opened


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    skip_unless_built()
    async with chromium(f"--use-file-for-fake-audio-capture={speech(tmp_path)}") as opened:
        yield opened


async def sign_up(visitor: Visitor, handle: str, name: str) -> None:
    """By hand."""
    page = visitor.page
    await page.get_by_role("banner").get_by_role("link", name="Sign in").click()
    await page.get_by_role("link", name="Make an account").click()
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Handle").fill(handle)
    await page.get_by_label("Password").fill("correct horse")
    await page.get_by_role("button", name="Sign up").click()
    await expect(page.get_by_label(f"Account of {name}")).to_be_visible()


async def position_s(page: Page) -> float:
    """Where the player is."""
    return float(await page.get_by_label("Position", exact=True).input_value()) / 1000


@pytest.mark.long
async def test_an_evening_from_the_first_word_to_the_deletion(town: Town, browser: Browser) -> None:
    tess, noor = await resident(town, "tess", "Tess Moreau"), await resident(town, "noor", "Noor Haddad")
    host = await visit(browser, town.url)
    await host.page.goto(town.url)
    await sign_up(host, "mira", "Mira Okafor")
    mira = (await town.anyone.read('{ user(handle: "mira") { id } }'))["user"]["id"]
    for person in (tess, noor):
        await person.do("follow", userId=mira)
    listener = await visit(browser, town.url, person=noor, name="Noor Haddad")
    await listener.page.goto(town.url)
    await expect(listener.page.get_by_text("Your timeline is empty")).to_be_visible()

    # The host switches on the recording and goes live.
    await host.page.get_by_role("link", name="New Space").click()
    await host.page.get_by_label("What do you want to talk about?").fill(TITLE)
    await host.page.get_by_role("switch", name="Record Space").check()
    await host.page.get_by_role("button", name="Start now").click()
    await expect(host.page.get_by_text("You are on the air")).to_be_visible()
    await expect(host.page.get_by_role("group", name="Recording").get_by_text("Recording")).to_be_visible()

    # It is announced to the listener, who sees the icon, and hears.
    await listener.page.get_by_role("button", name="1 new item").click()
    card = listener.page.get_by_role("article", name=TITLE)
    await expect(card.get_by_text("this Space is being recorded")).to_be_attached()
    await card.get_by_role("link", name="Join").click()
    await expect(listener.page.get_by_text("this Space is being recorded")).to_be_attached()
    await listener.page.get_by_role("button", name="Listen live").click()
    assert await listener.page.evaluate(HEARD, "sound") == "heard"

    # A speaker raises a hand, is let in, agrees to the recording, and is heard by the host.
    speaker = await visit(browser, town.url, person=tess, name="Tess Moreau")
    await speaker.page.goto(listener.page.url)
    await speaker.page.get_by_role("button", name="Raise your hand").click()
    await host.page.get_by_role("button", name="Let Tess speak").click()
    await speaker.page.get_by_role("button", name="Speak", exact=True).click()
    await expect(speaker.page.get_by_role("dialog", name="This Space is recorded")).to_be_visible()
    await speaker.page.get_by_role("button", name="Agree and speak").click()
    await expect(speaker.page.get_by_text("You are on the air")).to_be_visible()
    assert await host.page.evaluate(HEARD, "others") == "heard"

    # The host ends it and shares it at once.
    await host.page.get_by_role("button", name="End Space").click()
    await host.page.get_by_role("button", name="End it now").click()
    await host.page.get_by_role("button", name="Share it").click()
    await host.page.get_by_label("Comment").fill("Listen to the end!")
    await host.page.get_by_role("dialog").get_by_role("button", name="Share").click()
    await expect(host.page.get_by_text("Shared on your timeline.")).to_be_visible()

    # The listener plays it from the timeline, seeks, reloads and goes on.
    page = listener.page
    await page.get_by_role("link", name="Timeline").click()
    shared = page.get_by_role("article").filter(has_text="Listen to the end!")
    await shared.get_by_role("button", name="Play Recording").click()
    assert await page.evaluate(HEARD, "sound") == "heard"
    await page.get_by_label("Position", exact=True).fill("2000")
    await page.get_by_role("region", name="Player").get_by_role("button", name="Pause").click()
    left_at = await position_s(page)
    await page.reload()
    player = page.get_by_role("region", name="Player")
    await expect(player.get_by_role("link", name=TITLE)).to_be_visible()
    assert left_at >= 2
    async with asyncio.timeout(PATIENCE_S):
        while await position_s(page) != pytest.approx(left_at, abs=0.5):
            await asyncio.sleep(0.05)
    await player.get_by_role("button", name="Play", exact=True).click()
    assert await page.evaluate(HEARD, "sound") == "heard"

    # The host deletes it: the player stops, and says why.
    space = host.page.url.rpartition("/")[2]
    token = await host.page.evaluate("JSON.parse(sessionStorage.getItem('spaces.session')).token")
    owner = Person(town, token=token)
    await owner.do("deleteRecording", recordingId=(await owner.recording(space, "id"))["id"])
    await expect(player.get_by_role("alert")).to_have_text("The host deleted this recording.")
    await expect(shared.get_by_text("The host deleted this recording.")).to_be_visible()
    assert await page.evaluate("document.getElementById('sound').paused")
    for visitor in (host, listener, speaker):
        assert visitor.complaints == []
