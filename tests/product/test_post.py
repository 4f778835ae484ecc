"""Notifications that leave the house: by Web Push and by e-mail."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from models.delivery import Delivery
from models.push_subscription import PushSubscription
from services import leases
from tests.product.post import (
    MailHouse,
    PushService,
    kinds,
    mail_house,
    no_lease,
    post,
    push_service,
    register,
    told_by_push,
)
from tests.product.town import Person, Town, open_town
from tests.product.voices import recorded, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pushes() -> AsyncIterator[PushService]:
    async with push_service() as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mails() -> AsyncIterator[MailHouse]:
    async with mail_house() as house:
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_town(tmp_path_factory: pytest.TempPathFactory, mails: MailHouse) -> AsyncIterator[Town]:
    """A server that may push to this machine and has a mail server."""
    async with open_town(
        tmp_path_factory.mktemp("post") / "data",
        push_private_addresses=True,
        smtp_host="127.0.0.1",
        smtp_port=mails.port,
        smtp_security="none",
    ) as opened:
        yield opened


async def test_a_launch_reaches_a_browser_encrypted_and_signed(city: Town, pushes: PushService) -> None:
    host, fan = await city.person(), await city.person()
    browser = pushes.browser("first")
    assert await register(fan, browser.subscription) == 201
    key = (await city.fetch("/notifications/push")).json()["publicKey"]
    assert len(base64.urlsafe_b64decode(key + "=")) == 65
    space_id = await told_by_push(host, fan)
    pushed = await pushes.next()
    assert pushed.path == "/push/first"
    assert f"k={key}" in pushed.headers["authorization"]
    assert 0 < int(pushed.headers["ttl"]) <= 24 * 3600
    read = browser.read(pushed.body)
    assert (read["kind"], "is live now" in read["message"]) == ("SPACE_STARTED", True)
    assert "\n" not in read["message"]
    page = await city.fetch(read["url"])
    assert page.status_code == 200
    await host.do("endSpace", spaceId=space_id)
    assert pushes.came.empty()


async def test_a_push_that_failed_is_tried_again_and_one_to_nobody_ends(
    city: Town, pushes: PushService
) -> None:
    city.clock.stand_at(city.clock.now())
    host, fan = await city.person(), await city.person()
    browser = pushes.browser("again")
    await register(fan, browser.subscription)
    pushes.statuses += [503]
    space_id = await told_by_push(host, fan)
    first = await pushes.next()
    await no_lease(fan)
    city.clock.stand_at(city.clock.now() + timedelta(seconds=9))
    await post(city)
    assert pushes.came.empty()
    city.clock.stand_at(city.clock.now() + timedelta(seconds=1))
    pushes.statuses += [410]
    await post(city)
    second = await pushes.next()
    # The same notification, known by its topic.
    assert second.headers["topic"] == first.headers["topic"]
    await no_lease(fan)
    assert not await PushSubscription.exists(account_id=uuid_of(fan.id))
    assert not await Delivery.exists(account_id=uuid_of(fan.id))
    await host.do("endSpace", spaceId=space_id)


async def test_what_could_not_be_delivered_within_24_hours_lapses(city: Town, pushes: PushService) -> None:
    city.clock.stand_at(city.clock.now())
    host, fan = await city.person(), await city.person()
    talk_host = pushes.browser("lapse")
    await register(host, talk_host.subscription)
    pushes.statuses += [500]
    await recorded(city, host)
    await pushes.next()
    await no_lease(host)
    began = city.clock.now()
    city.clock.stand_at(began + timedelta(hours=24) - timedelta(milliseconds=1))
    pushes.statuses += [500]
    await post(city)
    assert int((await pushes.next()).headers["ttl"]) == 0
    city.clock.stand_at(began + timedelta(hours=24))
    await post(city)
    assert pushes.came.empty()
    assert not await Delivery.exists(account_id=uuid_of(host.id))
    assert await kinds(host) == ["RECORDING_AVAILABLE"]
    del fan


async def test_a_delivery_outlives_the_worker_that_was_killed_with_it(
    city: Town, pushes: PushService
) -> None:
    city.clock.stand_at(city.clock.now())
    host = await city.person()
    await register(host, pushes.browser("killed").subscription)
    pushes.statuses += [503]
    await recorded(city, host)
    first = await pushes.next()
    await no_lease(host)
    city.clock.stand_at(city.clock.now() + timedelta(seconds=10))
    house = city.built.house
    assert len(await leases.claim(house, Delivery, "killed", most=10)) == 1
    await post(city)
    assert pushes.came.empty()
    city.clock.stand_at(city.clock.now() + house.rules.lease_for)
    await post(city)
    assert (await pushes.next()).headers["topic"] == first.headers["topic"]
    await post(city)
    assert pushes.came.empty()


async def test_a_word_of_a_launch_is_not_pushed_once_the_space_is_over(
    city: Town, pushes: PushService
) -> None:
    city.clock.stand_at(city.clock.now())
    host, fan = await city.person(), await city.person()
    await register(fan, pushes.browser("over").subscription)
    pushes.statuses += [503]
    space_id = await told_by_push(host, fan)
    await pushes.next()
    await no_lease(fan)
    await host.do("endSpace", spaceId=space_id)
    city.clock.stand_at(city.clock.now() + timedelta(minutes=5))
    await post(city)
    assert pushes.came.empty()
    assert not await Delivery.exists(account_id=uuid_of(fan.id))


async def test_a_browser_belongs_to_who_subscribed_there_last(city: Town, pushes: PushService) -> None:
    one, two = await city.person(), await city.person()
    browser = pushes.browser("shared")
    assert await register(one, browser.subscription) == 201
    assert await register(two, browser.subscription) == 201
    await recorded(city, one)
    await post(city)
    assert pushes.came.empty()
    await city.http.request(
        "DELETE", "/notifications/push", json={"endpoint": browser.endpoint}, headers=one.headers
    )
    assert await PushSubscription.exists(account_id=uuid_of(two.id))
    gone = await city.http.request(
        "DELETE", "/notifications/push", json={"endpoint": browser.endpoint}, headers=two.headers
    )
    assert gone.status_code == 204
    assert not await PushSubscription.exists(account_id=uuid_of(two.id))


async def test_a_subscription_that_is_none_is_refused(city: Town, pushes: PushService) -> None:
    person = await city.person()
    good = pushes.browser().subscription
    keys = good["keys"]
    for bad in (
        {}, {"endpoint": 1, "keys": keys}, {"endpoint": "", "keys": keys}, {"endpoint": "x", "keys": keys},
        {"endpoint": good["endpoint"]}, {"endpoint": good["endpoint"], "keys": []},
        {"endpoint": good["endpoint"], "keys": {"p256dh": keys["p256dh"], "auth": "AAAA"}},
        {"endpoint": good["endpoint"], "keys": {"p256dh": "A" * 87, "auth": keys["auth"]}},
        {"endpoint": good["endpoint"], "keys": {"p256dh": keys["auth"], "auth": keys["auth"]}},
        {"endpoint": "ftp://push.example/x", "keys": keys}, {"endpoint": "https://user@push.example/x", "keys": keys},
        {"endpoint": "https://push.example/" + "x" * 1000, "keys": keys},
        {"endpoint": "https://é.example/", "keys": keys},
        {"endpoint": "https://[::1/", "keys": keys}, {"endpoint": "https://push.example:99999/", "keys": keys},
    ):  # fmt: skip
        assert await register(person, bad) == 400, bad
    for content in (b"", b"null", b"[]", b"{", b"\xff"):
        answer = await city.http.post("/notifications/push", content=content, headers=person.headers)
        assert answer.status_code == 400, content
    large = await city.http.post("/notifications/push", content=b" " * 9000, headers=person.headers)
    assert large.status_code == 413
    assert await register(city.anyone, good) == 401


async def test_an_address_gets_notifications_once_its_owner_has_confirmed_it(
    city: Town, mails: MailHouse
) -> None:
    host = await city.person()
    assert await _put(host, "mira@example.org") == 202
    question = await mails.next()
    assert question["To"] == "mira@example.org"
    await recorded(city, host)
    await post(city)
    assert mails.came.empty()
    link = re.search(r"http\S+/notifications/email/confirm/\S+", question.get_content())
    assert link is not None
    asked = await city.fetch(link[0])
    assert (asked.status_code, "<button>" in asked.text) == (200, True)
    shown = await city.http.get("/notifications/email", headers=host.headers)
    assert shown.json() == {"address": "mira@example.org", "confirmed": False}
    assert (await city.http.post(link[0])).status_code == 200
    shown = await city.http.get("/notifications/email", headers=host.headers)
    assert shown.json() == {"address": "mira@example.org", "confirmed": True}
    assert await _put(host, "mira@example.org") == 200

    await recorded(city, host)
    mail = await mails.next()
    assert mail["Subject"] == "The recording of “A talk” can be played."
    assert mail["Auto-Submitted"] == "auto-generated"
    text = mail.get_content()
    card = re.search(r"http\S+/cards/\S+", text)
    assert card is not None
    assert (await city.fetch(card[0])).status_code == 200
    stop = mail["List-Unsubscribe"].strip("<>")
    assert (await city.http.post(stop, content="List-Unsubscribe=One-Click")).status_code == 200
    assert (await city.http.post(stop)).status_code == 404
    await recorded(city, host)
    await post(city)
    assert mails.came.empty()
    shown = await city.http.get("/notifications/email", headers=host.headers)
    assert shown.json() == {"address": None, "confirmed": False}


async def test_an_address_that_is_none_or_refused_is_told_so(city: Town, mails: MailHouse) -> None:
    person = await city.person()
    for bad in (
        "",
        "x",
        "@",
        "a@",
        "a b@example.org",
        "a@b@c",
        "a@example.org\r\nBcc: b@example.org",
        1,
        None,
        "é@x.org",
    ):
        assert await _put(person, bad) == 400, bad
    assert await _put(city.anyone, "a@example.org") == 401
    assert (await city.fetch("/notifications/email/confirm/x")).status_code == 404
    assert (await city.http.post("/notifications/email/stop/x")).status_code == 404


async def test_a_mail_that_never_will_be_taken_ends_and_one_that_may_is_kept(
    city: Town, mails: MailHouse
) -> None:
    city.clock.stand_at(city.clock.now())
    host = await city.person()
    await _put(host, "gone@example.org")
    link = re.search(r"http\S+/confirm/\S+", (await mails.next()).get_content())
    assert link is not None
    await city.http.post(link[0])
    mails.refuse["gone@example.org"] = 450
    await recorded(city, host)
    async with asyncio.timeout(10):
        while not await Delivery.exists(account_id=uuid_of(host.id), attempts=1):
            await asyncio.sleep(0.01)
    mails.refuse["gone@example.org"] = 550
    city.clock.stand_at(city.clock.now() + timedelta(seconds=10))
    await post(city)
    assert not await Delivery.exists(account_id=uuid_of(host.id))
    shown = await city.http.get("/notifications/email", headers=host.headers)
    assert shown.json()["address"] is None


async def _put(person: Person, address: Any) -> int:
    return (
        await person.town.http.put("/notifications/email", json={"address": address}, headers=person.headers)
    ).status_code
