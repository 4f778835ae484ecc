"""Co-hosts and speakers by invitation: who may ask whom, who must accept, how many, and when it lapses."""

import asyncio
from typing import Any

import pytest

from tests.product.town import Person, Town
from tests.product.voices import GARBAGE_IDS, global_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

_MINE = "{ viewer { invitations(first: 50) { edges { node { id role space { id } user { id } } } } } }"


async def invitations(person: Person) -> list[Any]:
    found = (await person.read(_MINE))["viewer"]["invitations"]["edges"]
    return [edge["node"] for edge in found]


async def invite(host: Person, guest: Person, space_id: str, role: str = "COHOST") -> str:
    made = await host.do("invite", "invitation { id }", spaceId=space_id, userId=guest.id, role=role)
    return str(made["invitation"]["id"])


async def accept(guest: Person, invitation_id: str, want: str = "participant { role leftAt }") -> Any:
    return await guest.do("respondToInvitation", want, invitationId=invitation_id, accept=True)


async def cohost_of(host: Person, space_id: str) -> Person:
    """Somebody who has accepted."""
    guest = await host.town.person()
    await accept(guest, await invite(host, guest, space_id))
    return guest


async def _cohosts(person: Person, space_id: str) -> list[str]:
    return [one["id"] for one in (await person.space(space_id, "cohosts { id }"))["cohosts"]]


async def test_cohosts_named_at_creation_are_asked_and_are_none_before_they_accept(city: Town) -> None:
    host, one, two = [await city.person() for _ in range(3)]
    handles = [one.handle.upper(), two.handle, two.handle]
    space = await host.new_space("id cohosts { id }", cohostHandles=handles)
    assert space["cohosts"] == []
    (asked,) = await invitations(one)
    told = await one.read("{ viewer { notifications { edges { node { kind invitation { id } } } } } }")
    assert [edge["node"] for edge in told["viewer"]["notifications"]["edges"]] == [
        {"kind": "INVITED", "invitation": {"id": asked["id"]}}
    ]
    assert asked == {
        "id": asked["id"],
        "role": "COHOST",
        "space": {"id": space["id"]},
        "user": {"id": one.id},
    }
    made = await accept(one, asked["id"], "participant { role user { id } }")
    assert made["participant"] == {"role": "COHOST", "user": {"id": one.id}}
    assert await _cohosts(city.anyone, space["id"]) == [one.id]
    assert await invitations(one) == []
    declined = await two.do(
        "respondToInvitation",
        "participant { id }",
        invitationId=(await invitations(two))[0]["id"],
        accept=False,
    )
    assert declined["participant"] is None
    assert await invitations(two) == []
    assert await _cohosts(host, space["id"]) == [one.id]
    counts = await host.space(space["id"], "participantCount totalListenerCount")
    assert counts == {"participantCount": 0, "totalListenerCount": 0}


@pytest.mark.parametrize(
    ("handles", "code"),
    [
        (["nobody_of_that_name"], "NOT_FOUND"),
        (["%"], "NOT_FOUND"),
        ([""], "NOT_FOUND"),
        (["one_1", "two_2", "three_3"], "CAPACITY_REACHED"),
    ],
)
async def test_a_space_with_cohosts_that_cannot_be_is_not_created(
    city: Town, handles: list[str], code: str
) -> None:
    host = await city.person()
    payload = await host.try_("createSpace", title="A talk", cohostHandles=handles)
    assert [(one["code"], one["path"]) for one in payload["errors"]] == [(code, ["cohostHandles"])]
    found = await host.read(
        "query($h: String!) { user(handle: $h) { spaces { edges { cursor } } } }", h=host.handle
    )
    assert found["user"]["spaces"]["edges"] == []
    payload = await host.try_("createSpace", title="A talk", cohostHandles=[host.handle])
    assert payload["errors"][0]["code"] == "INVALID_INPUT"


