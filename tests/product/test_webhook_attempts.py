"""How long webhooks are tried, and when they are given up."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime

import pytest
import pytest_asyncio
from starlette.responses import Response

from models.webhook_delivery import WebhookDelivery
from services import callbacks
from services.callbacks import PAUSES
from tests.product.receiver import (
    Called,
    Receiver,
    deliver,
    fine,
    hook,
    later,
    receiver,
    said,
    status,
)
from tests.product.town import Person, Town, open_town
from tests.product.voices import at, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

MS = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A server that may call this machine; pauses are as long as they are told."""
    folder = tmp_path_factory.mktemp("hooks") / "data"
    async with open_town(folder, webhook_private_addresses=True) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def host(city: Town) -> Person:
    """Somebody new. The clock stands still."""
    city.clock.stand_at(city.clock.now())
    return await city.person()


@pytest_asyncio.fixture(loop_scope="module")
async def far(city: Town) -> AsyncIterator[Receiver]:
    """A receiver that is up."""
    async with receiver(city).up() as opened:
        yield opened


async def test_a_delivery_is_tried_after_growing_pauses_and_given_up_after_24_hours(
    city: Town, host: Person, far: Receiver
) -> None:
    far.answer = status(500)
    made = await hook(host, far.url, "SPACE_STARTED")
    began = city.clock.now()
    await said(city, made)
    while (await made.states())[0][1] == "PENDING":
        # What is due neither earlier than the shortest pause nor later than the longest.
        due_at = (await WebhookDelivery.get(webhook_id=uuid_of(made.id))).due_at
        assert due_at is not None
        tried = len(far.calls)
        waits = due_at - city.clock.now()
        longest = PAUSES[min(tried, len(PAUSES)) - 1]
        assert 0.75 * longest <= waits <= 1.25 * longest or due_at == began + 24 * HOUR
        city.clock.stand_at(due_at - MS)
        await deliver(city)
        assert len(far.calls) == tried
        city.clock.stand_at(due_at)
        await deliver(city)
        assert len(far.calls) == tried + 1
    assert city.clock.now() == began + 24 * HOUR
    assert len({(call.id, call.body) for call in far.calls}) == 1
    assert [call.headers["webhook-timestamp"] for call in far.calls] == sorted(
        {str(int(call.at.timestamp())) for call in far.calls}
    )


async def test_a_dead_letter_is_listed_and_can_be_sent_again_as_the_same_message(
    city: Town, host: Person, far: Receiver
) -> None:
    far.answer = status(503)
    made = await hook(host, far.url, "SPACE_STARTED", "SPACE_ENDED")
    began = city.clock.now()
    space_id = await host.live_space()
    await deliver(city)
    await host.do("endSpace", spaceId=space_id)
    await later(city, 24 * HOUR - MS)
    assert await made.states() == [("SPACE_ENDED", "PENDING"), ("SPACE_STARTED", "PENDING")]
    await later(city, MS)
    # What waited behind it was of the same moment; it had its attempt too.
    assert await made.states() == [("SPACE_ENDED", "FAILED"), ("SPACE_STARTED", "FAILED")]
    first = far.calls[0]
    assert [call.type for call in far.calls][-1] == "space.ended"
    (dead,) = [one for one in await made.deliveries() if one["event"] == "SPACE_STARTED"]
    assert (dead["lastStatusCode"], at(dead["at"])) == (503, began)

    far.answer = fine
    await later(city, 48 * HOUR)
    count = len(far.calls)
    again = await host.do("redeliverWebhook", "delivery { state attempts }", deliveryId=dead["id"])
    assert again["delivery"] == {"state": "PENDING", "attempts": 0}
    await deliver(city)
    (sent,) = far.calls[count:]
    assert (sent.id, sent.body, sent.at) == (first.id, first.body, city.clock.now())
    assert await made.states() == [("SPACE_ENDED", "FAILED"), ("SPACE_STARTED", "DELIVERED")]
    # What was delivered can be sent again as well, and is tried for as long as a new one.
    far.answer = status(500)
    await host.do("redeliverWebhook", deliveryId=dead["id"])
    await deliver(city)
    await later(city, 24 * HOUR - MS)
    assert ("SPACE_STARTED", "PENDING") in await made.states()
    await later(city, MS)
    assert ("SPACE_STARTED", "FAILED") in await made.states()


