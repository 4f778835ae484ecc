"""axe-core, which finds what a program can tell of a page's access."""

from playwright.async_api import Page

from tests.product.client.visitor import BUILT

_AXE = BUILT.parent.parent.parent / "web" / "client" / "node_modules" / "axe-core" / "axe.min.js"
_LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_RUN = """async (levels) => {
  const { violations } = await axe.run(document, { runOnly: { type: "tag", values: levels } });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) =>
    html.slice(0, 160) + " " + (any[0]?.message ?? "")).join(" | ")}`);
}"""


async def violations(page: Page) -> list[str]:
    """What axe finds at WCAG 2.2 AA on what is shown now."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(_AXE.read_text())
    found: list[str] = await page.evaluate(_RUN, _LEVELS)
    return found
