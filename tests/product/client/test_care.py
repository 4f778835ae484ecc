"""What a page does on its own is no surprise: a trim, an end, a name, a place that one goes on from."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from tests.product.client.scene import recorded, resident
from tests.product.client.visitor import chromium, hears, skip_unless_built, visit
from tests.product.town import Town

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]

_FOCUSED = "document.activeElement.textContent.trim() || document.activeElement.getAttribute('aria-label')"
_PLAYED = "(from) => document.getElementById('sound').currentTime > from"


async def focused(page: Page) -> str:
    """What has the focus, in words."""
    # Two frames: what the page does about it comes after what it draws.
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return str(await page.evaluate(_FOCUSED))


async def test_a_trim_takes_listeners_along_and_lengths_are_of_what_is_played(town: Town) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    noor = await resident(town, "noor", "Noor Haddad")
    await noor.do("follow", userId=mira.id)
    space, recording = await recorded(town, mira, "Bread and salt", seconds=24)
    made = await noor.do(
        "createClip", "item { id }", recordingId=recording, startMs=16_000, endMs=20_000, title="Why salt"
    )
    assert made["item"]
    async with chromium() as browser:
        visitor = await visit(browser, town.url, person=noor, name="Noor Haddad")
        page = visitor.page
        await page.goto(town.url)
        card = page.locator('article[data-kind="SPACE_ENDED"]')
        clip = page.locator('article[data-kind="CLIP_SHARED"]')
        await card.get_by_role("button", name="Play Recording").click()
        await hears(page, "sound")
        # It is the recording that plays, not what was cut from it.
        await expect(card.get_by_role("button", name="Pause")).to_be_visible()
        await expect(clip.get_by_role("button", name="Play Recording")).to_be_visible()

        await mira.do("trimRecording", recordingId=recording, startOffsetMs=14_000)
        player = page.get_by_role("region", name="Player")
        await player.get_by_label("Position", exact=True).fill("2000")
        # What it was at is not played any more: it goes on where others begin.
        await expect(player.get_by_text("0:10", exact=True)).to_be_visible()
        await hears(page, "sound")
        await page.wait_for_function(_PLAYED, arg=1)
        await expect(card.get_by_text("0:10", exact=True)).to_be_visible()
        text = (await (await page.request.get(f"{town.url}/timeline?handle=mira")).text()).replace("\n", " ")
        assert "0:24" not in text

        await page.goto(f"{town.url}/spaces/{space}")
        await expect(page.get_by_role("region", name="People").get_by_text("Mira Okafor")).to_be_visible()
        await expect(page).to_have_title("Bread and salt · Spaces")
        await page.get_by_role("link", name="Mira Okafor").first.click()
        await expect(page).to_have_title("Mira Okafor · Spaces")
    assert [one for one in visitor.complaints if not one.startswith("416 ")] == []


async def test_who_goes_by_keyboard_keeps_their_place(town: Town) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    noor = await resident(town, "noor", "Noor Haddad")
    space = await mira.live_space(record=True)
    await noor.do("joinSpace", spaceId=space)
    async with chromium() as browser:
        host = await visit(browser, town.url, person=mira, name="Mira Okafor")
        page = host.page
        await page.goto(f"{town.url}/spaces/{space}")
        await page.get_by_role("button", name="Open your microphone").click()
        await expect(page.get_by_text("You are on the air")).to_be_visible()

        # A dialog gives the focus back to what opened it.
        for leave in ("Escape", "Enter"):
            await page.get_by_role("button", name="End Space").focus()
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("dialog")).to_be_visible()
            if leave == "Enter":
                await page.get_by_role("button", name="Go on").focus()
            await page.keyboard.press(leave)
            await expect(page.get_by_role("dialog")).to_have_count(0)
            assert await focused(page) == "End Space"

        # A button that has done its work goes, and the focus stays near; what happened is told.
        await noor.do("raiseHand", spaceId=space, raised=True)
        await expect(page.get_by_role("status").get_by_text("Noor Haddad raised a hand.")).to_have_count(1)
        await page.get_by_role("button", name="Let Noor speak").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Let Noor speak")).to_have_count(0)
        await focused(page)
        assert await page.evaluate("document.activeElement.closest('[aria-label=\"Host desk\"]') !== null")
        await page.get_by_label("Manage Noor Haddad").focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Mute", exact=True).last.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Mute", exact=True).last).to_be_hidden()
        assert await page.evaluate("document.activeElement !== document.body")
    assert host.complaints == []


async def test_who_waits_for_sound_is_told_so_and_a_speed_is_kept(town: Town) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    noor = await resident(town, "noor", "Noor Haddad")
    await noor.do("follow", userId=mira.id)
    await recorded(town, mira, "Bread and salt", seconds=12)
    has_come = asyncio.Event()

    async def late(route: Route) -> None:
        await has_come.wait()
        await route.continue_()

    async with chromium() as browser:
        visitor = await visit(browser, town.url, person=noor, name="Noor Haddad")
        page = visitor.page
        await page.goto(town.url)
        await page.route("**/programme.mp4*", late)
        await page.locator("article").get_by_role("button", name="Play Recording").click()
        player = page.get_by_role("region", name="Player")
        await expect(player.get_by_text("Loading …")).to_be_visible()
        has_come.set()
        await hears(page, "sound")
        await expect(player.get_by_text("Loading …")).to_be_hidden()
        await player.get_by_label("Speed").select_option("1.5")
        await player.get_by_role("button", name="Pause").click()

        await page.reload()
        await expect(player.get_by_label("Speed")).to_have_value("1.5")
        await player.get_by_role("button", name="Play", exact=True).click()
        await hears(page, "sound")
        assert await page.evaluate("document.getElementById('sound').playbackRate") == 1.5
        assert visitor.complaints == []
