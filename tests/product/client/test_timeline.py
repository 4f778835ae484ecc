"""A long timeline: it goes on by scrolling, changes where it stands, and nothing jumps."""

from datetime import timedelta

import pytest
from playwright.async_api import Page, expect

from tests.product.client.scene import recorded, resident
from tests.product.client.visitor import chromium, skip_unless_built, visit
from tests.product.town import Town
from tests.product.voices import iso

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]

PAGE = 20
SHARES = 24
# What web.dev calls good, where 1 is a screen that has moved as a whole.
MOST_SHIFT = 0.1
_WATCH = """window.shifted = 0;
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput } of list.getEntries()) window.shifted += hadRecentInput ? 0 : value;
}).observe({ type: "layout-shift", buffered: true });"""


async def top_of(page: Page, title: str) -> float:
    """Where a card is on the screen, in pixels from its upper edge."""
    box = await page.get_by_role("article", name=title).bounding_box()
    assert box is not None
    return box["y"]


async def test_a_long_timeline_goes_on_by_scrolling_and_new_cards_wait_without_a_jump(town: Town) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    noor = await resident(town, "noor", "Noor Haddad")
    await noor.do("follow", userId=mira.id)
    _, recording = await recorded(town, mira, "Bread and salt", seconds=2)
    soon = iso(town.clock.now() + timedelta(hours=1))
    coming = await mira.new_space(title="By candle light", scheduledStart=soon)
    for number in range(SHARES):
        await mira.do("shareRecording", recordingId=recording, comment=f"For the {number + 1}th time")
    async with chromium() as browser:
        visitor = await visit(browser, town.url, person=noor, viewport={"width": 390, "height": 844})
        page = visitor.page
        await page.add_init_script(_WATCH)
        await page.goto(town.url)
        cards = page.get_by_role("article")
        await expect(cards).to_have_count(PAGE)
        assert await page.evaluate("window.shifted") <= MOST_SHIFT

        # The end comes near, and the rest with it: the shares, the recording and what is to come.
        await page.get_by_role("article").last.scroll_into_view_if_needed()
        await expect(cards).to_have_count(SHARES + 2)
        await expect(page.get_by_role("button", name="Show more")).to_have_count(0)

        # What was scheduled begins: its card says so where it stands, far down.
        shown = page.get_by_role("article", name="By candle light")
        await shown.scroll_into_view_if_needed()
        before = await top_of(page, "By candle light")
        await mira.do("startSpace", spaceId=coming["id"])
        await expect(shown.get_by_role("link", name="Join")).to_be_visible()
        assert await top_of(page, "By candle light") == pytest.approx(before, abs=1)

        # What is new waits behind a button, and moves nothing.
        words = "Once more, and better"
        await mira.do("shareRecording", recordingId=recording, comment=words)
        new = page.get_by_role("button", name="1 new item")
        await expect(new).to_be_visible()
        await expect(cards).to_have_count(SHARES + 2)
        assert await top_of(page, "By candle light") == pytest.approx(before, abs=1)
        await new.click()
        await expect(cards.first.get_by_text(words)).to_be_visible()
        await expect(cards.first).to_be_in_viewport()
    assert visitor.complaints == []
