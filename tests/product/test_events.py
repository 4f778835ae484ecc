"""The sequence of a Space's events: one mutation one event, facts that stay, cursors that hold."""

from datetime import timedelta
from typing import Any

import pytest

from services.cursors import EventCursor
from tests.product.town import Person, Town
from tests.product.voices import MS, at, global_id, speak, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT = """__typename cursor at kind space { id state }
  ... on RecordingToggled { enabled }
  ... on RecordingStatusChanged { from to }
  ... on ParticipantChanged { fromRole toRole participant { user { id } role } }"""


async def _page(person: Person, space_id: str, **arguments: Any) -> Any:
    given = "".join(f", {name}: {value!r}".replace("'", '"') for name, value in arguments.items())
    query = f"""query($id: ID!) {{ spaceEvents(spaceId: $id{given}) {{ edges {{ cursor node {{ {EVENT} }} }}
      pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"""
    return (await person.read(query, id=space_id))["spaceEvents"]


async def _events(person: Person, space_id: str, **arguments: Any) -> list[Any]:
    edges = (await _page(person, space_id, **arguments))["edges"]
    assert all(edge["cursor"] == edge["node"]["cursor"] for edge in edges)
    return [edge["node"] for edge in edges]


async def _code(person: Person, space_id: str, after: str) -> str | None:
    answer = await person.ask(
        "query($id: ID!, $a: String) { spaceEvents(spaceId: $id, after: $a) { edges { cursor } } }",
        id=space_id,
        a=after,
    )
    return str(answer["errors"][0]["extensions"]["code"]) if "errors" in answer else None


async def test_a_whole_life_is_one_event_a_mutation_with_its_facts(city: Town) -> None:
    host, guest = await city.person(), await city.person()
    space_id = (await host.new_space())["id"]
    recorded_events = 0

    async def heard(count: int = 1) -> list[Any]:
        nonlocal recorded_events
        found = (await _events(city.anyone, space_id))[recorded_events:]
        assert len(found) == count, [event["kind"] for event in found]
        recorded_events += count
        return found

    def facts(event: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in event.items() if key not in {"cursor", "at", "space"}}

    def person(kind: str, who: Person, before: str | None, after: str | None, now: str) -> dict[str, Any]:
        return {
            "__typename": "ParticipantChanged",
            "kind": kind,
            "fromRole": before,
            "toRole": after,
            "participant": {"user": {"id": who.id}, "role": now},
        }

    def status(before: str, after: str) -> dict[str, Any]:
        return {
            "__typename": "RecordingStatusChanged",
            "kind": "RECORDING_STATUS_CHANGED",
            "from": before,
            "to": after,
        }

    assert facts((await heard())[0]) == {"__typename": "SpaceChanged", "kind": "CREATED"}
    for enabled in (True, False, True):
        await host.do("toggleRecording", spaceId=space_id, enabled=enabled)
        await host.do("toggleRecording", spaceId=space_id, enabled=enabled)
        assert facts((await heard())[0]) == {
            "__typename": "RecordingToggled",
            "kind": "RECORDING_TOGGLED",
            "enabled": enabled,
        }
    await host.do("updateSpace", spaceId=space_id, title="Other")
    assert (await heard())[0]["kind"] == "UPDATED"
    await host.do("startSpace", spaceId=space_id)
    assert facts((await heard())[0]) == {"__typename": "SpaceChanged", "kind": "STARTED"}
    await host.refused("startSpace", spaceId=space_id)
    await host.refused("cancelSpace", spaceId=space_id)
    await heard(0)
    await guest.do("joinSpace", spaceId=space_id)
    assert facts((await heard())[0]) == person("PARTICIPANT_JOINED", guest, None, "LISTENER", "LISTENER")
    await guest.do("raiseHand", spaceId=space_id, raised=True)
    assert facts((await heard())[0]) == person("HAND_CHANGED", guest, None, None, "LISTENER")
    await host.do("setParticipantRole", spaceId=space_id, userId=guest.id, role="SPEAKER")
    assert facts((await heard())[0]) == person("ROLE_CHANGED", guest, "LISTENER", "SPEAKER", "SPEAKER")
    await guest.do("acknowledgeRecording", spaceId=space_id, consentVersion="1")
    await heard(0)
    await speak(city, space_id, 0.5)
    assert facts((await heard())[0]) == status("STARTING", "RECORDING")
    await guest.do("leaveSpace", spaceId=space_id)
    assert facts((await heard())[0]) == person("PARTICIPANT_LEFT", guest, "SPEAKER", None, "SPEAKER")
    await host.do("endSpace", spaceId=space_id)
    ended, available = await heard(2)
    assert facts(ended) == {"__typename": "SpaceChanged", "kind": "ENDED"}
    assert facts(available) == status("FINALIZING", "AVAILABLE")
    recording = await host.recording(space_id, "id")
    await host.do("trimRecording", recordingId=recording["id"], startOffsetMs=1)
    await guest.do("shareRecording", recordingId=recording["id"])
    await heard(0)
    await host.do("deleteRecording", recordingId=recording["id"])
    assert facts((await heard())[0]) == status("AVAILABLE", "DELETED")
    city.clock.move(timedelta(days=30) - timedelta(hours=1))
    await host.refused("deleteRecording", recordingId=recording["id"])
    city.clock.move(timedelta(hours=2))
    await city.round()
    kept = await _events(city.anyone, space_id)
    assert facts(kept[-1]) == status("DELETED", "PURGED")
    assert kept[-1]["space"] == {"id": space_id, "state": "ENDED"}


