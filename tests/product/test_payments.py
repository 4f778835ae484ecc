"""Tickets that cost something: the provider is slow, away, repeats itself, and tells things late."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from models.audit_entry import AuditEntry
from models.payment import Payment, PaymentState
from models.space import Space
from models.ticket import Ticket, TicketStatus
from tests.product.crowd import crowd
from tests.product.stripe_fake import KEY, SECRET, FakeStripe, open_stripe
from tests.product.town import MovableClock, Person, Town, open_town
from tests.product.voices import MS, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOLD = timedelta(minutes=35)
PATIENCE_S = 20


@dataclass
class Box:
    """A box office: a town whose tickets are paid at a fake Stripe."""

    town: Town
    stripe: FakeStripe
    host: Person

    async def space(self, *, capacity: int = 1, price: int = 500, **fields: Any) -> str:
        """A ticketed Space of the host."""
        terms = {"priceMinor": price, "currency": "EUR", "capacity": capacity}
        return str((await self.host.new_space(ticketing=terms, **fields))["id"])

    async def checkout(self, buyer: Person, space_id: str, **fields: Any) -> str:
        """Where a buyer pays."""
        made = await buyer.do("purchaseTicket", "ticket { status } checkoutUrl", spaceId=space_id, **fields)
        assert made["ticket"]["status"] == "PENDING"
        return str(made["checkoutUrl"])

    async def buy(self, buyer: Person, space_id: str) -> str:
        """A ticket, paid; the address where it was."""
        url = await self.checkout(buyer, space_id)
        assert await self.tell(self.stripe.pay(url)) == 200
        return url

    async def tell(self, event: dict[str, Any]) -> int:
        """Deliver an event to the town."""
        return await self.stripe.tell(self.town.http, event)

    async def status(self, buyer: Person, space_id: str) -> str | None:
        """The status of a buyer's ticket."""
        ticket = (await buyer.space(space_id, "viewerTicket { status }"))["viewerTicket"]
        return ticket["status"] if ticket else None

    async def until(self, buyer: Person, space_id: str, status: str) -> None:
        """Wait until a ticket has a status."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.status(buyer, space_id) != status:
                await asyncio.sleep(0.02)

    async def sold(self, space_id: str) -> int:
        """How many are sold."""
        return int((await self.host.space(space_id, "ticketing { sold }"))["ticketing"]["sold"])

    def move(self, by: timedelta) -> None:
        """Stop the clock so much later."""
        self.town.clock.stand_at(self.town.clock.now() + by)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Box]:
    """One for the module, its clock standing still."""
    clock = MovableClock()
    clock.stand_at(clock.now())
    keys: dict[str, Any] = {"stripe_secret_key": KEY, "stripe_webhook_secret": SECRET}
    folder = tmp_path_factory.mktemp("office") / "data"
    async with (
        open_stripe(clock.now) as stripe,
        open_town(folder, clock=clock, stripe_url=stripe.url, **keys) as town,
    ):
        yield Box(town=town, stripe=stripe, host=await town.person("the_host"))


@pytest_asyncio.fixture(loop_scope="module")
async def box(office: Box) -> Box:
    """The module's office with nothing sold, and another host."""
    office.stripe.forget()
    await Payment.all().delete()
    await Ticket.all().delete()
    return replace(office, host=await office.town.person())


async def test_a_ticket_is_issued_once_it_is_paid_and_a_notice_twice_sells_once(box: Box) -> None:
    buyer, space_id = await box.town.person(), await box.space(capacity=2)
    url = await box.checkout(buyer, space_id, returnUrl="https://client.example/back?x=1")
    session = box.stripe.session_at(url)
    assert (session["amount_total"], session["currency"]) == (500, "eur")
    assert session["success_url"] == session["cancel_url"] == "https://client.example/back?x=1"
    assert await box.checkout(buyer, space_id) == url
    assert await box.sold(space_id) == 0
    paid = box.stripe.pay(url)
    for _ in range(3):
        assert await box.tell(paid) == 200
        assert (await box.status(buyer, space_id), await box.sold(space_id)) == ("ISSUED", 1)
    made = await buyer.do("purchaseTicket", "ticket { status } checkoutUrl", spaceId=space_id)
    assert (made["ticket"]["status"], made["checkoutUrl"]) == ("ISSUED", None)
    assert box.stripe.asked["POST checkout/sessions"] == 1
    await box.town.round()
    assert (await box.status(buyer, space_id), box.stripe.refunds) == ("ISSUED", {})


