"""Removed and blocked people: out at once, and not in again."""

import asyncio
from typing import Any, cast

import pytest

from media.local import LocalEngine
from tests.media.publisher import tone
from tests.product.test_invitations import accept, cohost_of, invitations, invite
from tests.product.town import Person, Socket, Town
from tests.product.voices import GARBAGE_IDS, global_id, present, recorded, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

UPDATES = """subscription($id: ID!) { spaceUpdates(spaceId: $id) { kind
  ... on ParticipantChanged { fromRole toRole participant { role leftAt user { id } } } } }"""
CARDS = "subscription { timelineUpdates { kind itemId item { id } } }"


async def _code_of(socket: Socket, name: str) -> str:
    message = await socket.message(name)
    errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
    return str(errors[0]["extensions"]["code"])


async def _timeline(person: Person) -> set[str]:
    found = await person.read("{ timeline(first: 100) { edges { node { id } } } }")
    return {edge["node"]["id"] for edge in found["timeline"]["edges"]}


async def test_who_was_removed_is_out_and_cannot_come_back(city: Town) -> None:
    host, guest, stranger = [await city.person() for _ in range(3)]
    space_id = await host.live_space()
    await guest.speak_in(space_id, host)
    live = (await guest.space(space_id, "live { url }"))["live"]["url"]
    assert (await city.fetch(live)).status_code == 200
    async with city.anyone.socket() as socket:
        updates = await socket.subscribe(UPDATES, id=space_id)
        await socket.next(updates)
        await host.do("removeParticipant", spaceId=space_id, userId=guest.id)
        told = await socket.until(updates, kind="PARTICIPANT_REMOVED")
    assert (told["fromRole"], told["participant"]["role"]) == ("SPEAKER", "LISTENER")
    assert told["participant"]["user"] == {"id": guest.id}
    assert await guest.refused("joinSpace", spaceId=space_id) == "FORBIDDEN"
    seen = await guest.space(space_id, "state live { url } viewerParticipation { leftAt }")
    assert (seen["state"], seen["live"]) == ("LIVE", None)
    assert seen["viewerParticipation"]["leftAt"] is not None
    assert (await city.fetch(live)).status_code == 410
    here = {"spaceId": space_id, "userId": guest.id}
    assert await host.refused("invite", role="SPEAKER", **here) == "CONFLICT"
    for target in (guest.id, stranger.id):
        assert await host.refused("removeParticipant", spaceId=space_id, userId=target) == "NOT_FOUND"
    # Of the two who only listened, one had a link that is dead, and the other's subscription is closed.
    await present(city, space_id)
    assert (await host.space(space_id, "participantCount"))["participantCount"] == 1
    await host.do("endSpace", spaceId=space_id)


async def test_who_may_remove_whom(city: Town) -> None:
    host, guest, other, outsider = [await city.person() for _ in range(4)]
    space_id = (await host.new_space())["id"]
    here = {"spaceId": space_id}
    assert await host.refused("removeParticipant", userId=guest.id, **here) == "NOT_LIVE"
    await host.do("startSpace", **here)
    for person in (guest, other):
        await person.do("joinSpace", **here)
    for actor in (guest, outsider):
        assert await actor.refused("removeParticipant", userId=other.id, **here) == "FORBIDDEN"
    assert await city.anyone.refused("removeParticipant", userId=other.id, **here) == "UNAUTHENTICATED"
    assert await host.refused("removeParticipant", userId=host.id, **here) == "INVALID_INPUT"
    for wrong in (*GARBAGE_IDS, global_id("User"), space_id):
        payload = await host.try_("removeParticipant", userId=wrong, **here)
        assert [(one["code"], one["path"]) for one in payload["errors"]] == [("NOT_FOUND", ["userId"])]
    await other.do("leaveSpace", **here)
    await host.do("removeParticipant", userId=other.id, **here)
    assert await other.refused("joinSpace", **here) == "FORBIDDEN"
    await host.do("endSpace", **here)
    assert await host.refused("removeParticipant", userId=guest.id, **here) == "ALREADY_ENDED"


