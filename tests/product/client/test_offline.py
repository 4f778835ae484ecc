"""Who opens a page while offline is told so, and gets the page once the server can be reached again."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.product.client.axe import violations
from tests.product.client.scene import resident
from tests.product.client.visitor import chromium, skip_unless_built, visit
from tests.product.process import served_town
from tests.product.town import Town

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]


async def test_a_page_opened_offline_says_so_and_comes_back_by_itself(tmp_path: Path) -> None:
    skip_unless_built()
    async with served_town(tmp_path / "served") as town, chromium() as browser:
        await resident(town, "mira", "Mira Okafor")
        visitor = await visit(browser, town.url, service_workers="allow")
        page = visitor.page
        await page.goto(town.url)
        await page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
        await page.goto("about:blank")

        await town.server.stop()
        await page.goto(f"{town.url}/people/mira")
        await expect(page.get_by_role("heading", name="Spaces cannot be reached")).to_be_visible()
        assert await violations(page) == []

        await town.server.start()
        await expect(page.get_by_role("heading", name="Mira Okafor", exact=True)).to_be_visible()
    assert visitor.complaints == []


async def test_a_page_that_is_open_loads_what_was_missed_once_the_network_is_back(town: Town) -> None:
    skip_unless_built()
    await resident(town, "mira", "Mira Okafor")
    async with chromium() as browser:
        visitor = await visit(browser, town.url)
        page = visitor.page
        await page.goto(f"{town.url}/people")
        await page.get_by_label("Name or handle").fill("mira")
        found = page.get_by_role("link", name="Mira Okafor")
        await expect(found).to_be_visible()

        await visitor.context.set_offline(True)
        await found.click()
        await expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached.")
        await expect(page.locator('[aria-live="assertive"]')).to_contain_text("The connection is lost.")
        await visitor.context.set_offline(False)
        await expect(page.locator("#app > [role=status]")).to_contain_text("The connection is back.")
        await expect(page.get_by_role("heading", name="Mira Okafor", exact=True)).to_be_visible()
    assert visitor.complaints == []
