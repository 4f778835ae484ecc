"""A network that is cut for 20 s: host, speaker, live listener, player and timeline come back by themselves.

All that browsers exchange with the server is cut: TCP stands still without being closed, UDP is lost.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.media.sound import decode
from tests.product.client.cuttable import Road, open_road
from tests.product.client.scene import DEMO, resident
from tests.product.client.visitor import Visitor, hears, visit
from tests.product.process import ServedTown, served_town
from tests.product.town import Person
from tests.product.voices import iso

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]

CUT_S = 20
PATIENCE_S = 90
# The opening of the file, and the first fragments: the player then waits for what comes next.
REQUESTS_BEFORE_THE_CUT = 3


@contextlib.asynccontextmanager
async def town_beyond(folder: Path) -> AsyncIterator[tuple[ServedTown, Road]]:
    """A server that browsers reach by a way that can be cut; people of the API go to it directly."""
    async with (
        open_road() as road,
        served_town(folder, SPACES_PUBLIC_URL=road.url) as town,
    ):
        road.target_port = town.server.port
        yield town, road


async def comes(browser: Browser, road: Road, person: Person, name: str, path: str) -> Visitor:
    """Somebody at a page, all of whose connections can be cut."""
    visitor = await visit(browser, road.url, person=person, name=name)
    await road.lead(visitor.context)
    await visitor.page.goto(road.url + path)
    return visitor


async def spoken(host: Person, title: str, *, at_least_ms: int) -> None:
    """An ended Space of theirs with a recording, made in as much time as it lasts."""
    space = (await host.new_space(title=title, record=True))["id"]
    await host.do("startSpace", spaceId=space)
    publisher = await (await host.join(space)).publish(decode(DEMO / "host.opus"), repeat=True)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (await host.recording(space, "durationMs"))["durationMs"] < at_least_ms:
                await asyncio.sleep(0.1)
    finally:
        await publisher.close()
    await host.do("endSpace", spaceId=space)


async def on_the_air(page: Page) -> None:
    """Their microphone is connected."""
    await expect(page.locator('.on-stage[data-connected="true"]')).to_be_visible()


async def test_all_comes_back_by_itself_after_20_s_without_a_network(
    tmp_path: Path, talking: Browser
) -> None:
    async with town_beyond(tmp_path / "served") as (town, road):
        mira = await resident(town, "mira", "Mira Okafor")
        tess = await resident(town, "tess", "Tess Moreau")
        noor = await resident(town, "noor", "Noor Haddad")
        await noor.do("follow", userId=mira.id)
        await spoken(mira, "Heard in a train", at_least_ms=8_000)
        live = await mira.live_space(record=True)
        await tess.speak_in(live, mira)
        host = (await comes(talking, road, mira, "Mira Okafor", f"/spaces/{live}")).page
        await host.get_by_role("button", name="Open your microphone").click()
        await on_the_air(host)
        speaker = (await comes(talking, road, tess, "Tess Moreau", f"/spaces/{live}")).page
        await speaker.get_by_role("button", name="Speak", exact=True).click()
        await on_the_air(speaker)
        listener = (await comes(talking, road, noor, "Noor Haddad", f"/spaces/{live}")).page
        await listener.get_by_role("button", name="Listen live").click()
        await hears(listener, "sound")
        await hears(host, "others")
        await hears(speaker, "others")
        await expect(host.get_by_role("group", name="Recording").get_by_text("Recording")).to_be_visible()

        # The way is cut while a player of a recording waits for its next piece.
        player = (await comes(talking, road, noor, "Noor Haddad", "/")).page
        asked = 0
        is_cut = asyncio.Event()

        def count(chunk: bytes) -> None:
            nonlocal asked
            asked += b"programme.mp4" in chunk
            if asked == REQUESTS_BEFORE_THE_CUT and not is_cut.is_set():
                road.cut()
                is_cut.set()

        road.on_request = count
        await player.get_by_role("button", name="Play Recording").click()
        async with asyncio.timeout(PATIENCE_S):
            await is_cut.wait()
        await expect(player.locator('.player[data-phase="loading"]')).to_be_visible()
        # What happens meanwhile must not be missed.
        await mira.new_space(
            title="Announced in the tunnel", scheduledStart=iso(datetime.now(UTC) + timedelta(days=1))
        )
        for page in (host, listener, player):
            await expect(page.get_by_text("Connecting again")).to_be_visible()
        await expect(host.locator('.on-stage[data-connected="false"]')).to_be_visible()
        await asyncio.sleep(CUT_S)
        assert road.dropped > 0
        road.mend()

        await on_the_air(host)
        await on_the_air(speaker)
        await hears(player, "sound")
        await player.get_by_role("button", name="1 new item").click()
        await expect(player.get_by_role("article", name="Announced in the tunnel")).to_be_visible()
        await hears(host, "others")
        await hears(speaker, "others")
        await hears(listener, "sound")
        await expect(host.get_by_role("group", name="Recording").get_by_text("Lost so far")).to_be_visible()
        for page in (host, speaker, listener, player):
            await expect(page.get_by_text("Connecting again")).to_have_count(0)