@pytest.mark.parametrize("way", ["removeParticipant", "block"])
async def test_who_is_put_out_is_silent_at_once(city: Town, way: str) -> None:
    host, guest = await city.person(), await city.person()
    space_id = await host.live_space()
    await guest.speak_in(space_id, host)
    place = await guest.join(space_id)
    publisher = await place.publish(tone(frequency_hz=600, seconds=9))
    hearer = await place.listen()
    async with asyncio.timeout(10):
        while (publisher.state, hearer.state) != ("connected", "connected"):
            await asyncio.sleep(0.02)
    fields = {"spaceId": space_id} if way == "removeParticipant" else {}
    await host.do(way, userId=guest.id, **fields)
    # Once it is answered nothing more is taken from them or sent to them.
    engine = cast(LocalEngine, city.built.engine._engine)
    room = engine._rooms[str(uuid_of(space_id))]
    assert all(one.leaving for one in room.publishers)
    assert room.returns.listeners == []
    refused = await city.http.post(place.whip_url, content="v=0", headers=place.headers)
    assert refused.status_code == (403 if way == "removeParticipant" else 404)
    await publisher.close()
    await hearer.close()
    await host.do("endSpace", spaceId=space_id)


async def test_a_block_hides_both_from_each_other_everywhere(city: Town) -> None:
    blocker, blocked = await city.person(), await city.person()
    talk = await recorded(city, blocker)
    theirs = (await blocked.new_space())["id"]
    live_id = await blocker.live_space()
    links = await blocked.space(talk.space_id, "recording { playback { url } }")
    playback = links["recording"]["playback"]["url"]
    live = (await blocked.space(live_id, "live { url }"))["live"]["url"]
    assert (await city.fetch(playback)).status_code == (await city.fetch(live)).status_code == 200
    made = await blocker.do("block", "user { id viewerBlocks }", userId=blocked.id)
    assert made["user"] == {"id": blocked.id, "viewerBlocks": True}
    await blocker.do("block", userId=blocked.id)
    for link in (playback, live):
        assert (await city.fetch(link)).status_code == 410
    for me, other, spaces in ((blocked, blocker, (talk.space_id, live_id)), (blocker, blocked, (theirs,))):
        person = "query($h: String!) { user(handle: $h) { id } users(text: $h) { edges { cursor } } }"
        assert await me.read(person, h=other.handle) == {"user": None, "users": {"edges": []}}
        assert await me.refused("follow", userId=other.id) == "NOT_FOUND"
        for space_id in spaces:
            assert await me.space(space_id, "id") is None
            for mutation in ("joinSpace", "leaveSpace", "shareSpace"):
                assert await me.refused(mutation, spaceId=space_id) == "NOT_FOUND"
            answer = await me.ask(
                "query($id: ID!) { spaceEvents(spaceId: $id) { edges { cursor } } }", id=space_id
            )
            assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"
        listed = await me.read("{ spaces(first: 100) { edges { node { id } } } }")
        assert not {edge["node"]["id"] for edge in listed["spaces"]["edges"]} & set(spaces)
    assert await blocked.refused("block", userId=blocker.id) == "NOT_FOUND"
    for one in (blocker, blocked):
        assert await one.refused("block", userId=one.id) == "INVALID_INPUT"
    await blocker.do("unblock", userId=blocked.id)
    again = await blocker.do("unblock", "user { id viewerBlocks }", userId=blocked.id)
    assert again["user"] == {"id": blocked.id, "viewerBlocks": False}
    assert (await blocked.space(talk.space_id, "id")) is not None
    await blocker.do("endSpace", spaceId=live_id)


