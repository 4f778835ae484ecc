"""Tickets that cost nothing: who may enter and play, how many there are, and what becomes of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.product.crowd import crowd
from tests.product.town import Person, Town, open_town
from tests.product.voices import at, global_id, iso, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

WANT = "ticket { id status createdAt space { id } } checkoutUrl"
FREE: dict[str, Any] = {"priceMinor": 0, "capacity": 3}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hall(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A server whose recordings need no audio."""
    async with open_town(tmp_path_factory.mktemp("hall") / "data", quiet=True) as opened:
        yield opened


async def _ticketed(host: Person, **fields: Any) -> str:
    terms = fields.pop("ticketing", FREE)
    return str((await host.new_space(ticketing=terms, **fields))["id"])


async def _status(person: Person, space_id: str) -> str | None:
    ticket = (await person.space(space_id, "viewerTicket { status }"))["viewerTicket"]
    return ticket["status"] if ticket else None


async def _sold(person: Person, space_id: str) -> int:
    return int((await person.space(space_id, "ticketing { sold }"))["ticketing"]["sold"])


async def test_a_free_ticket_is_issued_at_once_and_asking_again_is_the_same_one(hall: Town) -> None:
    host, fan = await hall.person(), await hall.person()
    space_id = await _ticketed(host)
    assert (
        await hall.anyone.space(space_id, "ticketing { price { amountMinor currency } capacity sold }")
    ) == {"ticketing": {"price": {"amountMinor": 0, "currency": "USD"}, "capacity": 3, "sold": 0}}
    made = await fan.do("purchaseTicket", WANT, spaceId=space_id)
    assert (made["ticket"]["status"], made["checkoutUrl"]) == ("ISSUED", None)
    assert made["ticket"]["space"]["id"] == space_id
    again = await fan.do("purchaseTicket", WANT, spaceId=space_id)
    assert again == made
    assert await _sold(host, space_id) == 1
    mine = (await fan.read("{ viewer { tickets { edges { node { id status } } } } }"))["viewer"]["tickets"]
    assert mine == {"edges": [{"node": {"id": made["ticket"]["id"], "status": "ISSUED"}}]}
    query = "query($id: ID!) { node(id: $id) { id } }"
    assert (await fan.read(query, id=made["ticket"]["id"]))["node"] == {"id": made["ticket"]["id"]}
    for other in (host, hall.anyone):
        assert (await other.read(query, id=made["ticket"]["id"]))["node"] is None
        assert await _status(other, space_id) is None


@pytest.mark.parametrize(
    ("terms", "path"),
    [
        ({"priceMinor": 0, "capacity": 0}, "capacity"),
        ({"priceMinor": 0, "capacity": -1}, "capacity"),
        ({"priceMinor": 0, "capacity": 1_000_001}, "capacity"),
        ({"priceMinor": -1, "capacity": 1}, "priceMinor"),
        ({"priceMinor": 100, "capacity": 1}, "priceMinor"),
        ({"priceMinor": 0, "capacity": 1, "currency": "usd"}, "currency"),
        ({"priceMinor": 0, "capacity": 1, "currency": "XXX"}, "currency"),
        ({"priceMinor": 0, "capacity": 1, "currency": ""}, "currency"),
    ],
)
async def test_without_a_provider_tickets_are_free_and_their_terms_make_sense(
    hall: Town, terms: dict[str, Any], path: str
) -> None:
    host = await hall.person()
    payload = await host.try_("createSpace", "space { id }", title="T", ticketing=terms)
    assert payload["space"] is None
    assert [(one["code"], one["path"]) for one in payload["errors"]] == [
        ("INVALID_INPUT", ["ticketing", path])
    ]
    if terms["priceMinor"] == 100:
        assert "SPACES_STRIPE_SECRET_KEY" in payload["errors"][0]["message"]
    await host.do("createSpace", title="T", ticketing={"priceMinor": 0, "capacity": 1_000_000})


