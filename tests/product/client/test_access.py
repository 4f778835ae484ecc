"""Every page can be used by keyboard and screen reader, as far as a program can tell: axe-core finds nothing at AA."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.product.client.scene import furnished
from tests.product.client.visitor import BUILT, chromium, skip_unless_built, visit
from tests.product.town import Town

pytestmark = [pytest.mark.needs_chromium, pytest.mark.needs_node]

AXE = BUILT.parent.parent.parent / "web" / "client" / "node_modules" / "axe-core" / "axe.min.js"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = """async (levels) => {
  const { violations } = await axe.run(document, { runOnly: { type: "tag", values: levels } });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) =>
    html.slice(0, 160) + " " + (any[0]?.message ?? "")).join(" | ")}`);
}"""
LOOKS: dict[str, dict[str, Any]] = {
    "phone, light": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "is_mobile": True},
    "desk, dark": {"color_scheme": "dark", "viewport": {"width": 1180, "height": 820}},
}


async def violations(page: Page) -> list[str]:
    """What axe finds on what is shown now."""
    await expect(page.locator(".skeletons")).to_have_count(0)
    await page.evaluate(AXE.read_text())
    found: list[str] = await page.evaluate(RUN, LEVELS)
    return found


@pytest.mark.long
async def test_axe_finds_nothing_on_any_page_in_either_scheme(town: Town, patience: None) -> None:
    skip_unless_built()
    found: list[str] = []
    async with furnished(town) as scene, chromium() as browser:
        for look, options in LOOKS.items():
            for name, path, person in scene.pages():
                visitor = await visit(browser, town.url, person=person, **options)
                await visitor.page.goto(town.url + path)
                found += [f"{name}, {look}: {rule}" for rule in await violations(visitor.page)]
                await visitor.context.close()
    assert found == [], "\n".join(found)
