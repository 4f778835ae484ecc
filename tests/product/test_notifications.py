"""Reminders and what else people are told, by query and subscription."""

import asyncio
from datetime import timedelta

import pytest

from models.announcement import Announcement
from models.block import Block
from models.notification import Notification
from services import announcements, leases
from services.changes import new_id
from tests.product.post import (
    kinds,
    post,
    scheduled,
    told,
)
from tests.product.town import PATIENCE_S, Town
from tests.product.voices import at, iso, recorded, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINUTE = timedelta(minutes=1)


async def test_who_asked_is_reminded_10_minutes_before_and_at_launch(city: Town) -> None:
    city.clock.stand_at(city.clock.now())
    host, fan, other = await city.person("mira_host"), await city.person(), await city.person()
    space_id = await scheduled(host)
    answer = await fan.do(
        "setReminder", "space { reminderCount viewerHasReminder }", spaceId=space_id, enabled=True
    )
    assert answer["space"] == {"reminderCount": 1, "viewerHasReminder": True}
    assert await other.space(space_id, "reminderCount viewerHasReminder") == {
        "reminderCount": 1,
        "viewerHasReminder": False,
    }
    start = city.clock.now() + timedelta(hours=1)
    city.clock.stand_at(start - 10 * MINUTE - timedelta(milliseconds=1))
    await post(city)
    assert await told(fan) == []
    city.clock.stand_at(start - 10 * MINUTE)
    await post(city)
    await post(city)
    (reminder,) = await told(fan)
    assert reminder == {
        "kind": "REMINDER",
        "at": iso(start - 10 * MINUTE),
        "message": "“Tea time” by Mira_Host starts soon.",
        "space": {"id": space_id},
        "recording": None,
    }
    city.clock.stand_at(start)
    await host.do("startSpace", spaceId=space_id)
    await post(city)
    # The server's own postman was woken too, and may have taken it.
    async with asyncio.timeout(PATIENCE_S):
        while len(await told(fan)) < 2:
            await asyncio.sleep(0.02)
    assert [one["message"] for one in await told(fan)] == [
        "“Tea time” by Mira_Host is live now.",
        "“Tea time” by Mira_Host starts soon.",
    ]
    assert await told(other) == []
    await host.do("endSpace", spaceId=space_id)


