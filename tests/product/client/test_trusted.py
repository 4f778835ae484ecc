"""The client asks for nothing but what its build wrote down, so a server can refuse everything else."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.product.client.visitor import BUILT, chromium, skip_unless_built, visit
from tests.product.town import open_town

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]


async def test_a_server_that_trusts_the_clients_documents_alone_serves_the_client(tmp_path: Path) -> None:
    skip_unless_built()
    manifest = str(BUILT / "documents.json")
    opening = open_town(tmp_path / "data", trusted_documents=manifest, trusted_documents_required=True)
    async with opening as town, chromium() as browser:
        visitor = await visit(browser, town.url)
        page = visitor.page
        frames: list[str] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(str(data))))
        await page.goto(f"{town.url}/sign-up")
        await page.get_by_label("Name").fill("Mira Okafor")
        await page.get_by_label("Handle").fill("mira")
        await page.get_by_label("Password").fill("correct horse")
        await page.get_by_role("button", name="Sign up").click()
        await expect(page.get_by_text("Your timeline is empty")).to_be_visible()
        refused = await page.evaluate(
            "fetch('/graphql', { method: 'POST', headers: { 'Content-Type': 'application/json' },"
            " body: JSON.stringify({ query: '{ rollout { stage } }' }) }).then((answer) => answer.text())"
        )

    assert "PERSISTED_QUERY_ONLY" in refused
    assert not any('"error"' in frame for frame in frames)
    assert visitor.complaints == []