async def test_what_is_about_a_blocked_person_hides_with_them_and_makes_no_error(city: Town) -> None:
    blocker, blocked, fan = [await city.person() for _ in range(3)]
    space_id = (
        await blocker.new_space(ticketing={"priceMinor": 0, "currency": "USD", "capacity": 5})
    )["id"]  # fmt: skip
    await blocked.do("purchaseTicket", spaceId=space_id)
    about = [
        (await blocked.do("report", "report { id }", subjectId=one, category="SPAM", reason="x"))["report"][
            "id"
        ]
        for one in (space_id, blocker.id)
    ]
    for person in (blocker, blocked):
        await person.do("follow", userId=fan.id)
    query = """query($reports: [ID!]!, $fan: ID!) {
      viewer {
        tickets { edges { node { space { title } } } }
        notifications { edges { node { message space { id } ticket { space { title } } } } }
      }
      nodes(ids: $reports) { ... on Report { subject { ... on Space { title } ... on User { name } } } }
      node(id: $fan) { ... on User { followers { edges { node { id } } } } }
    }"""
    seen = await blocked.read(query, reports=about, fan=fan.id)
    assert len(seen["viewer"]["tickets"]["edges"]) == 1
    assert None not in seen["nodes"]
    assert len(seen["node"]["followers"]["edges"]) == 2

    await blocker.do("block", userId=blocked.id)
    seen = await blocked.read(query, reports=about, fan=fan.id)
    assert seen["viewer"]["tickets"]["edges"] == []
    assert seen["nodes"] == [None, None]
    assert seen["node"]["followers"]["edges"] == [{"node": {"id": blocked.id}}]
    for edge in seen["viewer"]["notifications"]["edges"]:
        assert (edge["node"]["space"], edge["node"]["ticket"]) == (None, None)
        assert "by somebody" in edge["node"]["message"]


async def test_who_was_blocked_still_takes_back_what_they_shared(city: Town) -> None:
    host, fan, reader = [await city.person() for _ in range(3)]
    await reader.do("follow", userId=fan.id)
    talk = await recorded(city, host)
    shared = await fan.do("shareRecording", "item { id }", recordingId=talk.recording_id, comment="Mine")
    made = await fan.do(
        "createClip", "clip { id }", recordingId=talk.recording_id, startMs=0, endMs=20, title="x"
    )
    await host.do("block", userId=fan.id)
    mine = {"itemId": shared["item"]["id"]}
    assert await reader.refused("deleteShare", **mine) == "FORBIDDEN"
    await fan.do("deleteShare", **mine)
    await fan.do("deleteClip", clipId=made["clip"]["id"])
    cards = (await reader.read("{ timeline(first: 5) { edges { node { id } } } }"))["timeline"]["edges"]
    assert cards == []


@pytest.mark.parametrize("spoilt", ["{}\0", "{}!", "\n{}", "={}", "{}===="])
async def test_an_id_is_what_was_issued_and_nothing_that_looks_like_it(city: Town, spoilt: str) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    assert await host.space(spoilt.format(space_id), "id") is None
    assert await host.refused("startSpace", spaceId=spoilt.format(space_id)) == "NOT_FOUND"


async def test_a_block_ends_follows_roles_invitations_and_presence_in_both_directions(city: Town) -> None:
    blocker, blocked = await city.person(), await city.person()
    mine, theirs = await blocker.live_space(), await blocked.live_space()
    await blocked.speak_in(mine, blocker)
    await accept(blocker, await invite(blocked, blocker, theirs))
    planned = (await blocked.new_space())["id"]
    asked = await invite(blocked, blocker, planned)
    for one, two in ((blocker, blocked), (blocked, blocker)):
        await one.do("follow", userId=two.id)
    async with blocked.socket() as his, blocker.socket() as hers, city.anyone.socket() as nobody:
        his_updates = await his.subscribe(UPDATES, id=mine)
        hers_updates = await hers.subscribe(UPDATES, id=theirs)
        seen = [await nobody.subscribe(UPDATES, id=one) for one in (mine, theirs)]
        for socket, names in ((his, [his_updates]), (hers, [hers_updates]), (nobody, seen)):
            for name in names:
                await socket.next(name)
        await blocker.do("block", userId=blocked.id)
        assert await _code_of(his, his_updates) == "NOT_FOUND"
        assert await _code_of(hers, hers_updates) == "NOT_FOUND"
        removed = await nobody.until(seen[0], kind="PARTICIPANT_REMOVED")
        left = await nobody.until(seen[1], kind="PARTICIPANT_LEFT")
    assert (removed["fromRole"], left["fromRole"]) == ("SPEAKER", "COHOST")
    assert (await blocked.space(theirs, "cohosts { id }"))["cohosts"] == []
    assert await invitations(blocker) == []
    assert await blocker.refused("respondToInvitation", invitationId=asked, accept=True) == "NOT_FOUND"
    await blocker.do("unblock", userId=blocked.id)
    for person in (blocker, blocked):
        counts = "query($h: String!) { user(handle: $h) { followerCount followingCount } }"
        assert (await person.read(counts, h=person.handle))["user"] == {
            "followerCount": 0,
            "followingCount": 0,
        }
    assert await blocked.refused("joinSpace", spaceId=mine) == "FORBIDDEN"
    back = await blocker.do("joinSpace", "participant { role }", spaceId=theirs)
    assert back["participant"]["role"] == "LISTENER"
    for person, space_id in ((blocker, mine), (blocked, theirs)):
        await person.do("endSpace", spaceId=space_id)