@pytest.mark.parametrize(
    ("currency", "price", "path"),
    [
        ("USD", 99, "priceMinor"),
        ("USD", 100, None),
        ("USD", 99_900, None),
        ("USD", 99_901, "priceMinor"),
        ("JPY", 1, None),
        ("JPY", 999, None),
        ("JPY", 1000, "priceMinor"),
        ("KWD", 990, "priceMinor"),
        ("KWD", 1000, None),
        ("KWD", 1001, "priceMinor"),
        ("KWD", 999_000, None),
        ("USD", -100, "priceMinor"),
        ("EURO", 100, "currency"),
        ("USD", 0, None),
    ],
)
async def test_a_price_is_1_to_999_of_its_currency_or_nothing(
    box: Box, currency: str, price: int, path: str | None
) -> None:
    terms = {"priceMinor": price, "currency": currency, "capacity": 1}
    payload = await box.host.try_("createSpace", title="T", ticketing=terms)
    codes = [(one["code"], one["path"]) for one in payload["errors"]]
    assert codes == ([] if path is None else [("INVALID_INPUT", ["ticketing", path])])


async def test_a_seat_is_held_until_its_time_and_free_from_then_on(box: Box) -> None:
    space_id = await box.space(capacity=1)
    slow, quick = await box.town.person(), await box.town.person()
    url = await box.checkout(slow, space_id)
    box.move(HOLD - MS)
    assert await quick.refused("purchaseTicket", spaceId=space_id) == "SOLD_OUT"
    assert await box.status(slow, space_id) == "PENDING"
    box.move(MS)
    assert await box.status(slow, space_id) == "CANCELED"
    await box.buy(quick, space_id)
    await box.town.round()
    assert box.stripe.session_at(url)["status"] == "expired"
    assert await slow.refused("purchaseTicket", spaceId=space_id) == "SOLD_OUT"
    assert (await box.status(quick, space_id), await box.sold(space_id)) == ("ISSUED", 1)


async def test_who_paid_in_time_but_is_heard_of_late_gets_the_seat_if_it_is_free_else_the_money(
    box: Box,
) -> None:
    space_id = await box.space(capacity=2)
    first, second, third = [await box.town.person() for _ in range(3)]
    late = [box.stripe.pay(await box.checkout(one, space_id)) for one in (first, second)]
    box.move(HOLD)
    await box.buy(third, space_id)
    for event in late:
        assert await box.tell(event) == 200
    await box.until(second, space_id, "REFUNDED")
    assert [await box.status(one, space_id) for one in (first, second, third)] == [
        "ISSUED",
        "REFUNDED",
        "ISSUED",
    ]
    assert list(box.stripe.refunds) == [late[1]["data"]["object"]["payment_intent"]]
    for event in late:
        await box.tell(event)
    await box.town.round()
    assert (len(box.stripe.refunds), await box.sold(space_id)) == (1, 2)


async def test_a_notice_that_never_comes_is_asked_for_before_the_seat_is_given_away(box: Box) -> None:
    buyer, space_id = await box.town.person(), await box.space()
    box.stripe.pay(await box.checkout(buyer, space_id))
    box.move(HOLD)
    await box.town.round()
    assert await box.status(buyer, space_id) == "ISSUED"


async def test_notices_in_the_wrong_order_end_right(box: Box) -> None:
    buyer, space_id = await box.town.person(), await box.space()
    url = await box.checkout(buyer, space_id)
    lapsed = box.stripe.lapse(url)
    box.stripe.session_at(url)["status"] = "open"
    paid = box.stripe.pay(url)
    assert [await box.tell(event) for event in (paid, lapsed, paid)] == [200, 200, 200]
    assert await box.status(buyer, space_id) == "ISSUED"
    other = await box.space()
    url = await box.checkout(buyer, other)
    await box.tell(box.stripe.lapse(url))
    assert await box.status(buyer, other) == "CANCELED"
    assert await box.checkout(buyer, other) != url


async def test_a_notice_that_stripe_did_not_sign_sells_nothing(box: Box) -> None:
    buyer, space_id = await box.town.person(), await box.space()
    event = box.stripe.pay(await box.checkout(buyer, space_id))
    body, good = box.stripe.signed(event)
    bad = [
        "",
        "nonsense",
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        box.stripe.signed(event, secret="whsec_other")[1],
        box.stripe.signed(event, at_s=event["created"] - 3600)[1],
    ]
    for signature in bad:
        answer = await box.town.http.post(
            "/payments/stripe", content=body, headers={"Stripe-Signature": signature}
        )
        assert answer.status_code == 403
    answer = await box.town.http.post(
        "/payments/stripe", content=body + b" ", headers={"Stripe-Signature": good}
    )
    assert answer.status_code == 403
    assert (await box.town.http.post("/payments/stripe", content=b"x" * 600_000)).status_code == 400
    assert (await box.town.http.get("/payments/stripe")).status_code == 405
    assert await box.status(buyer, space_id) == "PENDING"
    stranger = {**event, "type": "invoice.paid"}
    nobody = {**event, "data": {"object": {**event["data"]["object"], "client_reference_id": None}}}
    for other in (stranger, nobody):
        assert await box.tell(other) == 200
    assert await box.status(buyer, space_id) == "PENDING"


