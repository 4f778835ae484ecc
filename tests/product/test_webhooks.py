"""What webhooks are called with, signed by which secrets, and who may have which."""

import shutil
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from models.webhook import Webhook
from models.webhook_delivery import WebhookDelivery
from tests.product.receiver import (
    Receiver,
    deliver,
    hook,
    later,
    receiver,
    said,
    status,
    verified,
)
from tests.product.town import Person, Town, open_town
from tests.product.voices import at, global_id, iso, recorded, uuid_of

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


def types(far: Receiver, recording_id: str) -> list[str]:
    """What was told of a recording."""
    return [call.type for call in far.calls if call.data.get("recordingId") == recording_id]


async def test_a_recording_is_told_from_its_start_to_its_purge_each_once(
    city: Town, host: Person, far: Receiver
) -> None:
    made = await hook(host, far.url)
    began = city.clock.now()
    talk = await recorded(city, host)
    fan = await city.person()
    shared = await fan.do(
        "shareRecording", "item { id url }", recordingId=talk.recording_id, comment="Hear", startMs=7
    )
    await deliver(city)
    facts = await host.recording(talk.space_id, "startedAt endedAt durationMs sizeBytes expiresAt")
    expires_at = at(facts["expiresAt"])
    city.clock.stand_at(expires_at)
    await city.round()
    await city.round()
    await deliver(city)
    city.clock.stand_at(expires_at + timedelta(days=30))
    await city.round()
    await city.round()
    await deliver(city)

    assert [call.type for call in far.calls] == [
        "space.started", "recording.started", "space.ended", "recording.available", "recording.shared",
        "recording.expired", "recording.purged",
    ]  # fmt: skip
    of = {call.type: call for call in far.calls}
    card = (await host.read("{ timeline { edges { node { url kind } } } }"))["timeline"]["edges"]
    (own,) = [one["node"]["url"] for one in card if one["node"]["kind"] == "SPACE_ENDED"]
    assert of["space.started"].data == {
        "spaceId": talk.space_id, "state": "LIVE", "startedAt": iso(began), "endedAt": None, "url": own,
    }  # fmt: skip
    assert of["recording.available"].data == {
        "spaceId": talk.space_id, "state": "ENDED", "recordingId": talk.recording_id, "status": "AVAILABLE",
        "failureReason": None, "url": own, **facts,
    }  # fmt: skip
    told = of["recording.shared"].data
    assert (told["itemId"], told["url"], told["startMs"]) == (*shared["item"].values(), 7)
    assert "Hear" not in of["recording.shared"].body
    assert [of[name].data["status"] for name in ("recording.started", "recording.expired", "recording.purged")] == [
        "RECORDING", "EXPIRED", "PURGED",
    ]  # fmt: skip
    assert f'"timestamp":"{facts["expiresAt"]}"' in of["recording.expired"].body
    assert len({call.id for call in far.calls}) == len(far.calls)
    del made


async def test_what_became_of_a_recording_is_told_by_its_own_name(
    city: Town, host: Person, far: Receiver
) -> None:
    await hook(host, far.url)
    deleted, taken_down, lost = [await recorded(city, host) for _ in range(3)]
    silent = await host.live_space(record=True)
    await host.do("endSpace", spaceId=silent)
    failed = (await host.recording(silent, "id"))["id"]
    await host.do("deleteRecording", recordingId=deleted.recording_id)
    moderator = await city.moderator()
    wish = {"recordingId": taken_down.recording_id, "decision": "VIOLATION", "note": "Heard it."}
    await moderator.do("reviewRecording", **wish)
    folder = city.data_dir / "recordings" / str(uuid_of(lost.recording_id))
    aside = city.data_dir / "aside"
    shutil.move(folder, aside)
    await city.round()
    shutil.move(aside, folder)
    await later(city, timedelta(days=1))
    await city.round()
    await deliver(city)

    start = ["recording.started", "recording.available"]
    assert types(far, deleted.recording_id) == [*start, "recording.deleted"]
    assert types(far, taken_down.recording_id) == [*start, "recording.taken_down"]
    # No audio at all, and audio that is missing until it is found again.
    assert types(far, failed) == ["recording.failed"]
    assert types(far, lost.recording_id)[:3] == [*start, "recording.failed"]
    reasons = {
        call.data["recordingId"]: call.data["failureReason"] for call in far.calls if "failed" in call.type
    }
    assert reasons[failed] == "no audio was received"
    assert "missing" in reasons[lost.recording_id]