async def test_asking_twice_is_once_and_can_be_taken_back(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    space_id = await scheduled(host)
    for enabled, count in ((True, 1), (True, 1), (False, 0), (False, 0), (True, 1), (False, 0)):
        answer = await fan.do(
            "setReminder", "space { reminderCount viewerHasReminder }", spaceId=space_id, enabled=enabled
        )
        assert answer["space"] == {"reminderCount": count, "viewerHasReminder": enabled}
    await host.do("startSpace", spaceId=space_id)
    await post(city)
    assert await told(fan) == []
    assert await fan.refused("setReminder", spaceId=space_id, enabled=True) == "ALREADY_LIVE"
    await host.do("endSpace", spaceId=space_id)
    assert await fan.refused("setReminder", spaceId=space_id, enabled=True) == "ALREADY_ENDED"
    assert await city.anyone.refused("setReminder", spaceId=space_id, enabled=True) == "UNAUTHENTICATED"
    assert await fan.refused("setReminder", spaceId="x", enabled=True) == "NOT_FOUND"


@pytest.mark.parametrize("fate", ["canceled", "launched early", "moved", "blocked", "suspended"])
async def test_nobody_is_reminded_of_what_will_not_be_then(city: Town, fate: str) -> None:
    city.clock.stand_at(city.clock.now())
    host, fan = await city.person(), await city.person()
    space_id = await scheduled(host)
    await fan.do("setReminder", spaceId=space_id, enabled=True)
    start = city.clock.now() + timedelta(hours=1)
    expected: list[str] = []
    if fate == "canceled":
        await host.do("cancelSpace", spaceId=space_id)
    elif fate == "launched early":
        await host.do("startSpace", spaceId=space_id)
        await post(city)
        expected = ["SPACE_STARTED"]
    elif fate == "moved":
        await host.do("updateSpace", spaceId=space_id, scheduledStart=iso(start + timedelta(hours=1)))
    elif fate == "blocked":
        await Block.create(
            id=new_id(), blocker_id=uuid_of(host.id), blocked_id=uuid_of(fan.id), created_at=city.clock.now()
        )
    else:
        await (await city.moderator()).do(
            "suspendAccount",
            userId=fan.id,
            suspension="ACCOUNT",
            reason="x",
            until=iso(start + timedelta(hours=5)),
        )
    city.clock.stand_at(start - 10 * MINUTE)
    await post(city)
    account_id = uuid_of(fan.id)
    assert [row.kind.value for row in await Notification.filter(account_id=account_id)] == expected
    if fate == "moved":
        city.clock.stand_at(start + 50 * MINUTE)
        await post(city)
        assert await kinds(fan) == ["REMINDER"]
        await host.do("updateSpace", spaceId=space_id, scheduledStart=iso(start + timedelta(hours=2)))
        city.clock.stand_at(start + 110 * MINUTE)
        await post(city)
        assert await kinds(fan) == ["REMINDER", "REMINDER"]


async def test_a_server_that_was_away_reminds_late_while_it_is_still_true(city: Town) -> None:
    city.clock.stand_at(city.clock.now())
    host, fan = await city.person(), await city.person()
    space_id = await scheduled(host)
    await fan.do("setReminder", spaceId=space_id, enabled=True)
    city.clock.stand_at(city.clock.now() + timedelta(hours=2))
    await post(city)
    assert await kinds(fan) == ["REMINDER"]


async def test_a_subscription_goes_on_from_any_cursor(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    query = "subscription($after: String) { notifications(after: $after) { cursor node { kind message } } }"
    async with fan.socket() as socket:
        live = await socket.subscribe(query)
        cursors = []
        for _ in range(3):
            space_id = (await host.new_space())["id"]
            await fan.do("setReminder", spaceId=space_id, enabled=True)
            await host.do("startSpace", spaceId=space_id)
            edge = await socket.next(live)
            assert edge["node"]["kind"] == "SPACE_STARTED"
            cursors.append(edge["cursor"])
            await host.do("endSpace", spaceId=space_id)
        again = await socket.subscribe(query, after=cursors[0])
        assert [(await socket.next(again))["cursor"] for _ in range(2)] == cursors[1:]
    page = "{ viewer { notifications(first: 2) { edges { cursor } pageInfo { hasNextPage endCursor } } } }"
    found = (await fan.read(page))["viewer"]["notifications"]
    assert [edge["cursor"] for edge in found["edges"]] == [cursors[2], cursors[1]]
    assert found["pageInfo"] == {"hasNextPage": True, "endCursor": cursors[1]}
    rest = await fan.read(
        "query($a: String) { viewer { notifications(after: $a) { edges { cursor } pageInfo { hasNextPage } } } }",
        a=cursors[1],
    )
    assert rest["viewer"]["notifications"] == {
        "edges": [{"cursor": cursors[0]}],
        "pageInfo": {"hasNextPage": False},
    }
    async with host.socket() as socket:
        foreign = await socket.subscribe(query, after=cursors[0])
        message = await socket.message(foreign)
        assert "INVALID_INPUT" in str(message)
    async with city.anyone.socket() as socket:
        assert "UNAUTHENTICATED" in str(await socket.message(await socket.subscribe(query)))
    city.clock.move(timedelta(days=31))
    async with fan.socket() as socket:
        late = await socket.subscribe(query, after=cursors[0])
        assert "CURSOR_EXPIRED" in str(await socket.message(late))


async def test_a_notification_is_its_persons_alone(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    await recorded(city, host)
    (mine,) = await told(host, "id kind")
    query = "query($id: ID!) { node(id: $id) { ... on Notification { kind } } }"
    assert (await host.read(query, id=mine["id"]))["node"] == {"kind": "RECORDING_AVAILABLE"}
    assert (await fan.read(query, id=mine["id"]))["node"] is None
    assert (await city.anyone.read(query, id=mine["id"]))["node"] is None


async def test_a_host_hears_of_the_recording_that_is_there_expires_and_is_taken_down(city: Town) -> None:
    host = await city.person()
    talk = await recorded(city, host)
    (available,) = await told(host)
    assert available["kind"] == "RECORDING_AVAILABLE"
    assert available["recording"] == {"id": talk.recording_id}
    ended = city.clock.now()
    city.clock.stand_at(ended + timedelta(days=27) - timedelta(minutes=1))
    await post(city)
    assert await kinds(host) == ["RECORDING_AVAILABLE"]
    city.clock.stand_at(ended + timedelta(days=27))
    await post(city)
    assert await kinds(host) == ["RECORDING_EXPIRING", "RECORDING_AVAILABLE"]
    reporter, moderator = await city.person(), await city.moderator()
    await reporter.do("report", subjectId=talk.recording_id, category="SPAM", reason="x")
    await moderator.do("reviewRecording", recordingId=talk.recording_id, decision="VIOLATION", note="x")
    assert await kinds(host) == ["RECORDING_TAKEN_DOWN", "RECORDING_EXPIRING", "RECORDING_AVAILABLE"]
    assert await kinds(reporter) == ["CASE_CLOSED"]
    await host.do("appeal", recordingId=talk.recording_id, statement="No")
    await moderator.do("reviewRecording", recordingId=talk.recording_id, decision="CLEAR", note="x")
    assert (await kinds(host))[0] == "CASE_CLOSED"
    assert await kinds(reporter) == ["CASE_CLOSED"]


async def test_no_word_of_expiry_for_a_recording_that_is_gone(city: Town) -> None:
    host = await city.person()
    talk = await recorded(city, host)
    await host.do("deleteRecording", recordingId=talk.recording_id)
    city.clock.move(timedelta(days=28))
    await post(city)
    assert await kinds(host) == ["RECORDING_AVAILABLE"]


async def test_everybody_is_told_once_although_workers_are_killed_on_the_way(
    city: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcements, "_BATCH", 2)
    city.clock.stand_at(city.clock.now())
    host = await city.person()
    fans = [await city.person() for _ in range(5)]
    space_id = await scheduled(host)
    for fan in fans:
        await fan.do("setReminder", spaceId=space_id, enabled=True)
    city.clock.stand_at(city.clock.now() + 50 * MINUTE)
    house = city.built.house
    (leased,) = await leases.claim(house, Announcement, "killed", most=10)
    assert await announcements._announce_some(house, leased, "killed")
    assert await leases.claim(house, Announcement, "another", most=10) == []
    await post(city)
    counts = [len(await kinds(fan)) for fan in fans]
    assert sorted(counts) == [0, 0, 0, 1, 1]
    city.clock.stand_at(city.clock.now() + house.rules.lease_for)
    await asyncio.gather(post(city), post(city))
    assert [await kinds(fan) for fan in fans] == [["REMINDER"]] * 5
    # The one who was slow, not dead, comes back and changes nothing.
    await announcements.announce(house, leased, "killed")
    assert [await kinds(fan) for fan in fans] == [["REMINDER"]] * 5


async def test_a_reminder_comes_at_its_moment_without_waiting_for_a_round(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    due_in = timedelta(seconds=1.5)
    async with fan.socket() as socket:
        notices = await socket.subscribe("subscription { notifications { node { kind at } } }")
        start = city.clock.now() + 10 * MINUTE + due_in
        space = await host.new_space(scheduledStart=iso(start))
        await fan.do("setReminder", spaceId=space["id"], enabled=True)
        edge = await socket.next(notices)
    assert edge["node"]["kind"] == "REMINDER"
    assert start - 10 * MINUTE <= at(edge["node"]["at"]) < start
