"""What a fresh install never calls, and what it does not do before it is set up."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from models.push_subscription import PushSubscription
from tests.product.names import looked_up
from tests.product.post import (
    PushService,
    push_service,
    register,
    told_by_push,
)
from tests.product.town import Town
from tests.product.voices import uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pushes() -> AsyncIterator[PushService]:
    async with push_service() as service:
        yield service


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.org/x", "https://127.0.0.1/x", "https://localhost/x", "https://10.0.0.8/x",
        "https://[::1]/x", "https://[::ffff:10.0.0.1]/x", "https://169.254.169.254/latest", "https://100.64.0.1/",
        "https://[64:ff9b::7f00:1]/x", "https://[2002:7f00:1::]/x", "https://0/x", "https://2130706433/x",
        "https://db.internal/x", "https://printer/x", "https://[fe80::1]/x", "https://224.0.0.1/x",
    ],
)  # fmt: skip
async def test_no_private_address_is_taken_unless_a_setting_allows_it(
    city: Town, pushes: PushService, endpoint: str
) -> None:
    person = await city.person()
    subscription = {**pushes.browser().subscription, "endpoint": endpoint}
    assert await register(person, subscription) == 400


async def test_a_name_that_leads_into_a_private_network_is_not_called(
    city: Town, pushes: PushService, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, fan = await city.person(), await city.person()
    port = pushes.url.rpartition(":")[2]
    subscription = {**pushes.browser().subscription, "endpoint": f"https://push.example.org:{port}/x"}
    assert await register(fan, subscription) == 201
    asked = looked_up(monkeypatch, lambda _name: ["127.0.0.1"])
    space_id = await told_by_push(host, fan)
    async with asyncio.timeout(10):
        while await PushSubscription.exists(account_id=uuid_of(fan.id)):
            await asyncio.sleep(0.01)
    assert asked == ["push.example.org"]
    assert pushes.came.empty()
    await host.do("endSpace", spaceId=space_id)


async def test_without_a_mail_server_there_is_no_mail(city: Town) -> None:
    person = await city.person()
    answer = await city.http.put(
        "/notifications/email", json={"address": "a@example.org"}, headers=person.headers
    )
    assert answer.status_code == 404
    assert "no e-mail" in answer.text
