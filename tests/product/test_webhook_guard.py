"""Which addresses webhooks never call, whatever trick leads there."""

import asyncio
import threading
from datetime import timedelta

import pytest

from tests.product.names import looked_up
from tests.product.receiver import Receiver, deliver, hook, receiver
from tests.product.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="module")
PUBLIC = "93.184.215.14"
# fmt: off
TRICKS = [
    "http://hooks.example.org/x", "ftp://hooks.example.org/x", "file:///etc/passwd", "//hooks.example.org/x", "x",
    "",
    # loopback and this host
    "https://localhost/", "https://localhost./", "https://a.localhost/", "https://127.0.0.1/", "https://[::1]/",
    "https://0/", "https://0.0.0.0/", "https://[::]/", "https://127.1/", "https://127.0.1/",
    # decimal, octal, hexadecimal
    "https://2130706433/", "https://0x7f000001/", "https://017700000001/", "https://0177.0.0.1/", "https://0x7f.1/",
    # networks of one's own
    "https://10.0.0.8/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/", "https://[fd00::1]/",
    "https://[fec0::1]/", "https://printer/", "https://db.internal/", "https://nas.local/",
    # link-local, with the metadata of clouds
    "https://169.254.169.254/latest", "https://[fe80::1]/", "https://[fe80::1%25eth0]/",
    # IPv4 in another guise: mapped, compatible, translated, NAT64, local NAT64, 6to4, Teredo
    "https://[::ffff:10.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[::ffff:0:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::7f00:1]/", "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1:0:0:80ff:fffe]/",
    # reserved, documentation, multicast, broadcast
    "https://240.0.0.1/", "https://255.255.255.255/", "https://224.0.0.1/", "https://[ff02::1]/",
    "https://192.0.2.1/", "https://198.18.0.1/", "https://192.88.99.1/", "https://[2001:db8::1]/", "https://[3fff::1]/",
    # what two readers of one URL may read differently
    "https://user@hooks.example.org/", "https://hooks.example.org\\@127.0.0.1/", "https://127.0.0.1#.example.org/",
    "https://hooks.example.org:99999/", "https://[::1/", "https://\uff11\uff12\uff17.0.0.1/", "https://127\u30020\u30020\u30021/",
    "https://hooks.example.org/ x", "https://hooks.example.org/\r\nHost:x", "https://%31%32%37.0.0.1/",
    # nowhere
    "https://there.is.no.such.name.invalid/",
]
# fmt: on


async def test_no_private_address_is_taken_in_whatever_form(city: Town) -> None:
    person = await city.person()
    told = {url: await person.try_("createWebhook", url=url, events=["SPACE_STARTED"]) for url in TRICKS}
    codes = {
        url: answer["errors"][0]["code"] if answer["errors"] else "taken" for url, answer in told.items()
    }
    assert codes == dict.fromkeys(TRICKS, "INVALID_INPUT")


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["::1"], [PUBLIC, "10.0.0.1"], ["::ffff:192.168.0.1"]])
async def test_a_name_that_leads_into_a_private_network_is_refused(
    city: Town, monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    person = await city.person()
    asked = looked_up(monkeypatch, lambda _name: answers)
    create = {"url": "https://hooks.example.org/x", "events": ["SPACE_STARTED"]}
    assert await person.refused("createWebhook", **create) == "INVALID_INPUT"
    assert asked == ["hooks.example.org"]


async def test_a_name_that_leads_elsewhere_once_it_is_called_is_not_called(
    city: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await city.person()
    async with receiver(city).up() as far:
        url = f"https://hooks.example.org:{far.port}/x"
        answers = [[PUBLIC]]
        asked = looked_up(monkeypatch, lambda _name: answers.pop(0) if answers else ["127.0.0.1"])
        made = await hook(person, url, "SPACE_STARTED")
        await person.live_space()
        await deliver(city)
        assert asked == ["hooks.example.org"] * 2
        (one,) = await made.deliveries()
        assert (one["state"], one["attempts"], one["lastStatusCode"]) == ("PENDING", 1, None)
        # A receiver of one's own is let in by no change either.
        assert await person.refused("updateWebhook", webhookId=made.id, url=far.url) == "INVALID_INPUT"
        city.clock.stand_at(city.clock.now() + timedelta(hours=25))
        await deliver(city)
        assert [state for _, state in await made.states()] == ["FAILED"]
        assert far.calls == []


async def test_the_call_goes_to_the_address_that_was_checked(
    city: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With private addresses allowed, so that there is somebody to answer: one look at the name a call."""
    person = await city.person()
    monkeypatch.setattr(city.built.house.outbound, "allow_private", True)
    async with receiver(city).up() as far:
        answers = [["127.0.0.1"], ["127.0.0.1"]]
        asked = looked_up(monkeypatch, lambda _name: answers.pop(0) if answers else ["192.0.2.1"])
        await hook(person, f"http://hooks.example.org:{far.port}/x", "SPACE_STARTED")
        await person.live_space()
        await deliver(city)
        assert asked == ["hooks.example.org"] * 2
        assert [call.headers["host"] for call in far.calls] == [f"hooks.example.org:{far.port}"]
        assert isinstance(far, Receiver)


async def test_names_that_take_for_ever_hold_up_nobody_else(
    city: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords are checked and files are read by threads too."""
    answered = threading.Event()
    asked = looked_up(monkeypatch, lambda _name: [PUBLIC] if answered.wait(60) else [])
    people = [await city.person() for _ in range(4)]
    url = "https://hooks.example.org/x"
    waiting = [
        asyncio.create_task(one.try_("createWebhook", url=url, events=["SPACE_STARTED"]))
        for one in people
        for _ in range(16)
    ]
    try:
        async with asyncio.timeout(30):
            while len(asked) < 16:
                await asyncio.sleep(0.01)
            await city.person()
        assert not any(task.done() for task in waiting)
    finally:
        answered.set()
        await asyncio.gather(*waiting)
