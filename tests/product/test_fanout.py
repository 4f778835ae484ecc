"""Many are told of one event at the price of one, and everybody hears just what they would have heard alone."""

import asyncio
import contextlib
import json
import random
import socket as sockets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.product.town import Person, Socket, Town
from tests.product.voices import speak

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLAIN = "cursor kind space { title participantCount host { handle } }"


def updates(fields: str) -> str:
    """A subscription to a Space."""
    return f"subscription($id: ID!, $after: String) {{ spaceUpdates(spaceId: $id, after: $after) {{ {fields} }} }}"


async def counted(town: Town, what: str) -> float:
    """One of the server's own counts."""
    text = (await town.http.get("/metrics")).text
    return next(
        float(line.split()[1])
        for line in text.splitlines()
        if line.startswith(f"spaces_subscriptions_{what} ")
    )


@contextlib.asynccontextmanager
async def following(
    people: list[Person], query: str, **variables: Any
) -> AsyncIterator[list[tuple[Socket, str]]]:
    """Everyone follows by a socket of their own, and has heard the snapshot."""
    async with contextlib.AsyncExitStack() as stack:
        open_ones = [await stack.enter_async_context(person.socket()) for person in people]
        names = [await one.subscribe(query, **variables) for one in open_ones]
        for one, name in zip(open_ones, names, strict=True):
            assert (await one.next(name))["kind"] == "SNAPSHOT"
        yield list(zip(open_ones, names, strict=True))


async def settle(host: Person, space_id: str, open_ones: list[tuple[Socket, str]]) -> None:
    """Let an event come to all, so that all hear together from then on."""
    await host.do("updateSpace", spaceId=space_id, title="Settled")
    for one, name in open_ones:
        assert (await one.next(name))["kind"] == "UPDATED"


async def test_one_event_is_executed_once_for_all_who_get_the_same(city: Town) -> None:
    host, guests = await city.person(), [await city.person() for _ in range(3)]
    space_id = (await host.new_space())["id"]
    everybody = [host, *guests, *[city.anyone] * 12]
    # Written in another way, and with other blanks, it is the same document.
    same = updates(PLAIN).replace(" ", "  ") + "# the same"
    async with (
        following(everybody, updates(PLAIN), id=space_id) as ones,
        following(everybody, same, id=space_id) as others,
    ):
        await settle(host, space_id, ones + others)
        executions, messages = await counted(city, "executions"), await counted(city, "messages")
        for number in range(3):
            await host.do("updateSpace", spaceId=space_id, title=f"Title {number}")
            heard = [await one.next(name) for one, name in ones + others]
            assert heard == [heard[0]] * 32
            assert heard[0]["space"]["title"] == f"Title {number}"
        assert await counted(city, "executions") - executions == 3
        assert await counted(city, "messages") - messages == 3 * 32