async def test_entry_needs_a_ticket_but_for_host_speakers_and_moderators(hall: Town) -> None:
    host, fan, other, moderator = (
        await hall.person(), await hall.person(), await hall.person(), await hall.moderator()
    )  # fmt: skip
    space_id = await _ticketed(host)
    await fan.do("purchaseTicket", spaceId=space_id)
    assert await fan.refused("joinSpace", spaceId=space_id) == "NOT_LIVE"
    await host.do("startSpace", spaceId=space_id)
    assert await other.refused("joinSpace", spaceId=space_id) == "TICKET_REQUIRED"
    live = {"host": host, "fan": fan, "other": other, "moderator": moderator, "nobody": hall.anyone}
    heard = {
        name: (await one.space(space_id, "live { url }"))["live"] is not None for name, one in live.items()
    }
    assert heard == {"host": True, "fan": True, "other": False, "moderator": True, "nobody": False}
    for one in (fan, moderator, host):
        await one.do("joinSpace", spaceId=space_id)
    await fan.speak_in(space_id, host)
    await other.do("purchaseTicket", spaceId=space_id)
    await other.do("joinSpace", spaceId=space_id)


async def test_a_recording_of_a_ticketed_space_plays_for_who_may_enter_alone(hall: Town) -> None:
    host, fan, other, moderator = (
        await hall.person(), await hall.person(), await hall.person(), await hall.moderator()
    )  # fmt: skip
    space_id = await _ticketed(host, record=True)
    await fan.do("purchaseTicket", spaceId=space_id)
    await host.do("startSpace", spaceId=space_id)
    await host.do("endSpace", spaceId=space_id)
    want = "id viewerCanPlay viewerCanShare waveform(points: 2) playback { url }"
    found = {}
    for name, one in {
        "host": host,
        "fan": fan,
        "other": other,
        "mod": moderator,
        "none": hall.anyone,
    }.items():
        recording = await one.recording(space_id, want)
        found[name] = (
            recording["viewerCanPlay"], recording["viewerCanShare"], len(recording["waveform"]),
            recording["playback"] is not None,
        )  # fmt: skip
    may, may_not = (True, True, 2, True), (False, False, 0, False)
    assert found == {"host": may, "fan": may, "other": may_not, "mod": may, "none": may_not}
    recording = await fan.recording(space_id, want)
    assert (await hall.fetch(recording["playback"]["url"])).status_code == 200
    for mutation, fields in (("shareRecording", {}), ("savePlaybackPosition", {"positionMs": 0})):
        given = {"recordingId": recording["id"], **fields}
        assert await other.refused(mutation, **given) == "TICKET_REQUIRED"
        await fan.do(mutation, **given)
    assert await other.refused("shareSpace", spaceId=space_id) == "TICKET_REQUIRED"
    for one in (host, fan, moderator):
        await one.do("shareSpace", spaceId=space_id)
    assert recording["playback"]["url"].encode() not in (await hall.http.get("/timeline")).content
    await other.do("purchaseTicket", spaceId=space_id)
    assert (await other.recording(space_id, "viewerCanPlay"))["viewerCanPlay"]


async def test_a_link_dies_with_its_ticket(hall: Town) -> None:
    host, fan = await hall.person(), await hall.person()
    space_id = await _ticketed(host, record=True)
    await fan.do("purchaseTicket", spaceId=space_id)
    await host.do("startSpace", spaceId=space_id)
    live = (await fan.space(space_id, "live { url }"))["live"]["url"]
    await host.do("endSpace", spaceId=space_id)
    url = (await fan.recording(space_id, "playback { url }"))["playback"]["url"]
    assert (await hall.fetch(url)).status_code == (await hall.fetch(live)).status_code == 200
    from models.ticket import Ticket, TicketStatus

    await Ticket.filter(space_id=uuid_of(space_id)).update(status=TicketStatus.REFUNDED)
    assert (await hall.fetch(url)).status_code == (await hall.fetch(live)).status_code == 410