async def test_only_what_was_asked_for_is_sent_and_only_for_ones_own_spaces(
    city: Town, host: Person, far: Receiver
) -> None:
    other = await city.person()
    made = await hook(host, far.url, "SPACE_ENDED", "SPACE_ENDED")
    await other.do("endSpace", spaceId=await other.live_space())
    mine = await host.live_space()
    await host.do("endSpace", spaceId=mine)
    await deliver(city)
    assert [(call.type, call.data["spaceId"]) for call in far.calls] == [("space.ended", mine)]
    (shown,) = (await host.read("{ viewer { webhooks { id url events } } }"))["viewer"]["webhooks"]
    assert shown == {"id": made.id, "url": far.url, "events": ["SPACE_ENDED"]}

    await host.do("updateWebhook", webhookId=made.id, events=["SPACE_STARTED"], url=f"{far.url}/2")
    await host.live_space()
    await deliver(city)
    assert (far.calls[-1].type, far.calls[-1].path) == ("space.started", "/hook/2")
    await host.do("deleteWebhook", webhookId=made.id)
    assert not await WebhookDelivery.exists(webhook_id=uuid_of(made.id))


# ---------- secrets ----------


async def test_both_secrets_sign_for_24_hours_after_a_rotation(
    city: Town, host: Person, far: Receiver
) -> None:
    made = await hook(host, far.url, "SPACE_STARTED")
    city.clock.frozen = None  # the library compares with the machine's clock
    await said(city, made)
    assert verified(far.calls[0], made.secret)["type"] == "space.started"
    delivery = (await made.deliveries())[0]["id"]
    rotated = await host.do("rotateWebhookSecret", "webhook { id } secret", webhookId=made.id)
    newest = (await host.do("rotateWebhookSecret", "secret", webhookId=made.id))["secret"]
    assert len({made.secret, rotated["secret"], newest}) == 3
    await host.do("redeliverWebhook", deliveryId=delivery)
    await deliver(city)
    verified(far.calls[-1], made.secret, rotated["secret"], newest)

    row = await Webhook.get(id=uuid_of(made.id))
    until = max(int(one["until"]) for one in row.secrets if "until" in one)
    for moment, signatures in ((until - 1, 2), (until, 1)):
        city.clock.stand_at(datetime.fromtimestamp(moment / 1000, tz=city.clock.now().tzinfo))
        await host.do("redeliverWebhook", deliveryId=delivery)
        await deliver(city)
        told = far.calls[-1].headers["webhook-signature"].split()
        assert len(told) >= signatures
        assert (len(told) > 1) == (signatures > 1)


@pytest.mark.sqlite_file
async def test_no_secret_stands_in_the_database_or_is_told_twice(
    city: Town, host: Person, far: Receiver
) -> None:
    made = await hook(host, far.url)
    assert made.secret.startswith("whsec_")
    files = [one.read_bytes() for one in city.data_dir.glob("spaces.sqlite3*")]
    assert files
    assert not any(made.secret.removeprefix("whsec_").encode() in content for content in files)
    row = await Webhook.get(id=uuid_of(made.id))
    assert made.secret not in str(row.secrets)
    # Sealed for this webhook alone: it opens nothing elsewhere.
    other = await hook(host, far.url, "SPACE_STARTED")
    await Webhook.filter(id=uuid_of(other.id)).update(secrets=row.secrets)
    await host.live_space()
    await deliver(city)
    assert [state for _, state in await other.states()] == ["PENDING"]
    assert len(far.calls) == 1


# ---------- whose ----------


