"""Being in a Space: counts, hands, roles, consent, who is seen, and the host's minute to come back."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from models.account import Account
from models.block import Block
from models.participant import Participant, ParticipantRole
from models.space import Space
from services.changes import new_id
from tests.product.town import Person, Town
from tests.product.voices import GARBAGE_IDS, MS, at, global_id, iso, present, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNTS = "participantCount totalListenerCount peakListenerCount"


async def _counts(person: Person, space_id: str) -> tuple[int, int, int]:
    space = await person.space(space_id, COUNTS)
    return space["participantCount"], space["totalListenerCount"], space["peakListenerCount"]


async def _kinds(town: Town, space_id: str) -> list[str]:
    query = "query($id: ID!) { spaceEvents(spaceId: $id, first: 100) { edges { node { kind } } } }"
    found = (await town.anyone.read(query, id=space_id))["spaceEvents"]["edges"]
    return [edge["node"]["kind"] for edge in found]


async def _join(person: Person, space_id: str, want: str = "participant { id role }") -> dict[str, Any]:
    return await person.do("joinSpace", want, spaceId=space_id)


async def _speaker(town: Town, host: Person, space_id: str) -> Person:
    person = await town.person()
    await _join(person, space_id)
    await person.do("raiseHand", spaceId=space_id, raised=True)
    await host.do("setParticipantRole", spaceId=space_id, userId=person.id, role="SPEAKER")
    return person


async def _crowd(space_id: str, people: int) -> None:
    """So many people in the Space, written straight into the rows."""
    key = uuid_of(space_id)
    space = await Space.get(id=key)
    rows = [
        Participant(
            id=new_id(),
            space_id=key,
            account_id=new_id(),
            role=ParticipantRole.LISTENER,
            joined_at=space.created_at,
        )
        for _ in range(people - space.participant_count)
    ]
    await Participant.bulk_create(rows)
    await Space.filter(id=key).update(participant_count=people, peak_listener_count=people)


async def test_joining_twice_is_the_same_participation_and_writes_one_event(city: Town) -> None:
    host, listener = await city.person(), await city.person()
    space_id = await host.live_space()
    assert await _counts(host, space_id) == (1, 1, 1)
    first = await _join(listener, space_id, "participant { id joinedAt } space { participantCount }")
    second = await _join(listener, space_id, "participant { id joinedAt } space { participantCount }")
    assert first == second
    assert first["space"]["participantCount"] == 2
    assert await _counts(host, space_id) == (2, 2, 2)
    assert await _kinds(city, space_id) == ["CREATED", "STARTED", "PARTICIPANT_JOINED"]


async def test_leaving_and_coming_back_counts_one_person_once(city: Town) -> None:
    host, listener = await city.person(), await city.person()
    space_id = await host.live_space()
    first = (await _join(listener, space_id))["participant"]["id"]
    left = await listener.do("leaveSpace", "space { participantCount }", spaceId=space_id)
    assert left["space"]["participantCount"] == 1
    await listener.do("leaveSpace", spaceId=space_id)
    assert await _counts(host, space_id) == (1, 2, 2)
    gone = await listener.space(space_id, "viewerParticipation { leftAt role }")
    assert at(gone["viewerParticipation"]["leftAt"]) <= city.clock.now()
    assert (await _join(listener, space_id))["participant"]["id"] == first
    assert await _counts(host, space_id) == (2, 2, 2)
    assert await _kinds(city, space_id) == [
        "CREATED",
        "STARTED",
        "PARTICIPANT_JOINED",
        "PARTICIPANT_LEFT",
        "PARTICIPANT_JOINED",
    ]
    await host.do("endSpace", spaceId=space_id)
    assert await _counts(host, space_id) == (0, 2, 2)


async def test_the_host_is_in_it_from_launch_and_only_those_who_speak_are_told_where(city: Town) -> None:
    host, listener = await city.person(), await city.person()
    space_id = await host.live_space()
    want = "participant { role } whipUrl mediaToken live { url mimeType expiresAt }"
    hosts, listeners = await _join(host, space_id, want), await _join(listener, space_id, want)
    assert hosts["participant"]["role"] == "HOST"
    assert hosts["whipUrl"].startswith(city.url)
    assert hosts["mediaToken"]
    assert listeners["participant"]["role"] == "LISTENER"
    assert listeners["whipUrl"] is listeners["mediaToken"] is None
    for joined in (hosts, listeners):
        assert joined["live"]["mimeType"] == "application/vnd.apple.mpegurl"
        assert (await city.fetch(joined["live"]["url"])).status_code == 200
    assert await _counts(host, space_id) == (2, 2, 2)


async def test_what_a_joining_listener_gets_first_says_that_it_is_recorded(city: Town) -> None:
    host, listener = await city.person(), await city.person()
    for record in (True, False):
        space_id = await host.live_space(record=record)
        joined = await _join(
            listener, space_id, "space { isRecording recordingEnabled consent { version text } }"
        )
        assert joined["space"]["isRecording"] == joined["space"]["recordingEnabled"] == record
        assert (joined["space"]["consent"] is not None) == record
        await host.do("endSpace", spaceId=space_id)


async def test_a_listener_with_a_raised_hand_becomes_a_speaker_and_goes_back(city: Town) -> None:
    host, guest = await city.person(), await city.person()
    space_id = await host.live_space()
    assert await guest.refused("raiseHand", spaceId=space_id, raised=True) == "CONFLICT"
    await _join(guest, space_id)
    assert (
        await host.refused("setParticipantRole", spaceId=space_id, userId=guest.id, role="SPEAKER")
        == "CONFLICT"
    )
    for raised in (True, True, False, True):
        made = await guest.do("raiseHand", "participant { handRaised }", spaceId=space_id, raised=raised)
        assert made["participant"]["handRaised"] == raised
    want = "participant { role handRaised user { id } }"
    up = await host.do("setParticipantRole", want, spaceId=space_id, userId=guest.id, role="SPEAKER")
    assert up["participant"] == {"role": "SPEAKER", "handRaised": False, "user": {"id": guest.id}}
    again = await host.do("setParticipantRole", want, spaceId=space_id, userId=guest.id, role="SPEAKER")
    assert again["participant"] == up["participant"]
    assert await guest.refused("raiseHand", spaceId=space_id, raised=True) == "CONFLICT"
    assert (await _join(guest, space_id, "whipUrl"))["whipUrl"]
    down = await guest.do("setParticipantRole", want, spaceId=space_id, userId=guest.id, role="LISTENER")
    assert down["participant"]["role"] == "LISTENER"
    assert (await _kinds(city, space_id))[3:] == ["HAND_CHANGED"] * 3 + ["ROLE_CHANGED"] * 2


async def test_who_may_change_whose_role(city: Town) -> None:
    host, other, stranger = await city.person(), await city.person(), await city.person()
    space_id = await host.live_space()
    speaker = await _speaker(city, host, space_id)
    await _join(other, space_id)
    await other.do("raiseHand", spaceId=space_id, raised=True)

    async def change(actor: Person, target: str, role: str) -> str:
        payload = await actor.try_("setParticipantRole", spaceId=space_id, userId=target, role=role)
        return str(payload["errors"][0]["code"]) if payload["errors"] else "OK"

    for actor in (other, speaker, stranger):
        assert await change(actor, other.id, "SPEAKER") == "FORBIDDEN"
    for actor in (other, stranger):
        assert await change(actor, speaker.id, "LISTENER") == "FORBIDDEN"
    for actor in (host, other):
        assert await change(actor, host.id, "LISTENER") == "FORBIDDEN"
        assert await change(actor, host.id, "SPEAKER") == "FORBIDDEN"
    await Participant.filter(space_id=uuid_of(space_id), account_id=uuid_of(speaker.id)).update(role="COHOST")
    assert await change(speaker, other.id, "SPEAKER") == "OK"
    assert await change(speaker, host.id, "LISTENER") == "FORBIDDEN"
    assert await change(host, speaker.id, "SPEAKER") == "CONFLICT"
    assert await change(host, speaker.id, "LISTENER") == "OK"
    assert await change(host, stranger.id, "SPEAKER") == "NOT_FOUND"
    for wrong in (*GARBAGE_IDS, global_id("User"), space_id):
        payload = await host.try_("setParticipantRole", spaceId=space_id, userId=wrong, role="SPEAKER")
        assert [(one["code"], one["path"]) for one in payload["errors"]] == [("NOT_FOUND", ["userId"])]


async def test_there_are_at_most_10_speakers_also_when_one_comes_back(city: Town) -> None:
    host = await city.person()
    space_id = await host.live_space()
    speakers = [await _speaker(city, host, space_id) for _ in range(10)]
    eleventh = await city.person()
    await _join(eleventh, space_id)
    await eleventh.do("raiseHand", spaceId=space_id, raised=True)
    promote = {"spaceId": space_id, "userId": eleventh.id, "role": "SPEAKER"}
    assert await host.refused("setParticipantRole", **promote) == "CAPACITY_REACHED"
    assert (await eleventh.space(space_id, "viewerParticipation { role handRaised }"))[
        "viewerParticipation"
    ] == {"role": "LISTENER", "handRaised": True}
    await speakers[0].do("leaveSpace", spaceId=space_id)
    await host.do("setParticipantRole", **promote)
    back = await _join(speakers[0], space_id, "participant { role } whipUrl mediaToken")
    assert back["participant"]["role"] == "LISTENER"
    assert back["whipUrl"] is back["mediaToken"] is None
    listed = await host.space(space_id, "participants(role: SPEAKER) { edges { node { leftAt } } }")
    assert len(listed["participants"]["edges"]) == 10
    await speakers[1].do("leaveSpace", spaceId=space_id)
    assert (await _join(speakers[1], space_id))["participant"]["role"] == "SPEAKER"


async def test_the_speaker_policy_says_whose_hand_may_go_up(city: Town) -> None:
    host, friend, stranger = await city.person(), await city.person(), await city.person()
    await host.do("follow", userId=friend.id)
    space_id = await host.live_space()
    for person in (friend, stranger):
        await _join(person, space_id)
    may = {"RAISED_HAND": (True, True), "FOLLOWED": (True, False), "INVITED": (False, False)}
    for policy, answers in may.items():
        await host.do("updateSpace", spaceId=space_id, speakerPolicy=policy)
        for person, allowed in zip((friend, stranger), answers, strict=True):
            payload = await person.try_("raiseHand", spaceId=space_id, raised=True)
            assert [error["code"] for error in payload["errors"]] == ([] if allowed else ["FORBIDDEN"]), (
                policy
            )
            await person.do("raiseHand", spaceId=space_id, raised=False)


async def test_acknowledging_is_kept_with_its_time_once_per_version(city: Town) -> None:
    host, guest = await city.person(), await city.person()
    space_id = await host.live_space(record=True)
    version = (await guest.space(space_id, "consent { version text }"))["consent"]["version"]
    assert await guest.refused("acknowledgeRecording", spaceId=space_id, consentVersion=version) == "CONFLICT"
    joined = await _join(guest, space_id, "participant { recordingAcknowledgedAt }")
    assert joined["participant"]["recordingAcknowledgedAt"] is None
    for wrong in ("", "0", version + " ", "v" * 1000, "\0"):
        payload = await guest.try_("acknowledgeRecording", spaceId=space_id, consentVersion=wrong)
        assert [(one["code"], one["path"]) for one in payload["errors"]] == [
            ("INVALID_INPUT", ["consentVersion"])
        ]
    want = "participant { recordingAcknowledgedAt }"
    made = await guest.do("acknowledgeRecording", want, spaceId=space_id, consentVersion=version)
    city.clock.move(timedelta(minutes=1))
    again = await guest.do("acknowledgeRecording", want, spaceId=space_id, consentVersion=version)
    assert again["participant"] == made["participant"]
    hosts = await host.space(space_id, "viewerParticipation { recordingAcknowledgedAt } startedAt")
    assert hosts["viewerParticipation"]["recordingAcknowledgedAt"] == hosts["startedAt"]


async def test_there_is_nothing_to_acknowledge_in_a_space_that_is_not_recorded(city: Town) -> None:
    host = await city.person()
    space_id = await host.live_space()
    assert await host.refused("acknowledgeRecording", spaceId=space_id, consentVersion="1") == "CONFLICT"


async def test_platform_and_acknowledgement_are_for_those_whom_they_concern(city: Town) -> None:
    host, other, moderator = await city.person(), await city.person(), await city.moderator()
    space_id = await host.live_space(record=True)
    speaker = await _speaker(city, host, space_id)
    await _join(speaker, space_id)
    await speaker.do("acknowledgeRecording", spaceId=space_id, consentVersion="1")
    await _join(other, space_id)
    query = "participants(role: SPEAKER) { edges { node { platform recordingAcknowledgedAt } } }"

    async def seen(person: Person) -> tuple[bool, bool]:
        found = (await person.space(space_id, query))["participants"]["edges"][0]["node"]
        return found["platform"] is not None, found["recordingAcknowledgedAt"] is not None

    assert await seen(speaker) == (True, True)
    assert await seen(host) == (True, True)
    assert await seen(moderator) == (False, True)
    assert await seen(other) == (False, False)
    assert await seen(city.anyone) == (False, False)


async def test_listeners_are_seen_by_host_and_cohosts_alone_and_by_themselves(city: Town) -> None:
    host, cohost, listener, other = [await city.person() for _ in range(4)]
    space_id = await host.live_space()
    speaker = await _speaker(city, host, space_id)
    for person in (cohost, listener, other):
        await _join(person, space_id)
    await Participant.filter(space_id=uuid_of(space_id), account_id=uuid_of(cohost.id)).update(role="COHOST")

    async def seen(person: Person, role: str = "") -> set[str]:
        query = f"participants(first: 100{role}) {{ edges {{ node {{ user {{ id }} }} }} }}"
        found = (await person.space(space_id, query))["participants"]["edges"]
        return {edge["node"]["user"]["id"] for edge in found}

    speaking = {host.id, cohost.id, speaker.id}
    everyone = speaking | {listener.id, other.id}
    for manager in (host, cohost):
        assert await seen(manager) == everyone
        assert await seen(manager, ", role: LISTENER") == {listener.id, other.id}
    assert await seen(listener) == speaking | {listener.id}
    assert await seen(speaker) == await seen(city.anyone) == speaking
    assert await seen(city.anyone, ", role: LISTENER") == set()
    assert await seen(city.anyone, ", role: HOST") == {host.id}
    node = await listener.space(space_id, "viewerParticipation { id }")
    query = "query($id: ID!) { node(id: $id) { id } }"
    participation = node["viewerParticipation"]["id"]
    assert (await other.read(query, id=participation))["node"] is None
    assert (await host.read(query, id=participation))["node"] == {"id": participation}


@pytest.mark.parametrize(("people", "told"), [(99, True), (100, False)])
async def test_above_100_people_listeners_come_and_go_without_events(
    city: Town, people: int, *, told: bool
) -> None:
    host, listener = await city.person(), await city.person()
    space_id = await host.live_space()
    await _crowd(space_id, people)
    before = await _kinds(city, space_id)
    await _join(listener, space_id)
    assert (await _counts(host, space_id))[0] == people + 1
    assert await _kinds(city, space_id) == before + ["PARTICIPANT_JOINED"] * told
    await listener.do("leaveSpace", spaceId=space_id)
    assert (await _counts(host, space_id))[0] == people
    assert await _kinds(city, space_id) == before + ["PARTICIPANT_JOINED", "PARTICIPANT_LEFT"] * told


async def test_above_100_people_those_who_speak_are_told_of_still(city: Town) -> None:
    host = await city.person()
    space_id = await host.live_space()
    speaker = await _speaker(city, host, space_id)
    await _crowd(space_id, 150)
    await speaker.do("leaveSpace", spaceId=space_id)
    await _join(speaker, space_id)
    await speaker.do("setParticipantRole", spaceId=space_id, userId=speaker.id, role="LISTENER")
    assert (await _kinds(city, space_id))[-3:] == ["PARTICIPANT_LEFT", "PARTICIPANT_JOINED", "ROLE_CHANGED"]


@pytest.mark.parametrize(("late", "state"), [(-MS, "LIVE"), (timedelta(0), "ENDED")])
async def test_a_host_who_leaves_has_60_seconds_to_come_back(city: Town, late: timedelta, state: str) -> None:
    host = await city.person()
    city.clock.stand_at(city.clock.now())
    space_id = await host.live_space(record=True)
    await host.do("leaveSpace", spaceId=space_id)
    left = city.clock.now()
    city.clock.stand_at(left + timedelta(seconds=60) + late)
    await city.round()
    space = await host.space(space_id, "state endedAt")
    assert space["state"] == state
    assert space["endedAt"] == (iso(left + timedelta(seconds=60)) if state == "ENDED" else None)
    if state == "LIVE":
        async with host.attending(space_id):
            await _join(host, space_id)
            await present(city, space_id)
            city.clock.stand_at(left + timedelta(hours=1))
            await city.round()
            assert (await host.space(space_id, "state"))["state"] == "LIVE"


async def test_who_was_removed_cannot_come_back(city: Town) -> None:
    host, guest = await city.person(), await city.person()
    space_id = await host.live_space()
    await _join(guest, space_id)
    now = city.clock.now()
    await Participant.filter(space_id=uuid_of(space_id), account_id=uuid_of(guest.id)).update(
        left_at=now, removed_at=now
    )
    assert await guest.refused("joinSpace", spaceId=space_id) == "FORBIDDEN"


async def test_a_person_blocked_by_a_participant_reads_the_events_all_the_same(city: Town) -> None:
    host, blocker, blocked = [await city.person() for _ in range(3)]
    space_id = await host.live_space()
    await _join(blocker, space_id)
    await Block.create(
        id=new_id(),
        blocker_id=uuid_of(blocker.id),
        blocked_id=uuid_of(blocked.id),
        created_at=city.clock.now(),
    )
    query = """query($id: ID!) { spaceEvents(spaceId: $id) { edges { node { kind
      ... on ParticipantChanged { participant { user { id } } } } } } }"""
    found = (await blocked.read(query, id=space_id))["spaceEvents"]["edges"]
    assert [edge["node"]["kind"] for edge in found] == ["CREATED", "STARTED"]
    assert len((await host.read(query, id=space_id))["spaceEvents"]["edges"]) == 3
    async with blocked.socket() as socket:
        updates = await socket.subscribe(
            """subscription($id: ID!) { spaceUpdates(spaceId: $id) { kind
              ... on ParticipantChanged { participant { user { id } } } } }""",
            id=space_id,
        )
        assert (await socket.next(updates))["kind"] == "SNAPSHOT"
        await blocker.do("raiseHand", spaceId=space_id, raised=True)
        await host.do("updateSpace", spaceId=space_id, title="Next")
        assert (await socket.next(updates))["kind"] == "UPDATED"


async def test_people_join_at_the_same_time_and_everyone_is_counted(city: Town) -> None:
    host = await city.person()
    space_id = await host.live_space()
    people = [await city.person() for _ in range(8)]
    await asyncio.gather(*(_join(person, space_id) for person in people for _ in range(2)))
    assert await _counts(host, space_id) == (9, 9, 9)
    assert (await _kinds(city, space_id)).count("PARTICIPANT_JOINED") == 8


async def test_a_deleted_account_stays_in_it_without_a_name(city: Town) -> None:
    host = await city.person()
    space_id = await host.live_space()
    await Account.filter(id=uuid_of(host.id)).update(deleted_at=city.clock.now())
    seen = await city.anyone.space(space_id, "host { handle name bio }")
    assert host.handle not in str(seen).lower()
