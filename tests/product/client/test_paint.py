"""The timeline is there at once, also on a slow telephone."""

import pytest
from playwright.async_api import Browser, expect

from tests.product.client.scene import recorded, resident
from tests.product.client.visitor import chromium, skip_unless_built, visit
from tests.product.town import Person, Town

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]

SLOW_DOWN = 4
FIRST_PAINT_MS = 1_000
CARDS = 20
# A machine on which other things run is no slower telephone: the best of some loads tells what the page costs.
LOADS = 12
_PAINTED = 'performance.getEntriesByName("first-contentful-paint")[0]?.startTime'


async def first_paint_ms(browser: Browser, town: Town, person: Person) -> float:
    """Until the timeline shows something, with nothing in its cache; its cards come after that."""
    visitor = await visit(browser, town.url, person=person)
    wire = await visitor.context.new_cdp_session(visitor.page)
    await wire.send("Emulation.setCPUThrottlingRate", {"rate": SLOW_DOWN})
    await visitor.page.goto(town.url)
    await expect(visitor.page.get_by_role("article")).to_have_count(CARDS)
    painted_ms = float(await visitor.page.evaluate(_PAINTED))
    await visitor.context.close()
    return painted_ms


async def test_the_timeline_is_painted_within_a_second_on_a_processor_four_times_slower(town: Town) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    _, recording = await recorded(town, mira, "Bread and salt", seconds=2)
    for number in range(CARDS):
        await mira.do(
            "shareRecording", recordingId=recording, comment=f"Once more, for the {number + 1}th time"
        )
    painted_ms: list[float] = []
    async with chromium() as browser:
        for _ in range(LOADS):
            painted_ms.append(await first_paint_ms(browser, town, mira))
            if min(painted_ms) < FIRST_PAINT_MS:
                break
    assert min(painted_ms) < FIRST_PAINT_MS
