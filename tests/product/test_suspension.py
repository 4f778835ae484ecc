"""What moderators do about people and live Spaces, through the public door."""

from datetime import timedelta
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    Undefined,
    get_named_type,
)

from services import suspension
from tests.product.court import MILLISECOND, Court
from tests.product.permission_cells import served_once
from tests.product.test_moderation import DAY, reports
from tests.product.town import Person
from tests.product.voices import global_id


async def test_a_suspended_account_is_signed_out_until_its_time_is_over(court: Court) -> None:
    until = court.town.clock.now() + DAY
    wish = {"userId": court.host.id, "suspension": "ACCOUNT", "reason": "Threats."}
    await court.moderator.do("suspendAccount", **wish, until=until.isoformat())

    assert "errors" in await court.host.ask("{ viewer { user { id } } }")
    back = await court.town.anyone.do("signIn", "token", handle=court.host.handle, password="correct horse")
    signed_in = Person(court.town, token=back["token"])
    assert await signed_in.refused("createSpace", title="Again") == "ACCOUNT_SUSPENDED"
    court.town.clock.stand_at(until - MILLISECOND)
    assert await signed_in.refused("createSpace", title="Again") == "ACCOUNT_SUSPENDED"
    court.town.clock.stand_at(until)
    await signed_in.do("createSpace", title="Again")


async def _suspended(court: Court, person: Person) -> Person:
    """The same person, suspended and signed in again."""
    wish = {"userId": person.id, "suspension": "ACCOUNT", "reason": "Threats."}
    await court.moderator.do("suspendAccount", **wish)
    back = await court.town.anyone.do("signIn", "token", handle=person.handle, password="correct horse")
    return Person(court.town, token=back["token"], id=person.id, handle=person.handle)


async def test_a_suspended_person_looks_after_what_is_theirs(court: Court) -> None:
    recording_id, live = await court.recorded(), await court.host.live_space(record=True)
    taken_down = str((await court.host.recording(live, "id"))["id"])
    await court.decide(taken_down, "VIOLATION")
    host = await _suspended(court, court.host)

    assert await host.refused("shareRecording", recordingId=recording_id) == "ACCOUNT_SUSPENDED"
    await host.do("appeal", recordingId=taken_down, statement="It was no threat.")
    export = (await host.do("exportAccount", "archive { url }", includeRecordings=True))["archive"]["url"]
    assert (await court.town.fetch(export)).status_code == 200
    await host.do("deleteRecording", recordingId=recording_id)
    assert await court.status(recording_id) == "DELETED"
    await host.do("signOut")
    assert "errors" in await host.ask("{ viewer { user { id } } }")

    again = await court.town.anyone.do("signIn", "token", handle=host.handle, password="correct horse")
    host = Person(court.town, token=again["token"])
    item = await court.listener.do("shareSpace", "item { id }", spaceId=live)
    assert await host.refused("deleteShare", itemId=item["item"]["id"]) == "ACCOUNT_SUSPENDED"
    await host.do("deleteAccount", password="correct horse")
    assert (await court.listener.space(live, "state host { handle }")) == {
        "state": "ENDED", "host": {"handle": "deleted"},
    }  # fmt: skip


async def test_who_is_deleted_while_suspended_takes_their_shares_along(court: Court) -> None:
    space_id = await court.host.live_space()
    card = (await court.listener.do("shareSpace", "item { url }", spaceId=space_id))["item"]["url"]
    listener = await _suspended(court, court.listener)
    await listener.do("deleteAccount", password="correct horse")
    assert (await court.town.fetch(card)).status_code == 410


async def test_all_else_is_refused_to_a_suspended_person(court: Court) -> None:
    schema = served_once()
    assert schema.mutation_type is not None
    open_to_them = {*suspension.MUTATIONS, "signUp", "signIn"}
    person, told = await _suspended(court, court.listener), dict[str, str]()
    for name, found in schema.mutation_type.fields.items():
        if name in open_to_them:
            continue
        wanted = get_named_type(found.args["input"].type)
        assert isinstance(wanted, GraphQLInputObjectType)
        told[name] = await person.refused(name, **_filled(wanted))
    assert told == dict.fromkeys(told, "ACCOUNT_SUSPENDED")


_TYPES = {
    "accessToken": "AccessToken",
    "item": "TimelineItem",
    "delivery": "WebhookDelivery",
    "subject": "Space",
}