async def test_what_is_sold_out_is_sold_out_and_a_space_without_tickets_sells_none(hall: Town) -> None:
    host = await hall.person()
    space_id = await _ticketed(host, ticketing={"priceMinor": 0, "capacity": 1})
    first, second = await hall.person(), await hall.person()
    await first.do("purchaseTicket", spaceId=space_id)
    assert await second.refused("purchaseTicket", spaceId=space_id) == "SOLD_OUT"
    assert await host.refused("purchaseTicket", spaceId=space_id) == "CONFLICT"
    assert await hall.anyone.refused("purchaseTicket", spaceId=space_id) == "UNAUTHENTICATED"
    assert await first.refused("purchaseTicket", spaceId=(await host.new_space())["id"]) == "CONFLICT"
    for wrong in (global_id("Space"), host.id, ""):
        assert await first.refused("purchaseTicket", spaceId=wrong) == "NOT_FOUND"
    for wrong in (
        "x",
        "javascript:alert(1)",
        "https://",
        "https://a b/",
        "http://[",
        "https://x/" + "y" * 2000,
    ):
        assert await second.refused("purchaseTicket", spaceId=space_id, returnUrl=wrong) == "INVALID_INPUT"
    assert (await host.new_space("ticketing { capacity } viewerTicket { id }")) == {
        "ticketing": None, "viewerTicket": None
    }  # fmt: skip


async def test_canceling_refunds_every_holder_and_so_does_the_clock(hall: Town) -> None:
    host, fan = await hall.person(), await hall.person()
    canceled = await _ticketed(host)
    await fan.do("purchaseTicket", spaceId=canceled)
    await host.do("cancelSpace", spaceId=canceled)
    assert (await _status(fan, canceled), await _sold(fan, canceled)) == ("REFUNDED", 0)
    assert await fan.refused("purchaseTicket", spaceId=canceled) == "ALREADY_ENDED"
    start = hall.clock.now() + timedelta(hours=1)
    lapsed = await _ticketed(host, scheduledStart=iso(start))
    await fan.do("purchaseTicket", spaceId=lapsed)
    hall.clock.stand_at(start + timedelta(hours=24))
    try:
        await hall.round()
        assert await _status(fan, lapsed) == "REFUNDED"
    finally:
        hall.clock.frozen = None


async def test_a_time_for_which_a_ticket_is_sold_stays(hall: Town) -> None:
    host, fan = await hall.person(), await hall.person()
    start = hall.clock.now() + timedelta(hours=1)
    space_id = await _ticketed(host, scheduledStart=iso(start))
    later = iso(start + timedelta(hours=1))
    moved = await host.do("updateSpace", "space { scheduledStart }", spaceId=space_id, scheduledStart=later)
    assert at(moved["space"]["scheduledStart"]) == at(later)
    await fan.do("purchaseTicket", spaceId=space_id)
    for other in (iso(start), None):
        assert await host.refused("updateSpace", spaceId=space_id, scheduledStart=other) == "CONFLICT"
    await host.do("updateSpace", spaceId=space_id, scheduledStart=later, title="Another title")


@pytest.mark.both_databases
async def test_200_who_buy_at_once_get_exactly_the_50_seats(hall: Town) -> None:
    host = await hall.person()
    space_id = await _ticketed(host, ticketing={"priceMinor": 0, "capacity": 50})
    people = await crowd(hall, 200)
    payloads = await asyncio.gather(
        *(one.try_("purchaseTicket", "ticket { status }", spaceId=space_id) for one in people)
    )
    answers = Counter(
        payload["errors"][0]["code"] if payload["errors"] else payload["ticket"]["status"]
        for payload in payloads
    )
    assert answers == {"ISSUED": 50, "SOLD_OUT": 150}
    assert await _sold(host, space_id) == 50
