"""`make pictures`: every page of the client, on a phone and on a desk, in both schemes, into docs/screenshots."""

import asyncio
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser

from tests.product.client.scene import Scene, furnished
from tests.product.client.visitor import chromium, visit
from tests.product.town import Person, Town, open_town

FOLDER = Path(__file__).parent.parent.parent.parent / "docs" / "screenshots"
SIZES = {"phone": (390, 844), "desktop": (1180, 820)}
SCHEMES = ("light", "dark")
_QUALITY = 82


def pages_of(scene: Scene) -> list[tuple[str, str, Person | None]]:
    """Name, path and who looks at it."""
    return [
        ("timeline", "/", scene.noor),
        ("sign-up", "/sign-up", None),
        ("person", "/people/mira", scene.noor),
    ]


async def take(browser: Browser, town: Town, scene: Scene, only: set[str], folder: Path) -> None:
    """All of them."""
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            for name, path, person in pages_of(scene):
                if only and name not in only:
                    continue
                visitor = await visit(
                    browser, town.url, person=person, color_scheme=scheme,
                    viewport={"width": width, "height": height}, device_scale_factor=2 if size == "phone" else 1,
                )  # fmt: skip
                page = visitor.page
                await page.goto(town.url + path)
                await page.wait_for_timeout(600)
                if name == "timeline":
                    await page.get_by_role("button", name="Play Recording").last.click()
                    await page.wait_for_timeout(2500)
                    await page.evaluate("scrollTo(0, 0)")
                    await page.wait_for_timeout(300)
                picture = Image.open(io.BytesIO(await page.screenshot()))
                picture.save(folder / f"{name}-{size}-{scheme}.webp", quality=_QUALITY, method=6)
                for complaint in visitor.complaints:
                    print(f"{name} {size} {scheme}: {complaint}")
                await visitor.context.close()


async def main(only: set[str]) -> None:
    """Open a server, furnish it and look."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with open_town(Path(folder)) as town, furnished(town) as scene, chromium() as browser:
            await take(browser, town, scene, only, FOLDER)


if __name__ == "__main__":
    asyncio.run(main(set(sys.argv[1:])))
