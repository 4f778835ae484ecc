"""Who may record, and why."""

from collections import Counter
from itertools import pairwise
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.audit_entry import AuditEntry
from models.rollout import RolloutStage
from models.space import Platform
from services.changes import new_id
from services.rollout import bucket
from tests.product.crowd import crowd
from tests.product.town import Person, Town
from tests.product.voices import uuid_of

ROLLOUT = "{ rollout { stage platforms percentage } }"


async def _may(person: Person, platform: str | None = None) -> tuple[bool, str]:
    argument = f"(platform: {platform})" if platform else ""
    answer = await person.read(f"{{ viewer {{ recordingEligibility{argument} {{ allowed reason }} }} }}")
    found = answer["viewer"]["recordingEligibility"]
    assert found["reason"]
    return found["allowed"], found["reason"].partition(":")[0]


async def _toggle(person: Person, space_id: str, platform: str = "WEB", *, enabled: bool = True) -> list[str]:
    payload = await person.try_("toggleRecording", spaceId=space_id, enabled=enabled, platform=platform)
    return [error["code"] for error in payload["errors"]]


async def test_a_fresh_install_lets_everyone_record_from_everywhere(town: Town) -> None:
    person = await town.person()
    found = (await town.anyone.read(ROLLOUT))["rollout"]
    assert found["stage"] == "EVERYONE"
    for platform in (None, "IOS", "ANDROID", "WEB", "API"):
        assert await _may(person, platform) == (True, "everyone")


async def test_moderators_alone_change_it_and_each_change_is_audited(town: Town) -> None:
    person, moderator = await town.person(), await town.moderator()
    assert await person.refused("updateRollout", stage="OFF") == "FORBIDDEN"
    assert await town.anyone.refused("updateRollout", stage="OFF") == "UNAUTHENTICATED"
    assert await AuditEntry.filter(action__startswith="rollout").count() == 0
    await moderator.do("updateRollout", stage="LIMITED", dryRun=True)
    for wrong in (-1, 101):
        payload = await moderator.try_("updateRollout", "rollout { stage }", stage="OFF", percentage=wrong)
        assert [(one["code"], one["path"]) for one in payload["errors"]] == [
            ("INVALID_INPUT", ["percentage"])
        ]
        assert payload["rollout"] is None
    assert await AuditEntry.filter(action__startswith="rollout").count() == 0
    assert (await town.anyone.read(ROLLOUT))["rollout"]["stage"] == "EVERYONE"
    want = "rollout { stage platforms percentage } gaining losing"
    made = await moderator.do("updateRollout", want, stage="LIMITED", platforms=["IOS"], percentage=0)
    assert made["rollout"] == {"stage": "LIMITED", "platforms": ["IOS"], "percentage": 0}
    assert (made["gaining"], made["losing"]) == (0, 2)
    assert (await town.anyone.read(ROLLOUT))["rollout"] == made["rollout"]
    kept = await moderator.do("updateRollout", want, percentage=100)
    assert kept["rollout"] == {"stage": "LIMITED", "platforms": ["IOS"], "percentage": 100}
    entries = await AuditEntry.filter(action__startswith="rollout")
    assert [entry.actor_id for entry in entries] == [uuid_of(moderator.id)] * 2
    for entry in entries:
        assert moderator.handle not in entry.outcome


async def test_limited_lets_in_listed_handles_on_listed_platforms(town: Town) -> None:
    insider, outsider, moderator = await town.person("Insider"), await town.person(), await town.moderator()
    await moderator.do(
        "updateRollout", stage="LIMITED", platforms=["IOS"], percentage=0, allowHandles=["iNSIDER"]
    )
    assert await _may(insider, "IOS") == (True, "allow-list")
    assert await _may(insider, "ANDROID") == (False, "platform")
    assert await _may(insider) == (False, "platform")
    assert await _may(outsider, "IOS") == (False, "percentage")
    space_id = (await insider.new_space())["id"]
    assert await _toggle(insider, space_id, "WEB") == ["RECORDING_NOT_ROLLED_OUT"]
    assert await _toggle(insider, space_id, "IOS") == []
    for record, platform, codes in (
        (True, "IOS", []), (True, "API", ["RECORDING_NOT_ROLLED_OUT"]), (False, "API", []), (None, "API", []),
    ):  # fmt: skip
        payload = await insider.try_("createSpace", title="T", record=record, platform=platform)
        assert [error["code"] for error in payload["errors"]] == codes
    await moderator.do("updateRollout", removeHandles=["insider"])
    assert await _may(insider, "IOS") == (False, "percentage")
    for handles in (["nobody_is_this"], [""], ["x" * 1000], ["a\0b"], ["insider", "nobody_is_this"]):
        for field in ("allowHandles", "removeHandles"):
            given: dict[str, Any] = {field: handles}
            payload = await moderator.try_("updateRollout", **given)
            assert [(one["code"], one["path"]) for one in payload["errors"]] == [("INVALID_INPUT", [field])]
    assert await _may(insider, "IOS") == (False, "percentage")


