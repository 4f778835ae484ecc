"""`make pictures`: every page of the client, on a phone and on a desk, in both schemes, into docs/screenshots."""

import asyncio
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.product.client.scene import Scene, furnished
from tests.product.client.visitor import chromium, visit
from tests.product.town import Town, open_town

FOLDER = Path(__file__).parent.parent.parent.parent / "docs" / "screenshots"
SIZES = {"phone": (390, 844), "desktop": (1180, 820)}
SCHEMES = ("light", "dark")
_QUALITY = 82


# Who looks at the signed-out timeline sees nothing else than who is signed in.
LEFT_OUT = {"signed-out", "people", "sign-in", "missing", "malformed", "nowhere", "card", "embed"}


async def take(browser: Browser, town: Town, scene: Scene, only: set[str], folder: Path) -> None:
    """All of them."""
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            for name, path, person in scene.pages():
                if name in LEFT_OUT or (only and name not in only):
                    continue
                await scene.gather()
                visitor = await visit(
                    browser, town.url, person=person, color_scheme=scheme,
                    viewport={"width": width, "height": height}, device_scale_factor=1.5 if size == "phone" else 1,
                    is_mobile=size == "phone", has_touch=size == "phone",
                )  # fmt: skip
                page = visitor.page
                await page.goto(town.url + path)
                await settle(page, name)
                picture = Image.open(io.BytesIO(await page.screenshot()))
                picture.save(folder / f"{name}-{size}-{scheme}.webp", quality=_QUALITY, method=6)
                for complaint in visitor.complaints:
                    print(f"{name} {size} {scheme}: {complaint}")
                await visitor.context.close()


async def settle(page: Page, name: str) -> None:
    """As somebody would see it who has just come, and on the timeline has pressed play."""
    await expect(page.locator(".skeletons")).to_have_count(0)
    await page.wait_for_load_state("networkidle")
    if name == "timeline":
        await page.get_by_role("button", name="Play Recording").first.click()
        await expect(page.locator('.player[data-phase="playing"]')).to_be_visible(timeout=20_000)
        await page.get_by_label("Position", exact=True).fill("14000")
        await expect(page.get_by_role("article").get_by_role("button", name="Pause").first).to_be_visible()
    if name == "recordings":
        await page.get_by_role("button", name="Trim").first.click()
        await page.get_by_label("Start of the recording").fill("6000")
    if name == "log":
        await page.get_by_role("button", name="Verify the chain").click()
        await expect(page.get_by_text("The chain of")).to_be_visible()
    await page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
    await page.mouse.move(0, 0)
    await page.wait_for_timeout(200)


async def main(only: set[str]) -> None:
    """Open a server, furnish it and look."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with open_town(Path(folder)) as town, furnished(town) as scene, chromium() as browser:
            await take(browser, town, scene, only, FOLDER)


if __name__ == "__main__":
    asyncio.run(main(set(sys.argv[1:])))
