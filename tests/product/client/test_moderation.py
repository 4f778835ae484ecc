"""A moderator handles a report in the page: from the words of a listener to the entry in a log that holds."""

import pytest
from playwright.async_api import expect

from tests.product.client.axe import violations
from tests.product.client.scene import recorded, resident
from tests.product.client.visitor import chromium, hears, skip_unless_built, visit
from tests.product.town import Town

pytestmark = [pytest.mark.client, pytest.mark.needs_chromium, pytest.mark.needs_node]

TITLE = "Things I said too early"


async def test_a_moderator_listens_decides_and_can_show_who_did_what(town: Town) -> None:
    skip_unless_built()
    jonas = await resident(town, "jonas", "Jonas Lind")
    noor = await resident(town, "noor", "Noor Haddad")
    mod = await town.moderator()
    await noor.do("follow", userId=jonas.id)
    _, recording = await recorded(town, jonas, TITLE, seconds=6)
    async with chromium() as browser:
        # A listener reports what is on the timeline, and its host deletes it.
        listener = await visit(browser, town.url, person=noor, name="Noor Haddad")
        await listener.page.goto(town.url)
        card = listener.page.get_by_role("article", name=TITLE)
        await card.get_by_role("button", name="Report").click()
        await listener.page.get_by_label("What is wrong").select_option("PRIVACY")
        await listener.page.get_by_label("In your words").fill("He reads out where his neighbour lives.")
        await listener.page.get_by_role("dialog").get_by_role("button", name="Report").click()
        await expect(listener.page.get_by_text("A moderator will look at it.")).to_be_visible()
        await jonas.do("deleteRecording", recordingId=recording)
        await expect(card.get_by_text("The host deleted this recording.")).to_be_visible()

        # The moderator finds it in the queue.
        visitor = await visit(browser, town.url, person=mod)
        page = visitor.page
        await page.goto(town.url)
        await page.get_by_label("Account of").click()
        await page.get_by_role("link", name="Moderation").click()
        waiting = page.get_by_role("region", name="Waiting for a decision")
        await waiting.get_by_role("listitem").filter(has_text=TITLE).get_by_role("link", name="Open").click()
        await expect(page.get_by_text("He reads out where his neighbour lives.")).to_be_visible()

        # The copy that nobody else can hear opens for a reason, which is written down.
        await page.get_by_role("button", name="Open the review copy").click()
        await page.get_by_label("Why").fill("A report of a privacy breach.")
        await page.get_by_role("dialog").get_by_role("button", name="Open", exact=True).click()
        await hears(page, "sound")
        done = page.get_by_role("region", name="What was done")
        await expect(done.get_by_text("review_copy.opened")).to_be_visible()

        # A court wants it kept: so it is, until that is taken back.
        await page.get_by_role("button", name="Hold").click()
        await page.get_by_label("Why").fill("A court asks for it.")
        await page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
        await page.get_by_role("button", name="Release the hold").click()
        await page.get_by_label("Why").fill("The court has decided.")
        await page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
        await expect(done.get_by_text("hold.released")).to_be_visible()

        # The decision closes the case, and the host is told.
        await page.get_by_role("button", name="Violation").click()
        await page.get_by_label("Why").fill("An address is read out.")
        await page.get_by_role("dialog").get_by_role("button", name="Take it down").click()
        await expect(page.get_by_text("The case is closed.")).to_be_visible()
        await expect(page.get_by_role("region", name="Reports").get_by_text("closed")).to_be_visible()
        await page.get_by_role("link", name="Moderation").first.click()
        await expect(waiting.get_by_text(TITLE)).to_have_count(0)

        # Who did what is in a log, whose chain the browser follows itself.
        await page.get_by_role("link", name="Audit log").click()
        await page.get_by_role("button", name="Verify the chain").click()
        await expect(page.get_by_text("entries holds, from the first one on")).to_be_visible()
        owner = await visit(browser, town.url, person=jonas, name="Jonas Lind")
        await owner.page.goto(f"{town.url}/notices")
        await expect(owner.page.locator(".notices").get_by_text(TITLE).first).to_be_visible()
    for one in (listener, visitor, owner):
        assert one.complaints == []


async def test_a_moderator_acts_on_reports_of_spaces_and_people_and_reads_what_the_host_says(
    town: Town,
) -> None:
    skip_unless_built()
    jonas = await resident(town, "jonas", "Jonas Lind")
    noor = await resident(town, "noor", "Noor Haddad")
    mod = await town.moderator()
    _, recording = await recorded(town, jonas, TITLE, seconds=2)
    await mod.do(
        "reviewRecording", recordingId=recording, decision="VIOLATION", note="An address is read out."
    )
    live = await jonas.live_space()
    words = {"category": "HATE", "reason": "The title mocks a whole people."}
    await noor.do("report", subjectId=live, **words)
    await noor.do("report", subjectId=jonas.id, category="SPAM", reason="He sells pills.")
    async with chromium() as browser:
        owner = await visit(browser, town.url, person=jonas, name="Jonas Lind")
        await owner.page.goto(f"{town.url}/recordings")
        card = owner.page.get_by_role("article", name=TITLE)
        await card.get_by_role("button", name="Appeal").click()
        await owner.page.get_by_label("Why was it wrong").fill("It was my own address.")
        await owner.page.get_by_role("button", name="Send").click()
        await expect(card.get_by_text("waits for a moderator")).to_contain_text("It was my own address.")
        await expect(card.get_by_role("button", name="Appeal")).to_have_count(0)

        visitor = await visit(browser, town.url, person=mod)
        page = visitor.page
        await page.goto(f"{town.url}/moderation")
        reported = page.get_by_role("region", name="Reported Spaces and people")
        space = reported.get_by_role("article").filter(has_text="The title mocks a whole people.")
        await expect(space).to_contain_text("Hate against a group")
        assert await violations(page) == []
        await space.get_by_role("button", name="End the Space").click()
        await page.get_by_role("button", name="End it now").click()
        await expect(space).to_have_count(0)
        assert (await jonas.space(live, "state"))["state"] == "ENDED"

        person = reported.get_by_role("article", name="Jonas Lind")
        await person.get_by_role("button", name="Decide on them").click()
        dialog = page.get_by_role("dialog", name="What is taken from Jonas Lind?")
        await dialog.get_by_label("Take").select_option("RECORDING")
        await dialog.get_by_label("Why").fill("Spam, again and again.")
        await dialog.get_by_role("button", name="Decide").click()
        await expect(reported.get_by_text("None.")).to_be_visible()
        assert (
            await jonas.refused("createSpace", title="More pills", record=True) == "RECORDING_NOT_ROLLED_OUT"
        )

        await page.get_by_role("link", name="Open").click()
        appeals = page.get_by_role("region", name="Appeals")
        await expect(appeals).to_contain_text("It was my own address.")
        await page.get_by_role("button", name="Clear").click()
        await page.get_by_label("Why").fill("It was his own, and he is of age.")
        await page.get_by_role("dialog").get_by_role("button", name="Close the case").click()
        await expect(page.get_by_text("No report or appeal is open.")).to_be_visible()
        await page.goto(f"{town.url}/moderation/log")
        await expect(page.get_by_role("row", name="account.suspended").first).to_contain_text("Jonas Lind")
    assert owner.complaints == visitor.complaints == []