async def test_who_may_invite_whom_to_what(city: Town) -> None:
    host, guest, stranger = [await city.person() for _ in range(3)]
    space_id = (await host.new_space())["id"]
    cohost = await cohost_of(host, space_id)

    async def codes(actor: Person, target: str) -> tuple[str, str]:
        found = []
        for role in ("COHOST", "SPEAKER"):
            payload = await actor.try_("invite", spaceId=space_id, userId=target, role=role)
            found.append(payload["errors"][0]["code"] if payload["errors"] else "OK")
        return found[0], found[1]

    for _ in ("scheduled", "live"):
        assert await codes(host, guest.id) == ("OK", "OK")
        assert await codes(cohost, guest.id) == ("FORBIDDEN", "OK")
        assert await codes(stranger, guest.id) == ("FORBIDDEN", "FORBIDDEN")
        assert await codes(guest, guest.id) == ("FORBIDDEN", "FORBIDDEN")
        assert await codes(city.anyone, guest.id) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
        assert await codes(host, host.id) == ("CONFLICT", "CONFLICT")
        assert await codes(host, cohost.id) == ("CONFLICT", "CONFLICT")
        assert await codes(cohost, host.id) == ("FORBIDDEN", "CONFLICT")
        for wrong in (*GARBAGE_IDS, global_id("User"), space_id):
            assert await codes(host, wrong) == ("NOT_FOUND", "NOT_FOUND")
        if (await host.space(space_id, "state"))["state"] == "SCHEDULED":
            await host.do("startSpace", spaceId=space_id)
    await host.do("endSpace", spaceId=space_id)
    assert await codes(host, guest.id) == ("ALREADY_ENDED", "ALREADY_ENDED")


async def test_an_invitation_is_its_invitees_to_answer_and_once(city: Town) -> None:
    host, guest, stranger = [await city.person() for _ in range(3)]
    space_id = await host.live_space()
    first = await invite(host, guest, space_id, "SPEAKER")
    assert await invite(host, guest, space_id, "SPEAKER") == first
    assert len(await invitations(guest)) == 1
    for person in (stranger, host):
        assert await person.refused("respondToInvitation", invitationId=first, accept=True) == "NOT_FOUND"
    for wrong in (*GARBAGE_IDS, global_id("Invitation"), space_id):
        payload = await guest.try_("respondToInvitation", invitationId=wrong, accept=True)
        assert [(one["code"], one["path"]) for one in payload["errors"]] == [("NOT_FOUND", ["invitationId"])]
    query = "query($id: ID!) { node(id: $id) { id } }"
    seen = [(await one.read(query, id=first))["node"] for one in (host, guest, stranger, city.anyone)]
    assert [node is not None for node in seen] == [True, True, False, False]
    made = await accept(guest, first)
    assert made["participant"] == {"role": "SPEAKER", "leftAt": None}
    for answer in (True, False):
        assert await guest.refused("respondToInvitation", invitationId=first, accept=answer) == "CONFLICT"
    joined = await guest.do("joinSpace", "whipUrl mediaToken participant { role }", spaceId=space_id)
    assert joined["whipUrl"]
    assert joined["participant"]["role"] == "SPEAKER"


async def test_accepting_in_a_live_space_enters_it_and_writes_one_event(city: Town) -> None:
    host, outside, inside = [await city.person() for _ in range(3)]
    space_id = await host.live_space()
    await inside.do("joinSpace", spaceId=space_id)
    for person in (outside, inside):
        await accept(person, await invite(host, person, space_id, "SPEAKER"))
    query = """query($id: ID!) { spaceEvents(spaceId: $id) { edges { node { kind
      ... on ParticipantChanged { fromRole toRole participant { user { id } } } } } } }"""
    found = [edge["node"] for edge in (await host.read(query, id=space_id))["spaceEvents"]["edges"]]
    told = [
        (one["kind"], one["fromRole"], one["toRole"], one["participant"]["user"]["id"]) for one in found[3:]
    ]
    assert told == [
        ("PARTICIPANT_JOINED", None, "SPEAKER", outside.id),
        ("ROLE_CHANGED", "LISTENER", "SPEAKER", inside.id),
    ]
    assert (await host.space(space_id, "participantCount"))["participantCount"] == 3
    await accept(inside, await invite(host, inside, space_id))
    assert await _cohosts(host, space_id) == [inside.id]


async def test_of_many_who_accept_at_once_2_become_cohosts_and_10_speakers(city: Town) -> None:
    host = await city.person()
    space_id = await host.live_space()
    for role, most in (("COHOST", 2), ("SPEAKER", 10)):
        guests = [await city.person() for _ in range(most + 3)]
        asked = [await invite(host, guest, space_id, role) for guest in guests]
        payloads = await asyncio.gather(
            *(
                guest.try_("respondToInvitation", invitationId=one, accept=True)
                for guest, one in zip(guests, asked, strict=True)
            )
        )
        codes = sorted(payload["errors"][0]["code"] if payload["errors"] else "" for payload in payloads)
        assert codes == [""] * most + ["CAPACITY_REACHED"] * 3
        late = await city.person()
        assert await host.refused("invite", spaceId=space_id, userId=late.id, role=role) == "CAPACITY_REACHED"
    listed = await host.space(space_id, "participants(first: 100) { edges { node { role leftAt } } }")
    roles = [edge["node"]["role"] for edge in listed["participants"]["edges"]]
    assert sorted(roles) == ["COHOST"] * 2 + ["HOST"] + ["SPEAKER"] * 10


