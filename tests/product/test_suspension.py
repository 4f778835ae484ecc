"""What moderators do about people and live Spaces, through the public door."""

from datetime import timedelta

from tests.product.court import MILLISECOND, Court
from tests.product.test_moderation import DAY, reports
from tests.product.town import Person


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
    wish = {"userId": court.host.id, "reason": "Recorded somebody in secret."}
    await court.moderator.do("suspendAccount", **wish, suspension="RECORDING")
    eligibility = "{ viewer { recordingEligibility { allowed reason } } }"

    assert await court.host.refused("createSpace", title="A", record=True) == "RECORDING_NOT_ROLLED_OUT"
    answer = (await court.host.read(eligibility))["viewer"]["recordingEligibility"]
    assert (answer["allowed"], answer["reason"][:9]) == (False, "suspended")
    await court.host.live_space()
    await court.moderator.do("suspendAccount", **wish, suspension="NONE")
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