async def test_nothing_is_sent_for_who_is_suspended_and_all_of_it_goes_with_the_account(
    city: Town, host: Person, far: Receiver
) -> None:
    made = await hook(host, far.url, "SPACE_STARTED", "SPACE_ENDED")
    space_id = await host.live_space()
    await deliver(city)
    moderator = await city.moderator()
    wish = {"userId": host.id, "reason": "Threats."}
    await moderator.do("suspendAccount", **wish, suspension="ACCOUNT")
    await deliver(city)
    assert [call.type for call in far.calls] == ["space.started"]
    ended = await WebhookDelivery.get_or_none(webhook_id=uuid_of(made.id), event="SPACE_ENDED")
    assert ended is None or (ended.state, ended.attempts) == ("FAILED", 0)
    await moderator.do("suspendAccount", **wish, suspension="NONE")
    back = await city.anyone.do("signIn", "token", handle=host.handle, password="correct horse")
    again = Person(city, token=back["token"], id=host.id, handle=host.handle)
    await again.do("deleteAccount", password="correct horse")
    await deliver(city)
    assert [call.type for call in far.calls if call.data["spaceId"] == space_id] == ["space.started"]
    assert not await Webhook.exists(account_id=uuid_of(host.id))
    assert not await WebhookDelivery.exists(account_id=uuid_of(host.id))


async def test_a_program_needs_the_scope_and_never_reads_a_secret(
    city: Town, host: Person, far: Receiver
) -> None:
    made = await hook(host, far.url)
    reader, keeper = [
        Person(city, token=(await host.do("createAccessToken", "secret", name="A", scopes=[scope]))["secret"])
        for scope in ("READ", "WEBHOOKS")
    ]
    wish: dict[str, dict[str, Any]] = {
        "createWebhook": {"url": far.url, "events": ["SPACE_STARTED"]},
        "updateWebhook": {"webhookId": made.id},
        "rotateWebhookSecret": {"webhookId": made.id},
        "redeliverWebhook": {"deliveryId": global_id("WebhookDelivery")},
        "deleteWebhook": {"webhookId": made.id},
    }
    for name, fields in wish.items():
        assert await reader.refused(name, **fields) == "FORBIDDEN"
    assert len((await reader.read("{ viewer { webhooks { id } } }"))["viewer"]["webhooks"]) == 1
    assert made.secret not in str(await reader.read("{ viewer { webhooks { id url events } } }"))
    assert await keeper.refused("redeliverWebhook", **wish.pop("redeliverWebhook")) == "NOT_FOUND"
    for name, fields in wish.items():
        await keeper.do(name, **fields)


async def test_a_person_has_20_webhooks_each_for_something_at_an_address_of_bounded_length(
    city: Town, host: Person, far: Receiver
) -> None:
    create: dict[str, Any] = {"url": far.url, "events": ["SPACE_STARTED"]}
    longest = far.url + "/" + "x" * (2000 - len(far.url) - 1)
    assert await host.refused("createWebhook", **{**create, "url": f"{longest}x"}) == "INVALID_INPUT"
    assert await host.refused("createWebhook", **{**create, "events": []}) == "INVALID_INPUT"
    made = await hook(host, longest, "SPACE_STARTED")
    assert await host.refused("updateWebhook", webhookId=made.id, url=f"{longest}x") == "INVALID_INPUT"
    assert await host.refused("updateWebhook", webhookId=made.id, events=[]) == "INVALID_INPUT"
    for _ in range(19):
        await host.do("createWebhook", **create)
    assert await host.refused("createWebhook", **create) == "CAPACITY_REACHED"
    await host.do("deleteWebhook", webhookId=made.id)
    await host.do("createWebhook", **create)


async def test_operators_see_what_waits(city: Town, host: Person, far: Receiver) -> None:
    await WebhookDelivery.all().delete()
    far.answer = status(500)
    await said(city, await hook(host, far.url, "SPACE_STARTED"))
    city.clock.stand_at(city.clock.now() + timedelta(seconds=3))
    lines = (await city.http.get("/metrics")).text.splitlines()
    assert {"spaces_webhooks_pending 1.0", "spaces_webhooks_oldest_seconds 3.0"} <= set(lines)