async def test_a_dry_run_counts_and_changes_nothing(town: Town) -> None:
    people = [await town.person() for _ in range(4)]
    moderator = await town.moderator()
    want = "rollout { stage } gaining losing"

    async def count(**given: Any) -> tuple[int, int]:
        made = await moderator.do("updateRollout", want, dryRun=True, **given)
        return made["gaining"], made["losing"]

    assert await count() == (0, 0)
    assert await count(stage="OFF") == (0, 5)
    listed = [people[0].handle, people[1].handle]
    limited: dict[str, Any] = {
        "stage": "LIMITED",
        "platforms": ["WEB"],
        "percentage": 0,
        "allowHandles": listed,
    }
    assert await count(**limited) == (0, 3)
    assert (await town.anyone.read(ROLLOUT))["rollout"]["stage"] == "EVERYONE"
    await moderator.do("updateRollout", **limited)
    assert await count(stage="EVERYONE") == (3, 0)
    assert await count(percentage=100) == (3, 0)
    assert await count(allowHandles=[people[2].handle], removeHandles=[people[0].handle]) == (1, 1)
    assert await count(platforms=[]) == (0, 2)
    share = sum(bucket(uuid_of(person.id)) < 50 for person in (*people[2:], moderator))
    assert await count(percentage=50) == (share, 0)


def test_the_percentage_is_sticky_and_only_ever_lets_more_in() -> None:
    people = [new_id() for _ in range(2000)]
    assert [bucket(one) for one in people] == [bucket(one) for one in people]
    within = [{one for one in people if bucket(one) < percentage} for percentage in range(101)]
    for smaller, larger in pairwise(within):
        assert smaller <= larger
    assert within[0] == set()
    assert within[100] == set(people)
    for percentage in (10, 50, 90):
        assert abs(len(within[percentage]) / len(people) - percentage / 100) < 0.05


@given(people=st.lists(st.uuids(), unique=True), smaller=st.integers(0, 100), larger=st.integers(0, 100))
def test_from_10_to_20_or_between_any_two_percentages_nobody_is_lost(
    people: list[UUID], smaller: int, larger: int
) -> None:
    assume(smaller <= larger)
    for one in people:
        assert bucket(one) in range(100)
        assert not bucket(one) < smaller or bucket(one) < larger


def test_20000_accounts_spread_within_one_percent_of_every_percentage() -> None:
    buckets = Counter(bucket(uuid5(NAMESPACE_URL, f"person_{number}")) for number in range(20_000))
    within = 0
    for percentage in range(101):
        assert abs(within / 20_000 - percentage / 100) < 0.01
        within += buckets[percentage]
    assert within == 20_000


async def test_a_rollout_from_10_to_20_percent_gains_what_was_foretold_and_loses_nobody(town: Town) -> None:
    people, moderator = await crowd(town, 60), await town.moderator()
    await moderator.do("updateRollout", stage="LIMITED", platforms=["WEB"], percentage=10)
    before = {one.handle for one in people if (await _may(one))[0]}
    foretold = await moderator.do("updateRollout", "gaining losing", percentage=20, dryRun=True)
    assert {one.handle for one in people if (await _may(one))[0]} == before
    await moderator.do("updateRollout", percentage=20)
    after = {one.handle for one in people if (await _may(one))[0]}
    assert before <= after
    its_own = await _may(moderator) == (True, "percentage") and bucket(uuid_of(moderator.id)) >= 10
    assert (foretold["gaining"], foretold["losing"]) == (len(after - before) + its_own, 0)


async def test_off_at_launch_is_refused_with_the_way_out_and_stops_nothing_that_runs(town: Town) -> None:
    host, other, moderator = await town.person(), await town.person(), await town.moderator()
    running = await other.live_space(record=True)
    space_id = (await host.new_space(record=True))["id"]
    await moderator.do("updateRollout", stage="LIMITED", platforms=[], percentage=0)
    assert await _may(host) == (False, "platform")
    await moderator.do("updateRollout", stage="OFF")
    assert await _may(host) == (False, "off")
    payload = await host.try_("startSpace", "space { id }", spaceId=space_id)
    assert payload["errors"][0]["code"] == "RECORDING_NOT_ROLLED_OUT"
    assert "toggleRecording" in payload["errors"][0]["message"]
    assert (await host.space(space_id, "state recording { status }")) == {
        "state": "SCHEDULED",
        "recording": {"status": "ARMED"},
    }
    assert (await other.space(running, "isRecording"))["isRecording"]
    assert await _toggle(host, space_id, enabled=False) == []
    await host.do("startSpace", spaceId=space_id)
    assert not (await host.space(space_id, "isRecording"))["isRecording"]


async def test_what_was_toggled_while_allowed_stays_allowed_in_limited(town: Town) -> None:
    host, moderator = await town.person(), await town.moderator()
    space_id = (await host.new_space(record=True))["id"]
    await moderator.do("updateRollout", stage="LIMITED", platforms=[], percentage=0)
    await host.do("startSpace", spaceId=space_id, platform="ANDROID")
    assert (await host.space(space_id, "isRecording"))["isRecording"]


async def test_a_default_that_is_not_allowed_falls_back_to_off(town: Town) -> None:
    host, moderator = await town.person(), await town.moderator()
    await host.do("updateAccount", recordsByDefault=True)
    await moderator.do("updateRollout", stage="LIMITED", platforms=["IOS"], percentage=100)
    assert not (await host.new_space("recordingEnabled"))["recordingEnabled"]
    assert (await host.new_space("recordingEnabled", platform="IOS"))["recordingEnabled"]
    assert await host.refused("createSpace", title="T", record=True) == "RECORDING_NOT_ROLLED_OUT"
    assert await _may(host, "IOS") == (True, "percentage")


@pytest.mark.parametrize("stage", list(RolloutStage))
async def test_listening_is_never_gated(town: Town, stage: RolloutStage) -> None:
    from tests.product.voices import recorded

    host, moderator = await town.person(), await town.moderator()
    talk = await recorded(town, host)
    await moderator.do("updateRollout", stage=stage.value, platforms=[], percentage=0)
    assert len(Platform) == 4
    assert (await town.anyone.space(talk.space_id, "recording { viewerCanPlay }"))["recording"] == {
        "viewerCanPlay": True
    }
