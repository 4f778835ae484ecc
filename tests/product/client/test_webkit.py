"""The timeline is played in WebKit too, the engine of Apple's browsers: play, seek, reload, go on, and the deletion."""

import shutil
from pathlib import Path

import pytest

from tests.product.client.scene import recorded, resident
from tests.product.client.visitor import skip_unless_built
from tests.product.client.webkit import webkit
from tests.product.town import Town

pytestmark = [pytest.mark.client, pytest.mark.needs_webkit, pytest.mark.needs_node]

SECONDS = 20
_SOUND = "document.getElementById('sound')"
# A context may run only from a click on; then `loudest` is how loud it was.
_MEASURE = """addEventListener("click", () => {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaElementSource(document.getElementById("sound")).connect(analyser);
  analyser.connect(context.destination);
  void context.resume();
  window.meter = context;
  const samples = new Float32Array(analyser.fftSize);
  window.loudest = 0;
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    window.loudest = Math.max(window.loudest, Math.hypot(...samples) / Math.sqrt(samples.length));
  }, 30);
}, { once: true, capture: true })"""


async def test_webkit_plays_the_timeline_seeks_goes_on_after_a_reload_and_stops(
    town: Town, tmp_path: Path
) -> None:
    skip_unless_built()
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    mira = await resident(town, "mira", "Mira Okafor")
    _, recording = await recorded(town, mira, "Bread and salt", seconds=SECONDS)
    async with webkit(tmp_path) as page:
        await page.go(town.url)
        await page.until("document.querySelector('article') !== null")
        await page.evaluate(_MEASURE)
        await page.click('button[aria-label="Play Recording"]')
        await page.until("document.querySelector('.player')?.dataset.phase === 'playing'")
        await page.until("window.loudest > 0.01")

        await page.evaluate(
            "((range) => { range.value = 9000;"
            " range.dispatchEvent(new Event('input', { bubbles: true })); })(document.querySelector('.seek input'))"
        )
        await page.until(f"{_SOUND}.currentTime > 9 && !{_SOUND}.seeking")
        await page.click('.player button[aria-label="Pause"]')
        await page.until(f"{_SOUND}.paused")
        left_at = float(await page.evaluate("document.querySelector('.seek input').value"))
        assert 9_000 <= left_at < 1000 * SECONDS

        await page.reload()
        await page.until("document.querySelector('.player')?.dataset.phase === 'paused'")
        assert (
            abs(float(await page.evaluate("document.querySelector('.seek input').value")) - left_at) <= 1000
        )
        await page.click('.player button[aria-label="Play"]')
        await page.until(f"{_SOUND}.currentTime > {left_at / 1000}")

        await mira.do("deleteRecording", recordingId=recording)
        await page.until(
            "document.querySelector('.player [role=alert]')?.innerText.includes('The host deleted this recording.')"
        )
        assert await page.evaluate(f"{_SOUND}.paused")
