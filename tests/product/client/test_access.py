"""Every page can be used by keyboard and screen reader, as far as a program can tell: axe-core finds nothing at AA."""

import itertools
from typing import Literal

import pytest
from playwright.async_api import ViewportSize, expect

from tests.product.client.axe import violations
from tests.product.client.scene import furnished
from tests.product.client.visitor import chromium, skip_unless_built, visit
from tests.product.town import Town

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]

SIZES: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "desk": {"width": 1180, "height": 820},
}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


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
            await visitor.context.close()
    assert found == [], "\n".join(found)
