"""One evening on the client: two people talk, a third listens, the recording is shared, heard and deleted."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.product.client.scene import resident
from tests.product.client.visitor import Visitor, hears, visit
from tests.product.process import ServedTown, served_town
from tests.product.town import Town

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]

PATIENCE_S = 60
TITLE = "Tea <b>& biscuits</b>"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[ServedTown]:
    """A server of its own: browsers and people who talk leave it little time otherwise."""
    async with served_town(tmp_path / "served") as opened:
        yield opened


async def sign_up(visitor: Visitor, handle: str, name: str) -> None:
    """By hand."""
    page = visitor.page
    await page.get_by_role("banner").get_by_role("link", name="Sign in").click()
    await page.get_by_role("link", name="Make an account").click()
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Handle").fill(f"@{handle}")
    await page.get_by_label("Password").fill("correct horse")
    await page.get_by_role("button", name="Sign up").click()
    await expect(page.get_by_label(f"Account of {name}")).to_be_visible()


def told(page: Page) -> Locator:
    """What a screen reader is told outside of dialogs."""
    return page.locator("#app > [role=status]")


async def position_s(page: Page) -> float:
    """Where the player is."""
    return float(await page.get_by_label("Position", exact=True).input_value()) / 1000


async def test_an_evening_from_the_first_word_to_the_deletion(town: Town, talking: Browser) -> None:
    tess, noor = await resident(town, "tess", "Tess Moreau"), await resident(town, "noor", "Noor Haddad")
    host = await visit(talking, town.url)
    await host.page.goto(town.url)
    await sign_up(host, "mira", "Mira Okafor")
    mira = (await town.anyone.read('{ user(handle: "mira") { id } }'))["user"]["id"]
    for person in (tess, noor):
        await person.do("follow", userId=mira)
    listener = await visit(talking, town.url, person=noor, name="Noor Haddad")
    await listener.page.goto(town.url)
    await expect(listener.page.get_by_text("Your timeline is empty")).to_be_visible()

    # The host switches on the recording and goes live.
    await host.page.get_by_role("link", name="New Space").click()
    await expect(host.page.get_by_role("main", name="New Space")).to_be_focused()
    await host.page.get_by_label("What do you want to talk about?").fill(TITLE)
    await host.page.get_by_role("switch", name="Record Space").check()
    await host.page.get_by_role("button", name="Start now").click()
    await expect(host.page.get_by_text("You are on the air")).to_be_visible()
    await expect(host.page.get_by_role("group", name="Recording").get_by_text("Recording")).to_be_visible()

    # It is announced to the listener, who sees the icon, and hears.
    await listener.page.get_by_role("button", name="1 new item").click()
    card = listener.page.get_by_role("article", name=TITLE)
    await expect(card.get_by_text("this Space is being recorded")).to_be_attached()
    await card.get_by_role("link", name="Join").click()
    await expect(listener.page.get_by_text("this Space is being recorded")).to_be_attached()
    await expect(listener.page).to_have_title(f"{TITLE} · Spaces")
    await listener.page.get_by_role("button", name="Listen live").click()
    await hears(listener.page, "sound")

    # A speaker raises a hand, is let in and hears the room, agrees to the recording, and is heard by the host.
    speaker = await visit(talking, town.url, person=tess, name="Tess Moreau")
    await speaker.page.goto(listener.page.url)
    await speaker.page.get_by_role("button", name="Raise your hand").click()
    await expect(told(speaker.page)).to_contain_text("Your hand is raised.")
    await host.page.get_by_role("button", name="Let Tess speak").click()
    await expect(host.page.get_by_role("region", name="Host desk")).to_be_focused()
    await expect(told(speaker.page)).to_contain_text("You may speak now.")
    await hears(speaker.page, "sound")
    await speaker.page.get_by_role("button", name="Speak", exact=True).click()
    await expect(speaker.page.get_by_role("dialog", name="This Space is recorded")).to_be_visible()
    await speaker.page.get_by_role("button", name="Agree and speak").click()
    await expect(speaker.page.get_by_text("You are on the air")).to_be_visible()
    await hears(host.page, "others")
    await speaker.page.get_by_role("button", name="Close your microphone").click()
    await hears(speaker.page, "sound")

    # Who is removed cannot come back: so the host is asked.
    await host.page.get_by_role("button", name="Remove Noor Haddad").click()
    await (
        host.page.get_by_role("dialog", name="Remove Noor Haddad?")
        .get_by_role("button", name="Keep them")
        .click()
    )
    await expect(host.page.get_by_role("button", name="Remove Noor Haddad")).to_be_focused()

    # The host ends it and shares it at once.
    await host.page.get_by_role("button", name="End Space").click()
    await host.page.get_by_role("button", name="End it now").click()
    await expect(told(listener.page)).to_contain_text("The Space has ended.")
    await host.page.reload()
    await expect(
        host.page.get_by_role("region", name="People").get_by_role("link", name="Tess")
    ).to_be_visible()
    await host.page.get_by_role("button", name="Share it").click()
    await expect(host.page.get_by_label("Link for everyone")).to_have_value(re.compile("/cards/"))
    await host.page.get_by_label("Comment").fill("Listen to the end!")
    await host.page.get_by_role("dialog").get_by_role("button", name="Share").click()
    await expect(host.page.get_by_text("Shared on your timeline.")).to_be_visible()

    # The listener plays it from the timeline, seeks, reloads and goes on.
    page = listener.page
    await page.get_by_role("link", name="Timeline").click()
    shared = page.get_by_role("article").filter(has_text="Listen to the end!")
    await shared.get_by_role("button", name="Play Recording").click()
    await hears(page, "sound")
    await page.get_by_label("Position", exact=True).fill("2000")
    await page.get_by_role("region", name="Player").get_by_role("button", name="Pause").click()
    left_at = await position_s(page)
    await page.reload()
    player = page.get_by_role("region", name="Player")
    await expect(player.get_by_role("link", name=TITLE)).to_be_visible()
    assert left_at >= 2
    async with asyncio.timeout(PATIENCE_S):
        while await position_s(page) != pytest.approx(left_at, abs=0.5):
            await asyncio.sleep(0.05)
    await player.get_by_role("button", name="Play", exact=True).click()
    await hears(page, "sound")

    # The host deletes it: the player stops, and says why.
    await host.page.get_by_label("Account of Mira Okafor").click()
    await host.page.get_by_role("link", name="Your recordings").click()
    await host.page.get_by_role("button", name="Delete").click()
    await host.page.get_by_role("button", name="Delete for good").click()
    await expect(host.page.get_by_text("A copy for moderators alone is kept until")).to_be_visible()
    await expect(player.get_by_role("alert")).to_have_text("The host deleted this recording.")
    await expect(shared.get_by_text("The host deleted this recording.")).to_be_visible()
    assert await page.evaluate("document.getElementById('sound').paused")
    for visitor in (host, listener, speaker):
        assert visitor.complaints == []