def _filled(wanted: GraphQLInputObjectType) -> dict[str, Any]:
    """Every field that must be given, with something of its form."""
    return {
        name: _value(name, field.type)
        for name, field in wanted.fields.items()
        if isinstance(field.type, GraphQLNonNull) and field.default_value is Undefined
    }


def _value(name: str, type_: Any) -> Any:
    inner = get_named_type(type_)
    if isinstance(inner, GraphQLEnumType):
        value: Any = next(iter(inner.values))
    elif inner.name == "ID":
        value = global_id(_TYPES.get(name[:-2], name[:1].upper() + name[1:-2]))
    else:
        value = {"String": "some words", "Int": 1, "Boolean": True}[inner.name]
    return [value] if isinstance(type_.of_type, GraphQLList) else value


async def test_links_of_a_suspended_account_rest_until_its_time_is_over(court: Court) -> None:
    recording_id = await court.recorded()
    until = court.town.clock.now() + timedelta(minutes=5)
    url = (await court.of(recording_id, "playback { url }", by=court.listener))["playback"]["url"]
    wish = {"userId": court.listener.id, "suspension": "ACCOUNT", "reason": "Threats."}
    await court.moderator.do("suspendAccount", **wish, until=until.isoformat())

    assert (await court.town.fetch(url)).status_code == 410
    court.town.clock.stand_at(until)
    assert (await court.town.fetch(url)).status_code == 200


async def test_the_right_to_record_can_be_taken_and_given_back(court: Court) -> None:
    toggled = (await court.host.new_space(record=True))["id"]
    wish = {"userId": court.host.id, "reason": "Recorded somebody in secret."}
    await court.moderator.do("suspendAccount", **wish, suspension="RECORDING")
    eligibility = "{ viewer { recordingEligibility { allowed reason } } }"

    assert await court.host.refused("createSpace", title="A", record=True) == "RECORDING_NOT_ROLLED_OUT"
    answer = (await court.host.read(eligibility))["viewer"]["recordingEligibility"]
    assert (answer["allowed"], answer["reason"][:9]) == (False, "suspended")
    await court.host.do("endSpace", spaceId=await court.host.live_space())
    # What was toggled before is not recorded either.
    assert await court.host.refused("startSpace", spaceId=toggled) == "RECORDING_NOT_ROLLED_OUT"
    assert (await court.host.space(toggled, "state isRecording")) == {
        "state": "SCHEDULED",
        "isRecording": False,
    }
    await court.moderator.do("suspendAccount", **wish, suspension="NONE")
    await court.host.do("startSpace", spaceId=toggled)
    assert (await court.host.read(eligibility))["viewer"]["recordingEligibility"]["allowed"]


async def test_suspending_is_for_moderators_and_not_of_oneself_or_into_the_past(court: Court) -> None:
    wish = {"userId": court.listener.id, "suspension": "ACCOUNT", "reason": "Threats."}
    past = (court.town.clock.now() - MILLISECOND).isoformat()
    assert await court.host.refused("suspendAccount", **wish) == "FORBIDDEN"
    assert (
        await court.moderator.refused("suspendAccount", **{**wish, "userId": court.moderator.id})
        == "FORBIDDEN"
    )
    assert await court.moderator.refused("suspendAccount", **wish, until=past) == "INVALID_INPUT"
    await court.listener.do("createSpace", title="Still here")


async def test_acting_on_a_person_or_a_live_space_closes_the_reports_of_it(court: Court) -> None:
    space_id = await court.host.live_space()
    await court.report(space_id)
    await court.report(court.host.id)

    await court.moderator.do("endSpace", spaceId=space_id)
    assert [one["subject"]["__typename"] for one in await reports(court, state="OPEN")] == ["User"]
    await court.moderator.do("suspendAccount", userId=court.host.id, suspension="NONE", reason="Unfounded.")
    assert await reports(court, state="OPEN") == []


async def test_a_moderator_ends_a_live_space_and_a_listener_does_not(court: Court) -> None:
    space_id = await court.host.live_space(record=True)
    assert await court.listener.refused("endSpace", spaceId=space_id) == "FORBIDDEN"
    await court.moderator.do("endSpace", spaceId=space_id)
    assert (await court.host.space(space_id, "state recording { status }")) == {
        "state": "ENDED", "recording": {"status": "AVAILABLE"},
    }  # fmt: skip
    assert [entry["action"] for entry in await court.log(space_id)] == ["space.ended"]