async def test_a_provider_that_is_away_is_told_honestly_and_holds_no_seat(box: Box) -> None:
    buyer, other, space_id = await box.town.person(), await box.town.person(), await box.space()
    box.stripe.down = True
    payload = await buyer.try_("purchaseTicket", "ticket { id } checkoutUrl", spaceId=space_id)
    assert [one["code"] for one in payload["errors"]] == ["PAYMENT_UNAVAILABLE"]
    assert payload["errors"][0]["retryAfterMs"] > 0
    assert payload["ticket"] is payload["checkoutUrl"] is None
    mine = "{ viewer { tickets(first: 5) { edges { node { id status createdAt } } } } }"
    assert (await buyer.read(mine))["viewer"]["tickets"]["edges"] == []
    assert await box.status(buyer, space_id) is None
    box.stripe.down, box.stripe.mute = False, True
    assert await buyer.refused("purchaseTicket", spaceId=space_id) == "PAYMENT_UNAVAILABLE"
    assert await box.status(buyer, space_id) is None
    box.stripe.mute = False
    url = await box.checkout(other, space_id)
    assert await buyer.refused("purchaseTicket", spaceId=space_id) == "SOLD_OUT"
    await box.tell(box.stripe.pay(url))
    assert (await box.status(buyer, space_id), await box.status(other, space_id)) == (None, "ISSUED")
    # The page that was made, and told to nobody, is paid all the same.
    (unheard,) = [one["url"] for one in box.stripe.sessions.values() if one["url"] != url]
    await box.tell(box.stripe.pay(unheard))
    async with asyncio.timeout(PATIENCE_S):
        while not box.stripe.refunds:
            await asyncio.sleep(0.02)
    assert (await box.status(buyer, space_id), await box.sold(space_id)) == (None, 1)


async def test_a_purchase_that_fails_leaves_the_ticket_of_before_as_it_was(box: Box) -> None:
    buyer, space_id = await box.town.person(), await box.space()
    await box.checkout(buyer, space_id)
    box.move(HOLD)
    want = "viewerTicket { id status createdAt }"
    before = await buyer.space(space_id, want)
    assert before["viewerTicket"]["status"] == "CANCELED"
    box.stripe.down = True
    box.move(HOLD)
    assert await buyer.refused("purchaseTicket", spaceId=space_id) == "PAYMENT_UNAVAILABLE"
    assert await buyer.space(space_id, want) == before
    box.stripe.down = False
    await box.buy(buyer, space_id)
    assert await box.status(buyer, space_id) == "ISSUED"


async def test_canceling_refunds_every_holder_even_when_the_provider_is_away_at_first(box: Box) -> None:
    space_id = await box.space(capacity=5)
    paid, waiting = [await box.town.person() for _ in range(3)], await box.town.person()
    for one in paid:
        await box.buy(one, space_id)
    url = await box.checkout(waiting, space_id)
    box.stripe.down = True
    await box.host.do("cancelSpace", spaceId=space_id)
    assert [await box.status(one, space_id) for one in (*paid, waiting)] == ["CANCELED"] * 4
    async with asyncio.timeout(PATIENCE_S):
        while await Payment.filter(attempts__gte=1).count() < 4:
            await asyncio.sleep(0.02)
    assert box.stripe.refunds == {}
    box.stripe.down, box.stripe.mute = False, True
    box.move(timedelta(seconds=15))
    await box.town.round()
    assert len(box.stripe.refunds) == 3
    assert [await box.status(one, space_id) for one in paid] == ["CANCELED"] * 3
    box.stripe.mute = False
    box.move(timedelta(seconds=30))
    await box.town.round()
    assert [await box.status(one, space_id) for one in (*paid, waiting)] == ["REFUNDED"] * 3 + ["CANCELED"]
    assert (len(box.stripe.refunds), box.stripe.session_at(url)["status"]) == (3, "expired")
    assert await Payment.exclude(next_at=None).count() == 0
    refunded = [one.id for one in await Ticket.filter(status=TicketStatus.REFUNDED)]
    assert await AuditEntry.filter(action="payment.refunded", subject_id__in=refunded).count() == 3


async def test_who_pays_while_the_space_is_called_off_gets_the_money_back(box: Box) -> None:
    buyer, space_id = await box.town.person(), await box.space()
    url = await box.checkout(buyer, space_id)
    event = box.stripe.pay(url)
    await box.host.do("cancelSpace", spaceId=space_id)
    await box.tell(event)
    await box.until(buyer, space_id, "REFUNDED")
    assert len(box.stripe.refunds) == 1


