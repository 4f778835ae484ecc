"""What one does with what one hears and who one is: clips, tickets, a profile, the lock screen, the trim."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import expect

from tests.product.client.axe import violations
from tests.product.client.scene import recorded, resident
from tests.product.client.visitor import PATIENCE_MS, chromium, skip_unless_built, visit
from tests.product.town import Town
from tests.product.voices import iso

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]

# Resolves once a second of it has gone by.
_PLAYS = """async (audio, patienceMs) => {
  await audio.play();
  const until = performance.now() + patienceMs;
  while (audio.currentTime < 1 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
  return audio.currentTime >= 1 ? "played" : `stands at ${audio.currentTime}`;
}"""


async def test_a_listener_cuts_a_clip_gets_a_ticket_and_has_a_profile(town: Town) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    noor = await resident(town, "noor", "Noor Haddad")
    await noor.do("follow", userId=mira.id)
    await recorded(town, mira, "Bread and salt", seconds=8)
    await mira.new_space(
        title="By candle light",
        scheduledStart=iso(town.clock.now() + timedelta(days=1)),
        ticketing={"priceMinor": 0, "currency": "USD", "capacity": 2},
    )
    async with chromium() as browser:
        visitor = await visit(browser, town.url, person=noor, name="Noor Haddad")
        page = visitor.page
        await page.goto(town.url)
        shown = page.get_by_role("article", name="By candle light")
        await expect(shown.get_by_text("2 left")).to_be_visible()
        await shown.get_by_role("button", name="Get a ticket, free").click()
        await expect(shown.get_by_text("You have a ticket")).to_be_visible()

        await (
            page.get_by_role("article", name="Bread and salt")
            .get_by_role("button", name="Play Recording")
            .click()
        )
        player = page.get_by_role("region", name="Player")
        # On a tablet too there is room to seek.
        await page.set_viewport_size({"width": 768, "height": 1024})
        seek = await player.get_by_label("Position", exact=True).bounding_box()
        assert seek is not None
        assert seek["width"] > 300
        await player.get_by_role("button", name="Cut a clip").click()
        await page.get_by_label("Start of the clip").fill("2000")
        await page.get_by_label("Length").fill("3000")
        await expect(page.get_by_role("dialog").get_by_text("0:02 to 0:05")).to_be_visible()
        assert await violations(page) == []
        await page.get_by_label("Title").fill("Why salt")
        await page.get_by_role("dialog").get_by_role("button", name="Cut the clip").click()
        clip = page.locator('article[data-kind="CLIP_SHARED"]')
        await expect(clip.get_by_role("heading", name="Why salt")).to_be_visible()
        await player.get_by_label("Position", exact=True).fill("3000")
        await player.get_by_role("button", name="Share from here").click()
        await page.get_by_label("Comment").fill("From the salt on.")
        await page.get_by_role("dialog").get_by_role("button", name="Share").click()
        moment = page.get_by_role("article").filter(has_text="From the salt on.")
        await expect(moment.get_by_text("starts at 0:03")).to_be_visible()
        on_lock_screen = "navigator.mediaSession.metadata.title"
        assert await page.evaluate(on_lock_screen) == "Bread and salt"

        await page.goto(f"{town.url}/people/noor")
        await page.get_by_role("button", name="Edit your profile").click()
        assert await violations(page) == []
        await page.get_by_label("Name").fill("Noor H.")
        await page.get_by_label("About you").fill("Hears everything.")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", name="Noor H.", exact=True)).to_be_visible()
        await expect(page.get_by_text("Hears everything.")).to_be_visible()
        await expect(page.get_by_label("Account of Noor H.")).to_be_visible()
    assert visitor.complaints == []


async def test_a_host_trims_and_deletes_and_is_told_what_is_kept(town: Town) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    space, _ = await recorded(town, mira, "Bread and salt", seconds=8)
    async with chromium() as browser:
        visitor = await visit(browser, town.url, person=mira, name="Mira Okafor")
        outsider = await visit(browser, town.url)
        await outsider.page.goto(f"{town.url}/people/mira")
        await expect(outsider.page.get_by_role("button", name="Play Recording")).to_be_visible()
        page = visitor.page
        await page.goto(f"{town.url}/recordings")
        await page.get_by_role("button", name="Trim").click()
        await page.get_by_label("Start of the recording").fill("2500")
        await page.get_by_role("button", name="Save the start").click()
        await expect(page.get_by_text("Others hear it from there now.")).to_be_visible()
        assert await mira.recording(space, "startOffsetMs") == {"startOffsetMs": 2500}
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download").click()
        assert (await (await download.value).path()).read_bytes()[4:8] == b"ftyp"
        await page.get_by_role("button", name="Delete").click()
        await expect(
            page.get_by_role("dialog").get_by_text("A review copy stays for moderators alone")
        ).to_be_visible()
        await page.get_by_role("button", name="Delete for good").click()
        await expect(page.get_by_text("A copy for moderators alone is kept until")).to_be_visible()
        # So is who has had the profile open all the while.
        gone = outsider.page.get_by_role("article").get_by_text("The host deleted this recording.")
        await expect(gone).to_be_visible()
    assert visitor.complaints == []


async def test_a_player_that_cannot_be_loaded_says_so_and_a_space_is_called_off_only_when_sure(
    town: Town,
) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    await recorded(town, mira, "Bread and salt", seconds=4)
    coming = await mira.new_space(
        title="By candle light", scheduledStart=iso(town.clock.now() + timedelta(days=1))
    )
    async with chromium() as browser:
        visitor = await visit(browser, town.url, person=mira, name="Mira Okafor")
        page = visitor.page
        await page.goto(town.url)
        await page.route("**/assets/hls*", lambda route: route.abort())
        play = page.get_by_role("article", name="Bread and salt").get_by_role("button", name="Play Recording")
        await play.click()
        await expect(page.get_by_text("The player could not be loaded.")).to_be_visible()

        await page.goto(f"{town.url}/spaces/{coming['id']}")
        await page.get_by_role("button", name="Call off").click()
        asked = page.get_by_role("dialog", name="Call this Space off?")
        assert await violations(page) == []
        await asked.get_by_role("button", name="Keep it").click()
        await expect(asked).to_have_count(0)
        assert (await mira.space(coming["id"], "state"))["state"] == "SCHEDULED"
        await page.get_by_role("button", name="Call off").click()
        await asked.get_by_role("button", name="Call it off").click()
        await expect(page.get_by_role("button", name="Call off")).to_have_count(0)
        assert (await mira.space(coming["id"], "state"))["state"] == "CANCELED"
    assert visitor.complaints == []


@contextlib.asynccontextmanager
async def website(html: str) -> AsyncIterator[str]:
    """Somebody else's, of one page."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(html)}\r\nConnection: close\r\n\r\n"

    ends: set[asyncio.StreamWriter] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write((head + html).encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        # Browsers open connections that they may need, and ask nothing by them.
        for end in ends:
            end.close()


async def test_an_embed_in_somebody_elses_page_plays_without_signing_in(town: Town) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    _, recording = await recorded(town, mira, "Bread and salt", seconds=6)
    shared = await mira.do("shareRecording", "item { url }", recordingId=recording)
    embed = shared["item"]["url"].replace("/cards/", "/embed/")
    framing = f'<link rel="icon" href="data:,"><iframe src="{embed}" title="A recording"></iframe>'
    async with website(framing) as blog, chromium() as browser:
        visitor = await visit(browser, town.url)
        await visitor.page.goto(blog)
        inside = visitor.page.frame_locator("iframe")
        await expect(inside.get_by_role("link", name="Bread and salt")).to_be_visible()
        assert await inside.locator("audio").evaluate(_PLAYS, PATIENCE_MS) == "played"
    assert visitor.complaints == [blog]