async def test_a_place_taken_back_can_be_given_again_before_launch_too(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    one, two = await cohost_of(host, space_id), await cohost_of(host, space_id)
    third = await city.person()
    assert (
        await host.refused("invite", spaceId=space_id, userId=third.id, role="COHOST") == "CAPACITY_REACHED"
    )
    back = {"spaceId": space_id, "role": "LISTENER"}
    assert await one.refused("setParticipantRole", userId=two.id, **back) == "FORBIDDEN"
    assert await third.refused("setParticipantRole", userId=two.id, **back) == "FORBIDDEN"
    await host.do("setParticipantRole", userId=one.id, **back)
    await two.do("setParticipantRole", userId=two.id, **back)
    assert await _cohosts(host, space_id) == []
    await accept(third, await invite(host, third, space_id))
    assert await _cohosts(host, space_id) == [third.id]


@pytest.mark.parametrize("over", ["cancelSpace", "endSpace"])
async def test_invitations_lapse_with_their_space(city: Town, over: str) -> None:
    host, guest = await city.person(), await city.person()
    space_id = (await host.new_space())["id"]
    asked = await invite(host, guest, space_id)
    if over == "endSpace":
        await host.do("startSpace", spaceId=space_id)
    await host.do(over, spaceId=space_id)
    assert await invitations(guest) == []
    assert await guest.refused("respondToInvitation", invitationId=asked, accept=True) == "ALREADY_ENDED"


async def test_a_cohost_who_has_not_joined_yet_may_mute_others_too(city: Town) -> None:
    host, guest, passer = [await city.person() for _ in range(3)]
    space_id = (await host.new_space())["id"]
    cohost = await cohost_of(host, space_id)
    await host.do("startSpace", spaceId=space_id)
    await guest.speak_in(space_id, host)
    mute = {"spaceId": space_id, "userId": guest.id}
    assert await cohost.refused("setMuted", muted=False, **mute) == "FORBIDDEN"
    made = await cohost.do("setMuted", "participant { isMuted }", muted=True, **mute)
    assert made["participant"]["isMuted"]
    assert await passer.refused("setMuted", muted=True, **mute) == "CONFLICT"
    assert await cohost.refused("setMuted", spaceId=space_id, userId=cohost.id, muted=True) == "CONFLICT"
    assert (await host.space(space_id, "participantCount"))["participantCount"] == 2


async def test_a_cohost_does_what_cohosts_may_and_no_more(city: Town) -> None:
    host, guest, other = [await city.person() for _ in range(3)]
    space_id = (await host.new_space(record=True))["id"]
    cohost, second = await cohost_of(host, space_id), await cohost_of(host, space_id)
    await host.do("startSpace", spaceId=space_id)
    for person in (cohost, second, guest, other):
        await person.do("joinSpace", spaceId=space_id)
    here = {"spaceId": space_id}
    await guest.do("raiseHand", raised=True, **here)
    await cohost.do("setParticipantRole", userId=guest.id, role="SPEAKER", **here)
    await cohost.do("setMuted", userId=guest.id, muted=True, **here)
    await cohost.do("removeParticipant", userId=guest.id, **here)
    await cohost.do("invite", userId=other.id, role="SPEAKER", **here)
    recording_id = (await host.recording(space_id, "id"))["id"]
    assert await cohost.refused("invite", userId=other.id, role="COHOST", **here) == "FORBIDDEN"
    for target in (host, second):
        assert await cohost.refused("removeParticipant", userId=target.id, **here) == "FORBIDDEN"
        role = await cohost.refused("setParticipantRole", userId=target.id, role="LISTENER", **here)
        assert role == "FORBIDDEN"
    assert await cohost.refused("endSpace", **here) == "FORBIDDEN"
    assert await cohost.refused("updateSpace", title="Mine", **here) == "FORBIDDEN"
    assert await cohost.refused("deleteRecording", recordingId=recording_id) == "FORBIDDEN"
    await host.do("removeParticipant", userId=second.id, **here)
    assert await _cohosts(host, space_id) == [cohost.id]
    await host.do("setParticipantRole", userId=cohost.id, role="LISTENER", **here)
    assert await _cohosts(host, space_id) == []
    await host.do("endSpace", **here)
