"""Every page can be used by keyboard and screen reader, as far as a program can tell: axe-core finds nothing at AA.

And text of twice the size fits a phone.
"""

import itertools
from typing import Literal

import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.product.client.axe import violations
from tests.product.client.scene import furnished
from tests.product.client.visitor import chromium, skip_unless_built, visit
from tests.product.town import Town

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]

SIZES: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "desk": {"width": 1180, "height": 820},
}
# What reaches beyond a phone's edge while letters are twice as large; a table may scroll in its frame.
_SIDEWAYS = """() => {
  const large = new CSSStyleSheet();
  large.replaceSync("html { font-size: 200% !important }");
  document.adoptedStyleSheets = [large];
  const beyond = (element) => element.getBoundingClientRect().right > innerWidth + 1;
  const framed = (element) => element.closest(".log, .unseen, svg") !== null || !element.checkVisibility();
  const found = [...document.querySelectorAll("body *")].filter((one) => beyond(one) && !framed(one));
  return found.slice(0, 3).map((one) => `${one.localName}.${one.className} ${one.textContent.slice(0, 40)}`);
}"""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


async def _sideways(page: Page) -> list[str]:
    await page.set_viewport_size(SIZES["phone"])
    return list(await page.evaluate(_SIDEWAYS))


async def test_axe_finds_nothing_on_any_page_at_either_width_in_either_scheme(town: Town) -> None:
    skip_unless_built()
    found: list[str] = []
    async with furnished(town) as scene, chromium() as browser:
        for name, path, person in scene.pages():
            page = (visitor := await visit(browser, town.url, person=person)).page
            await page.goto(town.url + path)
            await expect(page.locator(":is(main, .embed) :is(h1, h2)").first).to_be_attached()
            await expect(page.locator(".skeletons")).to_have_count(0)
            for (width, size), scheme in itertools.product(SIZES.items(), SCHEMES):
                await page.set_viewport_size(size)
                await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                found += [f"{name}, {width}, {scheme}: {rule}" for rule in await violations(page)]
            found += [f"{name}, text of twice the size: {what}" for what in await _sideways(page)]
            await visitor.context.close()
    assert found == [], "\n".join(found)
