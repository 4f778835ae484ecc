"""A person at a browser, on the client's pages."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    async_playwright,
    expect,
)

from tests.product.browser import ARGUMENTS
from tests.product.town import Person

BUILT = Path(__file__).parent.parent.parent.parent / "api" / "static" / "client"
PATIENCE_MS = 90_000
expect.set_options(timeout=PATIENCE_MS)
# Resolves once the element's sound, as the page plays it, is as loud as speech; else with what the element says.
_HEARD = """async ([id, patienceMs]) => {
  const element = document.getElementById(id);
  const context = new AudioContext();
  await context.resume();
  const analyser = new AnalyserNode(context, { fftSize: 2048 });
  const samples = new Float32Array(analyser.fftSize);
  let node = null;
  let takenAt = 0;
  const until = performance.now() + patienceMs;
  while (performance.now() < until) {
    // A player that begins anew leaves the track silent that was taken from it before: so it is taken anew.
    if (!element.paused && performance.now() - takenAt > 1_500) {
      const [track] = element.captureStream().getAudioTracks();
      if (track !== undefined) {
        node?.disconnect();
        node = context.createMediaStreamSource(new MediaStream([track]));
        node.connect(analyser);
        takenAt = performance.now();
      }
    }
    analyser.getFloatTimeDomainData(samples);
    if (Math.hypot(...samples) / Math.sqrt(samples.length) > 0.01) return context.close().then(() => "heard");
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  const { paused, muted, volume, readyState, currentTime, duration, webkitAudioDecodedByteCount: decoded } = element;
  const told = { paused, muted, volume, readyState, currentTime, duration, decoded, context: context.state, takenAt };
  return JSON.stringify(told);
}"""


def skip_unless_built() -> None:
    """The client is built where Node.js is."""
    if not (BUILT / "index.html").exists():
        pytest.skip("the browser client was not built, for want of Node.js")


@contextlib.asynccontextmanager
async def chromium(*arguments: str, without: Sequence[str] = ()) -> AsyncIterator[Browser]:
    """A Chromium whose microphone is made up, and which plays without being asked; `without` some of our arguments."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[*(one for one in ARGUMENTS if one not in without), *arguments],
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Visitor:
    """One browser window. `complaints`: errors, broken policies and requests to other places."""

    page: Page
    context: BrowserContext
    complaints: list[str]


async def visit(
    browser: Browser, url: str, *, person: Person | None = None, name: str = "", **options: Any
) -> Visitor:
    """A window of its own, for `person` signed in as if by hand."""
    # Dances and glows cost a machine without a graphics card more than the sound.
    settings = {"locale": "en-GB", "timezone_id": "Europe/Lisbon", "reduced_motion": "reduce"}
    # What a service worker answers Playwright does not see: only tests that are about it have one.
    context = await browser.new_context(**{**settings, "service_workers": "block", **options})
    if person is not None:
        await context.add_init_script(_signed_in(person, name or person.handle.title()))
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if _is_error(line) else None)
    page.on(
        "request", lambda request: complaints.append(request.url) if _is_elsewhere(request.url, url) else None
    )
    page.on(
        "response",
        lambda answer: complaints.append(f"{answer.status} {answer.url}") if _is_bad(answer) else None,
    )
    return Visitor(page, context, complaints)


def _is_error(line: ConsoleMessage) -> bool:
    """What failed to load is told by its answer, which has an address."""
    return line.type == "error" and "Failed to load resource" not in line.text


def _is_bad(answer: Response) -> bool:
    """Players are told 410 or 503 when a Space ends under them, and who hangs up then 404; they take it well."""
    is_ended = answer.status in {410, 503} and "/media/" in answer.url
    is_hung_up = answer.status == 404 and "/media/wh" in answer.url
    return answer.status >= 400 and not is_ended and not is_hung_up


def _is_elsewhere(requested: str, home: str) -> bool:
    return not requested.startswith((home, home.replace("http", "ws"), "blob:", "data:"))


def _signed_in(person: Person, name: str) -> str:
    store = 'sessionStorage.getItem("spaces.session") ?? sessionStorage.setItem("spaces.session", '
    me = f'{{ id: "{person.id}", handle: "{person.handle}", name: "{name}", avatarUrl: null }}'
    kept = f'{{ token: "{person.token}", expiresAt: "2100-01-01T00:00:00.000Z", me: {me} }}'
    return f"{store}JSON.stringify({kept}));"


async def hears(page: Page, element: str) -> None:
    """Wait until what the page plays by this element is as loud as speech: `sound` is the player, `others` a stage."""
    heard = await page.evaluate(_HEARD, [element, PATIENCE_MS])
    assert heard == "heard", f"expected speech from #{element} within {PATIENCE_MS // 1000} s, got {heard}"


def names(pages: Sequence[str]) -> list[str]:
    """Deterministic ids for parametrised pages."""
    return [page.strip("/").replace("/", "-") or "timeline" for page in pages]