async def test_another_selection_or_another_variable_of_it_is_executed_by_itself(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    paged = """subscription($id: ID!, $first: Int) { spaceUpdates(spaceId: $id) {
      kind space { participants(first: $first) { edges { node { user { handle } } } } } } }"""
    everybody = [city.anyone] * 2
    async with (
        following(everybody, paged, id=space_id, first=1) as ones,
        following(everybody, paged, id=space_id, first=2) as twos,
        following(everybody, updates("kind"), id=space_id) as others,
    ):
        await settle(host, space_id, ones + twos + others)
        executions = await counted(city, "executions")
        await host.do("updateSpace", spaceId=space_id, title="New")
        for one, name in ones + twos + others:
            assert (await one.next(name))["kind"] == "UPDATED"
        assert await counted(city, "executions") - executions == 3


FIELDS = (
    "kind",
    "cursor",
    "... on ParticipantChanged { toRole participant { id role platform recordingAcknowledgedAt user { handle } } }",
    "space { title participantCount host { handle viewerFollows viewerBlocks } }",
    "space { participants { edges { node { user { handle } platform recordingAcknowledgedAt } } } }",
    "space { viewerParticipation { role handRaised } viewerHasReminder reminderCount }",
    "space { recording { status viewerCanDelete viewerCanShare viewerCanPlay viewerPositionMs } }",
    "space { recording { playback { url } download { url } retention { policyVersion } } }",
    "space { ticketing { sold } viewerTicket { id } cohosts { handle viewerFollows } }",
)


async def test_everybody_hears_what_they_would_have_been_answered_alone(city: Town) -> None:
    """The oracle is the query, which is executed for each by itself."""
    chance = random.Random(7)
    host, guest, fan, moderator = (
        await city.person(),
        await city.person(),
        await city.person(),
        await city.moderator(),
    )
    hider, blocked = await city.person(), await city.person()
    await fan.do("follow", userId=host.id)
    space_id = await host.live_space(record=True)
    await speak(city, space_id, 0.5)
    for person in (guest, hider, blocked):
        await person.do("joinSpace", spaceId=space_id)
    await hider.do("block", userId=blocked.id)
    everybody = [host, guest, fan, moderator, hider, blocked, city.anyone, city.anyone]
    documents = [" ".join(chance.sample(FIELDS, chance.randint(1, 4))) + " kind cursor" for _ in range(6)]
    # Links are the same as long as the clock stands.
    city.clock.stand_at(city.clock.now())
    async with contextlib.AsyncExitStack() as stack:
        follows: list[tuple[Person, str, Socket, str]] = []
        for fields in documents:
            entered = following(everybody, updates(fields), id=space_id)
            for person, (one, name) in zip(everybody, await stack.enter_async_context(entered), strict=True):
                follows.append((person, fields, one, name))
        await settle(host, space_id, [(one, name) for _, _, one, name in follows])
        after = (await host.read(_LAST, id=space_id))["spaceEvents"]["pageInfo"]["endCursor"]
        works: list[tuple[Person, str, dict[str, Any]]] = [
            (host, "updateSpace", {"title": "Seen by all"}),
            (guest, "raiseHand", {"raised": True}),
            (blocked, "raiseHand", {"raised": True}),
            (host, "setParticipantRole", {"userId": guest.id, "role": "SPEAKER"}),
        ]
        for who, mutation, given in works:
            before = after
            await who.do(mutation, spaceId=space_id, **given)
            after = (await host.read(_LAST, id=space_id))["spaceEvents"]["pageInfo"]["endCursor"]
            for person, fields, one, name in follows:
                alone = await person.read(
                    f"query($id: ID!, $after: String) {{ spaceEvents(spaceId: $id, after: $after) {{"
                    f" edges {{ node {{ {fields} }} }} }} }}",
                    id=space_id,
                    after=before,
                )
                for edge in alone["spaceEvents"]["edges"]:
                    assert await one.next(name) == edge["node"], (person.handle, fields)


_LAST = "query($id: ID!) { spaceEvents(spaceId: $id) { pageInfo { endCursor } } }"


async def test_a_link_to_listen_with_is_each_listeners_own(city: Town) -> None:
    host, guest = await city.person(), await city.person()
    space_id = await host.live_space()
    everybody = [host, guest, city.anyone, city.anyone]
    async with following(everybody, updates("kind space { live { url } }"), id=space_id) as ones:
        await settle(host, space_id, ones)
        await host.do("updateSpace", spaceId=space_id, title="Again")
        urls = [(await one.next(name))["space"]["live"]["url"] for one, name in ones]
    assert len(set(urls)) == 4


async def test_who_is_blocked_hears_nothing_more_and_the_others_everything(city: Town) -> None:
    host, guest, other = await city.person(), await city.person(), await city.person()
    space_id = (await host.new_space())["id"]
    async with following([guest, other, city.anyone], updates("kind space { title }"), id=space_id) as ones:
        await settle(host, space_id, ones)
        (his, name), *rest = ones
        storm = asyncio.create_task(retitle(host, space_id, 20))
        await host.do("block", userId=guest.id)
        titles_at_block = (await host.space(space_id, "title"))["title"]
        while (message := await his.message(name))["type"] == "next":
            # What was told was so before the block was answered.
            assert message["payload"]["data"]["spaceUpdates"]["space"]["title"] <= titles_at_block
        assert message["payload"][0]["extensions"]["code"] == "NOT_FOUND"
        await storm
        for one, its_name in rest:
            heard = [event["space"]["title"] async for event in until_title(one, its_name, "Title 19")]
            assert sorted(heard) == heard
        await host.do("unblock", userId=guest.id)
        again = await his.subscribe(updates("kind"), id=space_id)
        assert (await his.next(again))["kind"] == "SNAPSHOT"


async def retitle(host: Person, space_id: str, count: int) -> None:
    """So many events."""
    for number in range(count):
        await host.do("updateSpace", spaceId=space_id, title=f"Title {number:02d}")


async def until_title(one: Socket, name: str, title: str) -> AsyncIterator[Any]:
    """Events up to the one with this title."""
    while True:
        event = await one.next(name)
        yield event
        if event["space"]["title"] == title:
            return


async def test_what_a_blocked_person_does_is_told_to_the_others_alone(city: Town) -> None:
    host, one, two = await city.person(), await city.person(), await city.person()
    space_id = await host.live_space()
    for person in (one, two):
        await person.do("joinSpace", spaceId=space_id)
    async with following([one, host], updates("kind"), id=space_id) as ((his, his_name), (hers, her_name)):
        await settle(host, space_id, [(his, his_name), (hers, her_name)])
        await one.do("block", userId=two.id)
        await two.do("raiseHand", spaceId=space_id, raised=True)
        await host.do("updateSpace", spaceId=space_id, title="Next")
        assert [(await hers.next(her_name))["kind"] for _ in range(2)] == ["HAND_CHANGED", "UPDATED"]
        assert (await his.next(his_name))["kind"] == "UPDATED"
        await one.do("unblock", userId=two.id)
        await two.do("raiseHand", spaceId=space_id, raised=False)
        assert (await hers.next(her_name))["kind"] == (await his.next(his_name))["kind"] == "HAND_CHANGED"


async def test_who_reads_slowly_holds_up_nobody_and_misses_nothing(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space(description="x" * 5000))["id"]
    fields = "kind cursor space { title " + " ".join(f"d{number}: description" for number in range(30)) + " }"
    with sockets.socket() as narrow:
        narrow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 65_536)
        narrow.setblocking(False)
        port = int(city.url.rpartition(":")[2])
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", port))
        protocol = [Subprotocol("graphql-transport-ws")]
        async with connect(
            f"ws://127.0.0.1:{port}/graphql", sock=narrow, subprotocols=protocol, max_size=None
        ) as raw:
            await raw.send(json.dumps({"type": "connection_init"}))
            await raw.recv()
            slow = Socket(raw)
            name = await slow.subscribe(updates(fields), id=space_id)
            async with following([city.anyone], updates(fields), id=space_id) as ((quick, quick_name),):
                await slow.next(name)
                await settle(host, space_id, [(slow, name), (quick, quick_name)])
                behind = await counted(city, "behind")
                raw.transport.pause_reading()
                told: list[str] = []
                while await counted(city, "behind") == behind or len(told) < 40:
                    await host.do("updateSpace", spaceId=space_id, title=f"Title {len(told)}")
                    event = await quick.next(quick_name)
                    assert event["space"]["title"] == f"Title {len(told)}"
                    told.append(event["cursor"])
                raw.transport.resume_reading()
                assert [(await slow.next(name))["cursor"] for _ in told] == told
                # It hears with the others again.
                executions = await counted(city, "executions")
                await settle(host, space_id, [(slow, name), (quick, quick_name)])
                assert await counted(city, "executions") - executions == 1