@pytest.mark.parametrize("price", [0, 500])
async def test_a_recording_that_was_promised_and_failed_refunds_and_one_that_was_not_does_not(
    box: Box, price: int
) -> None:
    early, late, space_id = await box.town.person(), await box.town.person(), await box.space(
        capacity=2, price=price, record=False
    )  # fmt: skip
    for one, toggle in ((early, True), (late, None)):
        if price:
            await box.buy(one, space_id)
        else:
            await one.do("purchaseTicket", spaceId=space_id)
        if toggle:
            await box.host.do("toggleRecording", spaceId=space_id, enabled=True)
    await box.host.do("startSpace", spaceId=space_id)
    await box.host.do("endSpace", spaceId=space_id)
    assert (await box.host.recording(space_id, "status"))["status"] == "FAILED"
    await box.until(late, space_id, "REFUNDED")
    assert (await box.status(early, space_id), await box.sold(space_id)) == ("ISSUED", 1)
    assert len(box.stripe.refunds) == (1 if price else 0)
    assert await late.refused("purchaseTicket", spaceId=space_id) == "ALREADY_ENDED"


@pytest.mark.both_databases
async def test_many_who_buy_and_pay_at_once_get_exactly_the_seats(box: Box) -> None:
    space_id = await box.space(capacity=15)
    people = await crowd(box.town, 60)
    payloads = await asyncio.gather(
        *(one.try_("purchaseTicket", "checkoutUrl", spaceId=space_id) for one in people)
    )
    answers = Counter(one["errors"][0]["code"] if one["errors"] else "HELD" for one in payloads)
    assert answers == {"HELD": 15, "SOLD_OUT": 45}
    events = [box.stripe.pay(one["checkoutUrl"]) for one in payloads if one["checkoutUrl"]]
    told = await asyncio.gather(*(box.tell(event) for event in events * 2))
    assert set(told) == {200}
    assert (await box.sold(space_id), box.stripe.refunds) == (15, {})


async def test_one_who_clicks_twice_at_once_pays_once(box: Box) -> None:
    buyer, space_id = await box.town.person(), await box.space(capacity=5)
    made = await asyncio.gather(
        *(buyer.try_("purchaseTicket", "checkoutUrl", spaceId=space_id, returnUrl=f"https://x.example/{n}")
          for n in range(5))
    )  # fmt: skip
    assert len({one["checkoutUrl"] for one in made}) == 1
    assert len(box.stripe.sessions) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_no_seat_is_sold_twice_and_no_money_stays_without_a_ticket(
    box: Box, seed: int
) -> None:
    dice = random.Random(seed)
    space_id = await box.space(capacity=3)
    people = await crowd(box.town, 6, prefix=f"walk_{seed}")
    kept: list[dict[str, Any]] = []
    for _ in range(50):
        await _something(box, dice, dice.choice(people), space_id, kept)
        seated = Ticket.filter(Ticket.seated(box.town.clock.now()), space_id=uuid_of(space_id))
        assert await seated.count() <= 3
    if seed % 2:
        await box.host.do("cancelSpace", spaceId=space_id)
    for event in kept:
        await box.tell(event)
    box.move(HOLD)
    for _ in range(3):
        await box.town.round()
        box.move(timedelta(minutes=3))
    await _balance(box, space_id)


async def _something(
    box: Box, dice: random.Random, who: Person, space_id: str, kept: list[dict[str, Any]]
) -> None:
    """One of the things that buyers, provider, time and clockwork do. Notices are kept, and told or not."""
    now_s = box.town.clock.now().timestamp()
    payable = [
        one["url"]
        for one in box.stripe.sessions.values()
        if one["status"] == "open" and now_s < one["expires_at"]
    ]
    match dice.randrange(7):
        case 0 | 1:
            await who.try_("purchaseTicket", spaceId=space_id)
        case 2 | 3 if payable:
            kept.append(box.stripe.pay(dice.choice(payable)))
        case 4 if kept:
            await box.tell(dice.choice(kept))
        case 5:
            box.move(timedelta(minutes=dice.choice([1, 20, 36])))
        case 6:
            await box.town.round()


async def _balance(box: Box, space_id: str) -> None:
    """Every intent that was paid is a ticket's that is good, or was given back."""
    issued = await Ticket.filter(space_id=uuid_of(space_id), status=TicketStatus.ISSUED)
    payments = {row.id: row for row in await Payment.filter(space_id=uuid_of(space_id))}
    paid = {row.charge_id for row in payments.values() if row.state is PaymentState.PAID}
    assert paid == {payments[one.payment_id].charge_id for one in issued if one.payment_id}
    taken = {one["payment_intent"] for one in box.stripe.sessions.values() if one["payment_intent"]}
    assert taken - set(box.stripe.refunds) == paid
    assert (await Space.get(id=uuid_of(space_id))).tickets_sold == len(issued)
    assert all(row.next_at is None for row in payments.values())
