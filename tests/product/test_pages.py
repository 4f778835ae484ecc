"""The server's own pages in a real browser: the timeline, and a card that plays."""

import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.media.publisher import tone
from tests.product.town import Person, Town

pytestmark = pytest.mark.needs_chromium

BROWSER_OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
SECONDS = 3
TITLE = "Tea & <b>biscuits</b>"
# Resolves once the player is `seconds` in; never by itself when nothing plays.
UNTIL_PLAYED = """seconds => new Promise(resolve => {
    const audio = document.querySelector('audio');
    audio.addEventListener('timeupdate', () => audio.currentTime >= seconds && resolve(audio.currentTime));
})"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A browser's page; what it complains of fails the test at the end."""
    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[*BROWSER_OPTIONS, "--autoplay-policy=user-gesture-required"],
        )
        page = await browser.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        yield page
        await browser.close()
    assert complaints == []


async def recorded(host: Person) -> dict[str, Any]:
    """An ended Space with a short recording, and its length."""
    space = await host.new_space(title=TITLE, record=True)
    await host.do("startSpace", spaceId=space["id"])
    voice = await host.publish(space["id"], tone(frequency_hz=440, seconds=SECONDS))
    await voice.play_to_end()
    await host.do("endSpace", spaceId=space["id"])
    await voice.close()
    recording: dict[str, Any] = await host.recording(space["id"], "id durationMs")
    return recording


async def test_pressing_play_on_a_card_plays_the_recording(town: Town, page: Page) -> None:
    host = await town.person("mira")
    recording = await recorded(host)

    await page.goto(f"{town.url}/timeline")
    await page.get_by_role("link", name=TITLE).click()
    player = page.get_by_label(f"Play Recording: {TITLE}")
    await player.focus()
    playing = page.evaluate_handle(UNTIL_PLAYED, 1.5)
    await page.keyboard.press("Space")
    await playing

    # On a machine that is late the voice takes longer than it should.
    length_s = recording["durationMs"] / 1000
    assert length_s > SECONDS - 0.3
    assert await player.evaluate("audio => audio.duration") == pytest.approx(length_s, abs=0.1)
    assert await player.evaluate("audio => audio.error") is None


@pytest.mark.long
async def test_a_shared_card_shows_the_comment_and_starts_where_the_sharer_wants(
    town: Town, page: Page
) -> None:
    host, sharer = await town.person("mira"), await town.person("jonas")
    recording_id = (await recorded(host))["id"]
    shared = await sharer.do(
        "shareRecording", "item { url }", recordingId=recording_id, comment="Hear the end!", startMs=1500
    )

    await page.goto(shared["item"]["url"])

    await expect(page.get_by_text("Hear the end!")).to_be_visible()
    await expect(page.locator(".meta").first).to_contain_text("Jonas shared")
    player = page.get_by_label("Play Recording")
    await player.focus()
    playing = page.evaluate(UNTIL_PLAYED, 0)
    await page.keyboard.press("Space")
    assert await playing >= 1.5


@pytest.mark.long
async def test_the_card_of_a_deleted_recording_says_so_and_has_no_player(town: Town, page: Page) -> None:
    host = await town.person("mira")
    await host.do("deleteRecording", recordingId=(await recorded(host))["id"])

    await page.goto(f"{town.url}/timeline")

    await expect(page.get_by_text("The host deleted this recording.")).to_be_visible()
    await expect(page.locator("audio")).to_have_count(0)