async def test_facts_stay_while_the_space_is_told_as_it_is_now(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space(record=True))["id"]
    await host.do("cancelSpace", spaceId=space_id)
    created, canceled = await _events(host, space_id)
    assert [created["kind"], canceled["kind"]] == ["CREATED", "CANCELED"]
    assert created["space"]["state"] == canceled["space"]["state"] == "CANCELED"
    assert at(created["at"]) <= at(canceled["at"])


async def test_the_sequence_comes_oldest_first_in_pages_that_join_up(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    for number in range(6):
        await host.do("updateSpace", spaceId=space_id, title=f"Title {number}")
    everything = [event["cursor"] for event in await _events(host, space_id)]
    assert len(set(everything)) == 7
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = await _page(host, space_id, first=3, **after)
        seen += [edge["cursor"] for edge in page["edges"]]
        assert page["pageInfo"]["hasPreviousPage"] == bool(after)
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = {"after": page["pageInfo"]["endCursor"]}
    assert seen == everything
    last = await _page(host, space_id, after=everything[-1])
    assert last["edges"] == []
    assert last["pageInfo"]["hasNextPage"] is False


async def test_the_same_cursors_serve_every_stream_of_the_space(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    async with city.anyone.socket() as socket:
        updates = await socket.subscribe(
            "subscription($id: ID!) { spaceUpdates(spaceId: $id) { cursor kind } }", id=space_id
        )
        snapshot = await socket.next(updates)
        assert snapshot["kind"] == "SNAPSHOT"
        status = await socket.subscribe(
            "subscription($id: ID!) { recordingStatus(spaceId: $id) { cursor status isRecording } }",
            id=space_id,
        )
        first = await socket.next(status)
        assert (first["status"], first["isRecording"]) == (None, False)
        await host.do("toggleRecording", spaceId=space_id, enabled=True)
        await host.do("updateSpace", spaceId=space_id, title="Next")
        toggled, updated = await socket.next(updates), await socket.next(updates)
        armed = await socket.next(status)
        assert armed["status"] == "ARMED"
        assert armed["cursor"] == toggled["cursor"]
        pulled = [event["cursor"] for event in await _events(host, space_id, after=snapshot["cursor"])]
        assert pulled == [toggled["cursor"], updated["cursor"]]
        for after, expected in (
            (snapshot["cursor"], ["RECORDING_TOGGLED", "UPDATED"]),
            (armed["cursor"], ["UPDATED"]),
        ):
            resumed = await socket.subscribe(
                "subscription($id: ID!, $a: String) { spaceUpdates(spaceId: $id, after: $a) { kind } }",
                id=space_id,
                a=after,
            )
            assert [(await socket.next(resumed))["kind"] for _ in expected] == expected


async def test_ticks_come_each_second_however_much_else_happens(city: Town) -> None:
    host, guest = await city.person(), await city.person()
    space_id = await host.live_space(record=True)
    await guest.do("joinSpace", spaceId=space_id)
    await speak(city, space_id, 0.5)
    async with city.anyone.socket() as socket:
        status = await socket.subscribe(
            "subscription($id: ID!) { recordingStatus(spaceId: $id) { cursor status at } }", id=space_id
        )
        first = await socket.next(status)
        assert first["status"] == "RECORDING"
        for number in range(16):
            await guest.do("raiseHand", spaceId=space_id, raised=number % 2 == 0)
            await _pause(0.1)
        tick = await socket.next(status)
        assert tick["cursor"] == first["cursor"]
        assert at(tick["at"]) - at(first["at"]) <= timedelta(seconds=1)
    await host.do("endSpace", spaceId=space_id)


async def _pause(seconds: float) -> None:
    """Let real time pass: ticks are told by the machine's monotonic clock."""
    import asyncio

    await asyncio.sleep(seconds)


async def test_a_cursor_of_another_space_or_ahead_of_it_is_refused(city: Town) -> None:
    host = await city.person()
    here, there = (await host.new_space())["id"], (await host.new_space())["id"]
    foreign = (await _events(host, there))[0]["cursor"]
    assert await _code(host, here, foreign) == "INVALID_INPUT"

    def forged(sequence: int, **values: Any) -> str:
        given = {"stream": uuid_of(here), "at": city.clock.now(), **values}
        return EventCursor(sequence=sequence, **given).pack()

    assert await _code(host, here, forged(1)) is None
    assert await _code(host, here, forged(2)) == "INVALID_INPUT"
    assert await _code(host, here, forged(2**61)) == "INVALID_INPUT"
    assert await _code(host, here, forged(1, stream=None)) == "INVALID_INPUT"
    assert await _code(host, here, forged(1, at=at("9999-12-31T23:59:59.999Z"))) is None
    async with host.socket() as socket:
        for field in ("spaceUpdates", "recordingStatus"):
            name = await socket.subscribe(
                f"subscription($id: ID!, $a: String) {{ {field}(spaceId: $id, after: $a) {{ cursor }} }}",
                id=here,
                a=foreign,
            )
            message = await socket.message(name)
            errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
            assert errors[0]["extensions"]["code"] == "INVALID_INPUT"


@pytest.mark.parametrize(
    ("age", "code"), [(timedelta(days=30) - MS, None), (timedelta(days=30), "CURSOR_EXPIRED")]
)
async def test_a_cursor_works_for_30_days(city: Town, age: timedelta, code: str | None) -> None:
    host = await city.person()
    city.clock.stand_at(city.clock.now())
    space_id = (await host.new_space())["id"]
    cursor = (await _events(host, space_id))[0]["cursor"]
    city.clock.stand_at(city.clock.now() + age)
    assert await _code(host, space_id, cursor) == code
    async with host.socket() as socket:
        name = await socket.subscribe(
            "subscription($id: ID!, $a: String) { spaceUpdates(spaceId: $id, after: $a) { kind } }",
            id=space_id,
            a=cursor,
        )
        if code is None:
            await host.do("updateSpace", spaceId=space_id, title="Still heard")
            assert (await socket.next(name))["kind"] == "UPDATED"
        else:
            message = await socket.message(name)
            errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
            assert errors[0]["extensions"]["code"] == code


@pytest.mark.parametrize("wrong", ["", "x", "\0", global_id("Space"), global_id("User")])
async def test_events_of_a_space_that_is_not_there_are_not_found(city: Town, wrong: str) -> None:
    answer = await city.anyone.ask(
        "query($id: ID!) { spaceEvents(spaceId: $id) { edges { cursor } } }", id=wrong
    )
    assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert answer["errors"][0]["path"] == ["spaceEvents"]
