"""Transactions that run side by side, as they do on PostgreSQL: nothing is lost, done twice or waits for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from models import database as rows
from models.audit_entry import AuditEntry
from models.dialect import Clash, Lock, alone
from models.recording import Recording
from models.timeline_event import TimelineEventKind
from models.timeline_item import TimelineItem
from services import audit, purge
from services.changes import again, change
from tests.product.court import spaces
from tests.product.databases import databases
from tests.product.purger import make_deleted
from tests.product.town import Town
from tests.product.voices import uuid_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("database", ["postgres"], indirect=True, scope="module"),
]

UPDATES = "subscription($after: String) { timelineUpdates(after: $after) { cursor kind item { id } itemId } }"


async def _card(space_id: str) -> TimelineItem:
    return await TimelineItem.get(space_id=uuid_of(space_id))


async def test_a_card_whose_change_commits_late_is_heard_all_the_same(city: Town) -> None:
    host = await city.person()
    late, early = [await _card((await host.new_space())["id"]) for _ in range(2)]
    house = city.built.house
    outside = copy_context()
    async with host.socket() as socket:
        updates = await socket.subscribe(UPDATES)
        await socket.until(updates, kind="SNAPSHOT")

        async def quick() -> None:
            async with change(house) as made:
                await made.tell_timeline(early, TimelineEventKind.CHANGED)

        async with change(house) as made:
            await made.tell_timeline(late, TimelineEventKind.CHANGED)
            await made.audit("test", "card", late.id)  # its transaction has begun to write
            await asyncio.create_task(quick(), context=outside)
            first = await socket.next(updates)
        second = await socket.next(updates)
        assert [uuid_of(event["itemId"]) for event in (first, second)] == [early.id, late.id]
        again_from = await socket.subscribe(UPDATES, after=first["cursor"])
        assert uuid_of((await socket.next(again_from))["itemId"]) == late.id


async def test_what_many_say_at_once_everyone_hears_once(city: Town) -> None:
    fan, *hosts = [await city.person() for _ in range(7)]
    for host in hosts:
        await fan.do("follow", userId=host.id)
    async with fan.socket() as socket:
        updates = await socket.subscribe(UPDATES)
        await socket.until(updates, kind="SNAPSHOT")
        made = await asyncio.gather(*(host.new_space() for host in hosts for _ in range(5)))
        heard = [(await socket.next(updates))["item"]["id"] for _ in made]
    assert len(set(heard)) == len(made)


async def test_people_who_follow_each_other_at_once_wait_for_nobody(city: Town) -> None:
    people = [await city.person() for _ in range(4)]
    pairs = [(one, other) for one in people for other in people if one is not other]
    for mutation, count in (("follow", 3), ("unfollow", 0)):
        payloads = await asyncio.gather(*(one.try_(mutation, userId=other.id) for one, other in pairs))
        assert [payload["errors"] for payload in payloads] == [[]] * len(pairs)
        for person in people:
            counts = await person.read("{ viewer { user { followerCount followingCount } } }")
            assert counts["viewer"]["user"] == {"followerCount": count, "followingCount": count}


async def test_workers_take_different_recordings_and_none_waits_for_another(city: Town) -> None:
    house = city.built.house
    due = {(await make_deleted(house)).id for _ in range(6)}
    now = house.clock.now() + timedelta(days=31)
    taken = await asyncio.gather(
        *(purge.claim(house, f"worker {number}", now=now, most=2) for number in range(5))
    )
    ids = [one for some in taken for one in some]
    assert len(ids) == len(set(ids))
    assert set(ids) <= due
    rest = [await purge.claim(house, "the next", now=now, most=2) for _ in range(4)]
    assert sorted([*ids, *(one for some in rest for one in some)]) == sorted(due)


async def test_a_recording_that_somebody_holds_is_left_to_him_and_the_others_are_taken(city: Town) -> None:
    house = city.built.house
    held, other = [(await make_deleted(house)).id for _ in range(2)]
    is_held, is_over = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with change(house):
            await Recording.select_for_update().get(id=held)
            is_held.set()
            await is_over.wait()

    async def take() -> list[UUID]:
        await is_held.wait()
        try:
            now = house.clock.now() + timedelta(days=31)
            return await asyncio.wait_for(purge.claim(house, "quick", now=now, most=50), 20)
        finally:
            is_over.set()

    _, taken = await asyncio.gather(hold(), take())
    assert other in taken
    assert held not in taken


async def test_two_who_seal_at_once_make_one_chain(city: Town) -> None:
    house = city.built.house
    async with change(house) as made:
        for _ in range(20):
            await made.audit("test", "card", UUID(int=1))
    waiting = await AuditEntry.filter(number=None).count()
    sealed = await asyncio.gather(*(audit.seal(house.audit_head) for _ in range(4)))
    assert sum(sealed) == waiting
    assert (await audit.verify(house.audit_head)).problem is None
    assert not await AuditEntry.filter(number=None).exists()


async def test_of_two_that_wait_for_each_other_one_is_undone_and_done_again(city: Town) -> None:
    house = city.built.house
    attempts: list[str] = []
    both_hold = asyncio.Barrier(2)

    async def work(name: str, first: Lock, second: Lock) -> str:
        attempts.append(name)
        async with change(house):
            await alone(first)
            if attempts.count(name) == 1:
                await both_hold.wait()
            await alone(second)
        return name

    done = await asyncio.gather(
        again(lambda: work("one", Lock.AUDIT_CHAIN, Lock.ROLLOUT)),
        again(lambda: work("other", Lock.ROLLOUT, Lock.AUDIT_CHAIN)),
    )
    assert list(done) == ["one", "other"]
    assert len(attempts) == 3


async def test_what_has_changed_something_already_is_not_done_again(city: Town) -> None:
    house = city.built.house
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        async with change(house):
            pass
        raise Clash

    with pytest.raises(Clash):
        await again(work)
    assert runs == 1


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Path]:
    """A data folder whose database is empty."""
    folder = tmp_path / "data"
    databases.url(folder)
    yield folder
    with suppress(Exception):
        await rows.close()


@pytest.mark.starts_processes
@pytest.mark.long
async def test_the_command_line_serves_postgresql_from_an_empty_database_on(fresh: Path) -> None:
    at_once = await asyncio.gather(*(spaces(fresh, "migrate") for _ in range(3)))
    assert [(status, text.strip()) for status, text in at_once] == [(0, "The database is up to date.")] * 3
    _, printed = await spaces(fresh, "doctor")
    assert "answers, and its migrations are up to date" in printed
    assert await spaces(fresh, "audit", "verify") == (
        0,
        "0 entries are sealed and whole; 0 wait to be sealed.\n",
    )
    status, printed = await spaces(fresh, "retention", "run")
    assert status == 0, printed
    lost = {"SPACES_DATABASE_URL": "postgres://nobody@127.0.0.1:1/nowhere"}
    _, printed = await spaces(fresh, "doctor", **lost)
    assert "cannot be read" in printed
