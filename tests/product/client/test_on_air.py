"""A host knows at any moment whether anybody can hear them."""

import pytest
from playwright.async_api import expect

from tests.product.client.scene import resident
from tests.product.client.visitor import Visitor, chromium, hears, skip_unless_built, visit
from tests.product.town import Person, Town

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]

_SPACES = '{ user(handle: "mira") { spaces(first: 5) { edges { node { state } } } } }'
_OFF = "Your microphone is closed: nobody hears you from this page."
_PHONE = {"width": 390, "height": 800}


async def test_a_host_knows_when_nobody_hears_them(town: Town) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    await resident(town, "noor", "Noor Haddad")
    async with chromium(without=["--use-fake-ui-for-media-stream"]) as browser:
        await _host(await visit(browser, town.url), town, mira)


async def _host(host: Visitor, town: Town, mira: Person) -> None:
    page = host.page
    await page.goto(f"{town.url}/sign-in?to=/new")
    await page.get_by_label("Handle").fill("mira")
    await page.get_by_label("Password").fill("correct horse")
    await page.get_by_label("Stay signed in on this device").check()
    await page.get_by_role("button", name="Sign in").click()

    # Without a microphone nothing begins.
    await page.get_by_label("What do you want to talk about?").fill("ش" * 120)
    await page.get_by_role("button", name="Start now").click()
    await expect(page.get_by_role("alert")).to_contain_text("does not let this page use the microphone")
    assert (await mira.read(_SPACES))["user"]["spaces"]["edges"] == []

    await host.context.grant_permissions(["microphone"])
    await page.get_by_role("button", name="Start now").click()
    await expect(page.get_by_text("You are on the air")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    # The page is loaded again: the microphone is closed, and that is said.
    await page.reload()
    await expect(page.get_by_text(_OFF)).to_be_visible()
    await page.get_by_role("button", name="Open your microphone").click()
    await expect(page.get_by_text("You are on the air")).to_be_visible()
    await expect(page.get_by_text(_OFF)).to_have_count(0)

    # What happens in a dialog is said in it.
    await page.get_by_role("button", name="Invite").click()
    dialog = page.get_by_role("dialog", name="Invite")
    await dialog.get_by_role("searchbox", name="Who").fill("noor")
    await dialog.get_by_role("button", name="Invite").click()
    await expect(dialog.get_by_role("status")).to_contain_text("Noor Haddad is invited.")
    await dialog.get_by_role("button", name="Close").click()

    # Who signs out on the air is asked; a menu goes by the keyboard too.
    menu, out = page.get_by_label("Account of Mira Okafor"), page.get_by_role("button", name="Sign out")
    await menu.click()
    await page.keyboard.press("Escape")
    await expect(menu).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(out).to_be_visible()
    await page.keyboard.press("Shift+Tab")
    await expect(out).to_be_hidden()
    await menu.focus()
    await page.keyboard.press("Enter")
    await out.click()
    await page.get_by_role("button", name="Stay").click()
    await expect(menu).to_be_focused()
    await expect(page.get_by_text("You are on the air")).to_be_visible()

    # Another tab asks too, and signs out.
    other = await host.context.new_page()
    await other.goto(town.url)
    await other.get_by_label("Account of Mira Okafor").click()
    await other.get_by_role("button", name="Sign out").click()
    asked = other.get_by_role("dialog", name="Sign out?")
    await expect(asked).to_contain_text("Your microphone is open in another tab")
    await asked.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You are signed out, and your microphone is closed.")).to_be_visible()
    # What the page asked for at that moment may have been refused, and the server may have hung up first.
    hung_up = f"404 {town.url}/media/wh"
    assert [one for one in host.complaints if not one.startswith(("401 ", hung_up))] == []


async def test_nobody_is_surprised_by_an_end_a_removal_or_a_recording_that_is_gone(town: Town) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    noor = await resident(town, "noor", "Noor Haddad")
    space_id = await mira.live_space(record=True)
    async with chromium() as browser:
        host = await visit(browser, town.url, person=mira, name="Mira Okafor")
        listener = await visit(browser, town.url, person=noor, name="Noor Haddad")
        page = host.page
        await page.goto(f"{town.url}/spaces/{space_id}")
        await page.get_by_role("button", name="Open your microphone").click()
        await expect(page.get_by_text("You are on the air")).to_be_visible()
        await listener.page.goto(f"{town.url}/spaces/{space_id}")
        await listener.page.get_by_role("button", name="Listen live").click()
        await hears(listener.page, "sound")

        # Without its host the Space has a minute, and everybody sees it.
        await page.get_by_role("button", name="Close your microphone").click()
        await expect(page.get_by_text("unless you open your microphone")).to_be_visible()
        await expect(listener.page.get_by_text("This Space ends by itself in")).to_be_visible()
        await page.get_by_role("button", name="Open your microphone").click()
        await expect(page.get_by_text("This Space ends by itself")).to_have_count(0)
        await expect(listener.page.get_by_text("This Space ends by itself")).to_have_count(0)

        # The recording can go while the Space goes on.
        recorder = page.get_by_role("group", name="Recording")
        await recorder.get_by_role("button", name="Delete").click()
        await page.get_by_role("button", name="Delete for good").click()
        await expect(recorder.get_by_text("Deleted", exact=True)).to_be_visible()
        assert (await mira.space(space_id, "state isRecording")) == {"state": "LIVE", "isRecording": False}
        await hears(listener.page, "sound")
        # Nothing stalls the page while its player follows a Space that is not recorded.
        before = await listener.page.evaluate("document.getElementById('sound').currentTime")
        played = "(from) => document.getElementById('sound').currentTime > from + 5"
        await listener.page.wait_for_function(played, arg=before, timeout=30_000)

        await page.get_by_role("button", name="Remove Noor Haddad").click()
        await page.get_by_role("button", name="Remove", exact=True).click()
        for _ in range(2):
            await expect(listener.page.get_by_text("You were removed from this Space")).to_be_visible()
            await expect(listener.page.get_by_role("button", name="Listen live")).to_have_count(0)
            await listener.page.reload()
    # A part of what is gone, or a session that ended, may just have been asked for.
    complaints = [*host.complaints, *listener.complaints]
    assert [one for one in complaints if not one.startswith(f"404 {town.url}/media/")] == []


async def test_the_microphone_goes_to_the_device_that_asks_and_the_other_one_is_told(town: Town) -> None:
    skip_unless_built()
    mira = await resident(town, "mira", "Mira Okafor")
    space_id = await mira.live_space(record=True)
    async with chromium() as browser:
        desk = await visit(browser, town.url, person=mira, name="Mira Okafor")
        phone = await visit(browser, town.url, person=mira, name="Mira Okafor", viewport=_PHONE)
        for device in (desk, phone):
            await device.page.goto(f"{town.url}/spaces/{space_id}")
            await device.page.get_by_role("button", name="Open your microphone").click()
            await expect(device.page.get_by_text("You are on the air")).to_be_visible()
        moved = desk.page.get_by_text("You speak from another device now, and the microphone here is closed.")
        await expect(moved).to_be_visible()
        await expect(desk.page.get_by_text(_OFF)).to_be_visible()
        await expect(phone.page.get_by_text("You are on the air")).to_be_visible()

        # And back again.
        await desk.page.get_by_role("button", name="Open your microphone").click()
        await expect(desk.page.get_by_text("You are on the air")).to_be_visible()
        await expect(phone.page.get_by_text(_OFF)).to_be_visible()
    conflict = f"409 {town.url}/media/wh"
    assert [one for one in (*desk.complaints, *phone.complaints) if not one.startswith(conflict)] == []