async def test_what_waits_for_its_next_attempt_can_be_tried_at_once_and_goes_before_what_follows(
    city: Town, host: Person, far: Receiver
) -> None:
    far.answer = status(500)
    made = await hook(host, far.url, "SPACE_STARTED", "SPACE_ENDED")
    delivery_id = await said(city, made)
    (space_id,) = [call.data["spaceId"] for call in far.calls]
    await host.do("endSpace", spaceId=space_id)
    (behind,) = [one["id"] for one in await made.deliveries() if one["event"] == "SPACE_ENDED"]
    await host.do("redeliverWebhook", deliveryId=behind)
    await deliver(city)
    assert len(far.calls) == 1
    far.answer = fine
    await host.do("redeliverWebhook", deliveryId=delivery_id)
    await deliver(city)
    assert [call.type for call in far.taken] == ["space.started", "space.ended"]
    # One that is sent again goes before what comes now.
    far.answer = status(500)
    await host.do("redeliverWebhook", deliveryId=behind)
    await host.do("redeliverWebhook", deliveryId=delivery_id)
    await deliver(city)
    far.answer = fine
    await later(city, HOUR)
    assert [call.type for call in far.taken][2:] == ["space.started", "space.ended"]


@pytest.mark.parametrize(
    ("told", "waits"),
    [
        ("90", timedelta(seconds=90)), ("in a while", None), ("-5", None), ("99999999999999", PAUSES[-1]), ("²", None),
        ("date", timedelta(minutes=10)), ("Thu, 99 Foo 2026", None),
    ],
)  # fmt: skip
async def test_retry_after_is_respected_within_bounds(
    city: Town, host: Person, far: Receiver, told: str, waits: timedelta | None
) -> None:
    moment = city.clock.now().replace(microsecond=0)
    city.clock.stand_at(moment)
    text = format_datetime(moment + timedelta(minutes=10), usegmt=True) if told == "date" else told

    async def busy(_called: Called) -> Response:
        answer = Response(status_code=429)
        answer.raw_headers.append((b"retry-after", text.encode("latin-1")))
        return answer

    far.answer = busy
    made = await hook(host, far.url, "SPACE_STARTED")
    await said(city, made)
    due_at = (await WebhookDelivery.get(webhook_id=uuid_of(made.id))).due_at
    assert due_at is not None
    if waits is not None:
        assert due_at - moment == waits
    else:
        assert due_at - moment <= 1.25 * PAUSES[0]


async def test_a_receiver_that_is_gone_is_called_no_more_until_its_owner_changes_it(
    city: Town, host: Person, far: Receiver
) -> None:
    far.answer = status(500)
    made = await hook(host, far.url, "SPACE_STARTED", "SPACE_ENDED")
    one = await host.live_space()
    await host.do("endSpace", spaceId=one)
    two = await host.live_space()
    await deliver(city)
    far.answer = status(410)
    await later(city, timedelta(seconds=7))
    await host.do("endSpace", spaceId=two)
    await deliver(city)
    assert Counter(call.status for call in far.calls)[410] <= 2
    assert {state for _, state in await made.states()} == {"FAILED"}
    count = len(far.calls)
    dead = (await made.deliveries())[0]["id"]
    assert await host.refused("redeliverWebhook", deliveryId=dead) == "CONFLICT"
    far.answer = fine
    await later(city, HOUR)
    assert len(far.calls) == count
    await host.do("updateWebhook", webhookId=made.id)
    await host.do("redeliverWebhook", deliveryId=dead)
    await deliver(city)
    assert [call.id for call in far.taken] == [str(uuid_of(dead))]


async def test_a_redirect_leads_nowhere(city: Town, host: Person, far: Receiver) -> None:
    far.answer = status(307, Location=f"{far.url}/elsewhere")
    made = await hook(host, far.url, "SPACE_STARTED")
    await said(city, made)
    assert [call.path for call in far.calls] == ["/hook"]
    (one,) = await made.deliveries()
    assert (one["state"], one["lastStatusCode"]) == ("PENDING", 307)


async def test_deliveries_are_listed_for_30_days(city: Town, host: Person, far: Receiver) -> None:
    made = await hook(host, far.url, "SPACE_STARTED")
    await said(city, made)
    days = timedelta(days=30)
    city.clock.stand_at(city.clock.now() + days - MS)
    await callbacks.forget_old(city.built.house)
    assert len(await made.deliveries()) == 1
    city.clock.stand_at(city.clock.now() + MS)
    await city.round()
    assert await made.deliveries() == []