async def test_timelines_are_told_of_cards_that_come_and_go_with_people(city: Town) -> None:
    me, host, friend = [await city.person() for _ in range(3)]
    space_id = (await host.new_space())["id"]
    await friend.do("shareSpace", spaceId=space_id)
    await me.do("follow", userId=friend.id)
    shared = await _timeline(me)
    assert len(shared) == 1

    async with me.socket() as socket:
        cards = await socket.subscribe(CARDS)
        assert (await socket.next(cards))["kind"] == "SNAPSHOT"

        steps: list[tuple[str, Person, str]] = [
            ("follow", host, "ADDED"),
            ("unfollow", host, "REMOVED"),
            ("follow", host, "ADDED"),
            ("block", host, "REMOVED"),
            ("unblock", host, "ADDED"),
        ]
        for mutation, other, kind in steps:
            before = await _timeline(me)
            await me.do(mutation, userId=other.id)
            after = await _timeline(me)
            changed = after - before if kind == "ADDED" else before - after
            assert changed
            events = [await socket.next(cards) for _ in changed]
            assert {(event["kind"], event["itemId"]) for event in events} == {(kind, one) for one in changed}
        # The block ended the follow: what comes back is what the friend shares.
        assert await _timeline(me) == shared


async def test_two_who_block_each_other_at_once_and_join_meanwhile_are_apart(city: Town) -> None:
    one, two = await city.person(), await city.person()
    spaces = [await one.live_space(), await two.live_space()]
    calls: list[Any] = [one.try_("block", userId=two.id), two.try_("block", userId=one.id)]
    calls += [two.try_("joinSpace", spaceId=spaces[0]), one.try_("joinSpace", spaceId=spaces[1])]
    await asyncio.gather(*calls)
    for person, space_id in ((one, spaces[0]), (two, spaces[1])):
        want = "participantCount participants { edges { node { leftAt user { id } } } }"
        seen = await person.space(space_id, want)
        assert seen["participantCount"] == 1
        assert [edge["node"]["user"]["id"] for edge in seen["participants"]["edges"]] == [person.id]
        await person.do("endSpace", spaceId=space_id)


async def test_a_stricter_policy_leaves_raised_hands_without_effect(city: Town) -> None:
    host, guest = await city.person(), await city.person()
    space_id = await host.live_space()
    await guest.do("joinSpace", spaceId=space_id)
    await guest.do("raiseHand", spaceId=space_id, raised=True)
    promote = {"spaceId": space_id, "userId": guest.id, "role": "SPEAKER"}
    for policy in ("INVITED", "FOLLOWED"):
        await host.do("updateSpace", spaceId=space_id, speakerPolicy=policy)
        assert await host.refused("setParticipantRole", **promote) == "CONFLICT"
    await host.do("follow", userId=guest.id)
    await host.do("setParticipantRole", **promote)
    cohost = await cohost_of(host, space_id)
    await host.do("updateSpace", spaceId=space_id, speakerPolicy="INVITED")
    other = await city.person()
    made = await accept(other, await invite(cohost, other, space_id, "SPEAKER"))
    assert made["participant"]["role"] == "SPEAKER"
    await host.do("endSpace", spaceId=space_id)
