"""What concerns somebody is shown by their device: asked for on a page, pushed by the server, shown by the worker."""

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.product.client.scene import resident
from tests.product.client.visitor import PATIENCE_MS, chromium, skip_unless_built, visit
from tests.product.post import post, push_service
from tests.product.town import Person, open_town

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]

# The browser's maker has a push service on the internet; ours is on this machine, and is all that is made up.
_SUBSCRIBE = "PushManager.prototype.subscribe = async () => ({ toJSON: () => (%s) })"
_SHOWN = """async () => {
  const registration = await navigator.serviceWorker.ready;
  return (await registration.getNotifications()).map(({ body, data }) => [body, data.url]);
}"""


async def registration_of(page: Page) -> tuple[Any, str]:
    """A way to hand the page's service worker a message, and the worker's number."""
    wire = await page.context.new_cdp_session(page)
    found: asyncio.Queue[str] = asyncio.Queue()

    def look(event: dict[str, Any]) -> None:
        for registration in event["registrations"]:
            found.put_nowait(registration["registrationId"])

    wire.on("ServiceWorker.workerRegistrationUpdated", look)
    await wire.send("ServiceWorker.enable")
    async with asyncio.timeout(PATIENCE_MS / 1000):
        return wire, await found.get()


async def test_an_invitation_and_a_reminder_reach_the_device_of_who_wants_them(tmp_path: Path) -> None:
    skip_unless_built()
    async with (
        push_service() as pushes,
        open_town(tmp_path / "data", push_private_addresses=True) as town,
        chromium() as chrome,
    ):
        mira = await resident(town, "mira", "Mira Okafor")
        noor = await resident(town, "noor", "Noor Haddad")
        device = pushes.browser()
        visitor = await visit(chrome, town.url, person=noor, name="Noor Haddad", service_workers="allow")
        await visitor.context.grant_permissions(["notifications"], origin=town.url)
        page = visitor.page
        await page.add_init_script(_SUBSCRIBE % json.dumps(device.subscription))
        await page.goto(f"{town.url}/notices")
        await page.get_by_role("switch", name="Tell this device").click()
        await expect(page.get_by_role("switch", name="Tell this device")).to_be_checked()
        wire, worker = await registration_of(page)

        async def shown() -> tuple[str, str]:
            """What the device shows of what the server sends next."""
            await post(town)
            sent = device.read((await pushes.next()).body)
            message = {"origin": town.url, "registrationId": worker, "data": json.dumps(sent)}
            wanted = [sent["message"], sent["url"]]
            async with asyncio.timeout(PATIENCE_MS / 1000):
                for moment in itertools.count():
                    # DevTools loses what comes while a worker ends; the same message twice is shown once, by its tag.
                    if moment % 40 == 0:
                        await wire.send("ServiceWorker.deliverPushMessage", message)
                    if wanted in await page.evaluate(_SHOWN):
                        break
                    await asyncio.sleep(0.05)
            return sent["kind"], sent["url"]

        space_id = await invited(mira, noor)
        kind, url = await shown()
        assert kind == "INVITED"
        await page.goto(url)
        await page.get_by_role("link", name="Open in Spaces").click()
        await expect(page.get_by_role("heading", name="Tea time")).to_be_visible()
        await noor.do("setReminder", spaceId=space_id, enabled=True)
        await mira.do("startSpace", spaceId=space_id)
        assert (await shown())[0] == "SPACE_STARTED"
    assert visitor.complaints == []


async def invited(host: Person, guest: Person) -> str:
    """Into a Space that is not live yet."""
    space_id = str((await host.new_space(title="Tea time"))["id"])
    await host.do("invite", spaceId=space_id, userId=guest.id, role="SPEAKER")
    return space_id