async def test_who_comes_and_goes_in_a_storm_hears_each_event_once_and_in_order(city: Town) -> None:
    chance = random.Random(3)
    host = await city.person()
    people = [city.anyone, host, await city.person()]
    space_id = (await host.new_space())["id"]
    first = (await host.read(_LAST, id=space_id))["spaceEvents"]["pageInfo"]["endCursor"]
    storm = asyncio.create_task(retitle(host, space_id, 60))

    async def come_and_go(person: Person, stays: list[int]) -> list[str]:
        heard: list[str] = []
        after = first
        for stay in stays:
            async with person.socket() as one:
                name = await one.subscribe(updates("cursor space { title }"), id=space_id, after=after)
                for _ in range(stay):
                    after = (await one.next(name))["cursor"]
                    heard.append(after)
        return heard

    def stays() -> list[int]:
        places = sorted(chance.sample(range(1, 60), 4))
        return [end - start for start, end in zip([0, *places], [*places, 60], strict=True)]

    heard = await asyncio.gather(*(come_and_go(chance.choice(people), stays()) for _ in range(8)))
    await storm
    pulled = await host.read(
        "query($id: ID!, $after: String) { spaceEvents(spaceId: $id, after: $after) { edges { cursor } } }",
        id=space_id,
        after=first,
    )
    cursors = [edge["cursor"] for edge in pulled["spaceEvents"]["edges"]]
    assert len(cursors) == 60
    assert heard == [cursors] * 8


async def test_a_tick_repeats_to_each_the_cursor_that_it_heard_last_and_is_made_once(city: Town) -> None:
    host = await city.person()
    space_id = await host.live_space(record=True)
    await speak(city, space_id, 0.5)
    after = (await host.read(_LAST, id=space_id))["spaceEvents"]["pageInfo"]["endCursor"]
    query = """subscription($id: ID!, $after: String) {
      recordingStatus(spaceId: $id, after: $after) { cursor status again: cursor } }"""
    async with city.anyone.socket() as one, host.socket() as two:
        joined, resumed = (
            await one.subscribe(query, id=space_id),
            await two.subscribe(query, id=space_id, after=after),
        )
        snapshot = await one.next(joined)
        ticks = [(await one.next(joined), await two.next(resumed)) for _ in range(2)]
        for tick, other in ticks:
            assert tick == {"cursor": snapshot["cursor"], "status": "RECORDING", "again": snapshot["cursor"]}
            assert other == {"cursor": after, "status": "RECORDING", "again": after}
        assert after != snapshot["cursor"]
    await host.do("endSpace", spaceId=space_id)


async def test_an_event_stream_shares_with_sockets(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    asked = {"query": updates("kind space { title }"), "variables": {"id": space_id}}
    accept = {"Accept": "text/event-stream"}
    async with (
        following([city.anyone], updates("kind space { title }"), id=space_id) as ones,
        city.http.stream("POST", "/graphql", json=asked, headers=accept) as stream,
    ):
        lines = stream.aiter_lines()

        async def heard() -> Any:
            async for line in lines:
                if line.startswith("data: "):
                    return json.loads(line[6:])["data"]["spaceUpdates"]
            raise AssertionError("expected an event, got the end")

        assert (await heard())["kind"] == "SNAPSHOT"
        await settle(host, space_id, ones)
        assert (await heard())["space"]["title"] == "Settled"
        executions = await counted(city, "executions")
        await host.do("updateSpace", spaceId=space_id, title="To both")
        ((one, name),) = ones
        assert (await heard()) == await one.next(name)
        assert await counted(city, "executions") - executions == 1
