"""Policies: what runs under one keeps to it, whatever the settings say later."""

from datetime import timedelta
from pathlib import Path

import pytest

from models.retention_policy import RetentionPolicyRow
from tests.product.court import RETENTION, Court, moment, open_court, spaces
from tests.product.town import MovableClock, Person, Town, open_town

DAY = timedelta(days=1)


async def days(by: Person, recording_id: str) -> tuple[str, timedelta]:
    """A recording's policy version, and how long it is public."""
    query = f"query($id: ID!) {{ recording(id: $id) {{ endedAt {RETENTION} }} }}"
    found = (await by.read(query, id=recording_id))["recording"]
    until = moment(found["retention"]["publicUntil"]) - moment(found["endedAt"])
    return found["retention"]["policyVersion"], until


async def record(town: Town, host: Person) -> str:
    space_id = await host.live_space(record=True)
    await host.do("endSpace", spaceId=space_id)
    return str((await host.recording(space_id, "id"))["id"])


def at_home(town: Town, host: Person) -> Person:
    """The same person at a server that was started again."""
    return Person(town, token=host.token, id=host.id, handle=host.handle)


async def test_a_recording_keeps_the_policy_that_it_began_under(tmp_path: Path) -> None:
    async with open_court(tmp_path) as court:
        host, first = court.host, await court.recorded()
    async with open_town(tmp_path, quiet=True, public_days=10, review_days=60) as town:
        host = at_home(town, host)
        second = await record(town, host)
        assert await days(host, first) == ("1", 30 * DAY)
        assert await days(host, second) == ("2", 10 * DAY)
    async with open_town(tmp_path, quiet=True) as town:
        host = at_home(town, host)
        third = await record(town, host)
        assert [(await days(host, one))[0] for one in (first, second, third)] == ["1", "2", "3"]


async def test_shortening_the_settings_shortens_nothing_that_runs(tmp_path: Path) -> None:
    clock = MovableClock()
    async with open_court(tmp_path, clock=clock, review_days=60) as court:
        host, (recording_id, gone_at) = court.host, await court.deleted()
    async with open_town(tmp_path, quiet=True, clock=clock, review_days=30) as town:
        host = at_home(town, host)
        for instant, status in (
            (gone_at + 60 * DAY - timedelta(milliseconds=1), "DELETED"),
            (gone_at + 60 * DAY, "PURGED"),
        ):
            clock.stand_at(instant)
            await town.round()
            query = "query($id: ID!) { recording(id: $id) { status } }"
            assert (await host.read(query, id=recording_id))["recording"]["status"] == status


async def test_a_start_with_the_same_settings_makes_no_new_version(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_town(tmp_path, quiet=True):
            assert await RetentionPolicyRow.all().count() == 1


@pytest.mark.starts_processes
async def test_commands_with_other_settings_change_no_policy(court: Court) -> None:
    status, printed = await spaces(court.town.data_dir, "retention", "plan", SPACES_PUBLIC_DAYS="7")
    assert status == 0, printed
    assert (await spaces(court.town.data_dir, "retention", "run", SPACES_REVIEW_DAYS="90"))[0] == 0
    assert [row.version for row in await RetentionPolicyRow.all()] == [1]


async def test_a_worker_learns_of_policies_that_another_process_adopts(court: Court) -> None:
    from dataclasses import replace

    from models.recording import Recording
    from services.policies import PolicyBook
    from services.rules import RetentionPolicy

    recording_id, gone_at = await court.deleted()
    other = PolicyBook(replace(RetentionPolicy(), review_for=40 * DAY))
    await other.adopt(gone_at)
    assert other.current.version == 2
    await Recording.all().update(policy_version=2, purge_at=gone_at + 40 * DAY)

    await court.at(gone_at + 40 * DAY)
    assert await court.status(recording_id) == "PURGED"
    assert court.town.built.house.policies.current.version == 1
