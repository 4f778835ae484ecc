"""Spaces: their states, who may do what, and their clocks."""

from datetime import timedelta
from typing import Any

import pytest

from tests.product.town import Person, Town
from tests.product.voices import GARBAGE_IDS, MS, at, global_id, iso, present

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = timedelta(days=1)
MOVES = ("toggleRecording", "startSpace", "endSpace", "cancelSpace", "updateSpace", "joinSpace", "leaveSpace")
IN_STATE = {
    "SCHEDULED": {"endSpace": "NOT_LIVE", "joinSpace": "NOT_LIVE", "leaveSpace": "NOT_LIVE"},
    "LIVE": {
        "toggleRecording": "ALREADY_LIVE",
        "startSpace": "ALREADY_LIVE",
        "cancelSpace": "ALREADY_LIVE",
    },
    "ENDED": dict.fromkeys(MOVES, "ALREADY_ENDED"),
    "CANCELED": dict.fromkeys(MOVES, "ALREADY_ENDED"),
}
GIVEN: dict[str, dict[str, Any]] = {"toggleRecording": {"enabled": True}, "updateSpace": {"title": "New"}}


async def _space_in(host: Person, state: str, *, record: bool = False) -> str:
    space_id: str = (await host.new_space(record=record))["id"]
    if state in {"LIVE", "ENDED"}:
        await host.do("startSpace", spaceId=space_id)
    if state == "ENDED":
        await host.do("endSpace", spaceId=space_id)
    if state == "CANCELED":
        await host.do("cancelSpace", spaceId=space_id)
    return space_id


async def _state(person: Person, space_id: str) -> str:
    return str((await person.space(space_id, "state"))["state"])


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("state", IN_STATE)
async def test_every_move_is_made_or_refused_as_the_state_has_it(city: Town, state: str, move: str) -> None:
    host = await city.person()
    space_id = await _space_in(host, state)
    want = "state title recordingEnabled startedAt endedAt participantCount"
    before = await host.space(space_id, want)
    payload = await host.try_(move, "space { id }", spaceId=space_id, **GIVEN.get(move, {}))
    expected = IN_STATE[state].get(move)
    if expected is None:
        assert payload["errors"] == []
        assert payload["space"]["id"] == space_id
    else:
        assert [error["code"] for error in payload["errors"]] == [expected]
        assert payload["space"] is None
        assert await host.space(space_id, want) == before


@pytest.mark.parametrize("state", ["SCHEDULED", "LIVE", "ENDED", "CANCELED"])
async def test_a_stranger_is_forbidden_what_is_the_hosts_in_every_state(city: Town, state: str) -> None:
    host, stranger = await city.person(), await city.person()
    space_id = await _space_in(host, state)
    for move in ("toggleRecording", "startSpace", "endSpace", "cancelSpace", "updateSpace"):
        assert await stranger.refused(move, spaceId=space_id, **GIVEN.get(move, {})) == "FORBIDDEN", move
    assert await _state(host, space_id) == state


@pytest.mark.parametrize(
    "move", [*MOVES, "acknowledgeRecording", "raiseHand", "setParticipantRole", "shareSpace"]
)
async def test_an_id_that_is_no_spaces_is_not_found(city: Town, move: str) -> None:
    person = await city.person()
    inputs: dict[str, dict[str, Any]] = {
        "acknowledgeRecording": {"consentVersion": "1"},
        "raiseHand": {"raised": True},
        "setParticipantRole": {"userId": person.id, "role": "SPEAKER"},
        **GIVEN,
    }
    given = inputs.get(move, {})
    for wrong in (*GARBAGE_IDS, global_id("Space"), person.id, global_id("Nothing")):
        payload = await person.try_(move, spaceId=wrong, **given)
        assert [(error["code"], error["path"]) for error in payload["errors"]] == [
            ("NOT_FOUND", ["spaceId"])
        ], wrong


async def test_ids_that_are_none_read_as_null(city: Town) -> None:
    person = await city.person()
    wrong = [*GARBAGE_IDS, global_id("Space"), global_id("Nothing"), "U3BhY2U6e30", "Space:1"]
    query = "query($id: ID!) { node(id: $id) { id } space(id: $id) { id } recording(id: $id) { id } }"
    for one in wrong:
        assert await person.read(query, id=one) == {"node": None, "space": None, "recording": None}
    answer = await person.read("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[*wrong, person.id])
    assert answer["nodes"] == [*[None] * len(wrong), {"id": person.id}]
    assert await person.read(query, id=person.id) == {
        "node": {"id": person.id},
        "space": None,
        "recording": None,
    }
    for count, served in ((100, True), (101, False)):
        answer = await person.ask("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["x"] * count)
        assert ("errors" not in answer) == served
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_a_moderator_may_end_a_live_space_and_nothing_more_of_it(city: Town) -> None:
    host, moderator = await city.person(), await city.moderator()
    space_id = await _space_in(host, "LIVE")
    assert await moderator.refused("updateSpace", spaceId=space_id, title="X") == "FORBIDDEN"
    await moderator.do("endSpace", spaceId=space_id)
    assert await _state(host, space_id) == "ENDED"


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("", None),
        (" ", None),
        ("\u00a0\t\n", None),
        ("x", "x"),
        ("x" * 200, "x" * 200),
        ("x" * 201, None),
        ("  x  ", "x"),
        ("😀" * 200, "😀" * 200),
        ("a\0b", None),
        ("\u200b", None),
        ("\ufeff \u2060\u0301\u3164", None),
        ("\u200bx", "\u200bx"),
        ("\u05e9\u05dc\u05d5\u05dd \u202ex", "\u05e9\u05dc\u05d5\u05dd \u202ex"),
    ],
)
async def test_a_title_has_1_to_200_characters(city: Town, title: str, kept: str | None) -> None:
    host = await city.person()
    made = await host.try_("createSpace", "space { title }", title=title)
    space = await host.new_space()
    changed = await host.try_("updateSpace", "space { title }", spaceId=space["id"], title=title)
    for payload in (made, changed):
        if kept is None:
            assert [(error["code"], error["path"]) for error in payload["errors"]] == [
                ("INVALID_INPUT", ["title"])
            ]
            assert payload["space"] is None
        else:
            assert payload["space"] == {"title": kept}


async def test_the_other_fields_of_a_space_have_their_limits(city: Town) -> None:
    host = await city.person()
    for good in (
        {"description": "d" * 5000},
        {"language": "pt-BR"},
        {"topics": [str(number) for number in range(10)]},
        {"topics": ["t" * 40]},
    ):
        assert await host.new_space(**good)
    for field, bad in (
        ("description", "d" * 5001),
        ("language", "no language"),
        ("language", ""),
        ("topics", [str(number) for number in range(11)]),
        ("topics", ["t" * 41]),
        ("topics", [""]),
    ):
        payload = await host.try_("createSpace", "space { id }", **{"title": "T", field: bad})
        assert [(error["code"], error["path"]) for error in payload["errors"]] == [("INVALID_INPUT", [field])]


async def test_a_new_space_is_as_it_was_asked_for(city: Town) -> None:
    host = await city.person()
    city.clock.stand_at(city.clock.now())
    want = """title description language topics state createdAt scheduledStart startedAt endedAt speakerPolicy
      clipsAllowed recordingEnabled isRecording consent { version } recording { id } participantCount
      totalListenerCount peakListenerCount viewerParticipation { id } live { url } host { id }
      participants { edges { node { id } } pageInfo { hasNextPage startCursor endCursor } }"""
    space = await host.new_space(want, title="T", topics=["b", "a", "b"], speakerPolicy="INVITED")
    assert space == {
        "title": "T",
        "description": None,
        "language": None,
        "topics": ["b", "a"],
        "state": "SCHEDULED",
        "createdAt": iso(city.clock.now()),
        "scheduledStart": None,
        "startedAt": None,
        "endedAt": None,
        "speakerPolicy": "INVITED",
        "clipsAllowed": True,
        "recordingEnabled": False,
        "isRecording": False,
        "consent": None,
        "recording": None,
        "participantCount": 0,
        "totalListenerCount": 0,
        "peakListenerCount": 0,
        "viewerParticipation": None,
        "live": None,
        "host": {"id": host.id},
        "participants": {
            "edges": [],
            "pageInfo": {"hasNextPage": False, "startCursor": None, "endCursor": None},
        },
    }


async def test_what_is_left_out_of_an_update_stays_and_null_clears(city: Town) -> None:
    host = await city.person()
    start = iso(city.clock.now() + DAY)
    want = "title description language topics scheduledStart speakerPolicy clipsAllowed"
    space = await host.new_space(
        f"id {want}", description="D", language="en", topics=["a"], scheduledStart=start
    )
    space_id = space.pop("id")

    async def update(**given: Any) -> Any:
        return (await host.do("updateSpace", f"space {{ {want} }}", spaceId=space_id, **given))["space"]

    assert await update(title="New") == {**space, "title": "New"}
    kinds = "query($id: ID!) { spaceEvents(spaceId: $id, first: 50) { edges { node { kind } } } }"
    before = await host.read(kinds, id=space_id)
    assert await update(title=" New ", topics=["a"], scheduledStart=start) == {**space, "title": "New"}
    assert await update() == {**space, "title": "New"}
    assert await host.read(kinds, id=space_id) == before
    cleared = await update(description=None, language=None, topics=[], scheduledStart=None)
    assert cleared == {
        **space, "title": "New", "description": None, "language": None, "topics": [], "scheduledStart": None,
    }  # fmt: skip
    assert (await update(speakerPolicy="FOLLOWED", clipsAllowed=False))["speakerPolicy"] == "FOLLOWED"
    for field in ("title", "topics", "speakerPolicy", "clipsAllowed"):
        nulled: dict[str, Any] = {field: None}
        payload = await host.try_("updateSpace", spaceId=space_id, **nulled)
        assert payload["errors"][0]["code"] == "INVALID_INPUT"
        assert payload["errors"][0]["path"] == [field]


async def test_the_start_changes_before_launch_only_and_the_policy_while_live_too(city: Town) -> None:
    host = await city.person()
    space_id = await _space_in(host, "LIVE")
    start = iso(city.clock.now() + DAY)
    assert await host.refused("updateSpace", spaceId=space_id, scheduledStart=start) == "ALREADY_LIVE"
    assert await host.refused("updateSpace", spaceId=space_id, scheduledStart=None) == "ALREADY_LIVE"
    await host.do("updateSpace", spaceId=space_id, speakerPolicy="INVITED", title="Live now")


@pytest.mark.parametrize(
    ("ahead", "allowed"),
    [
        (-DAY, False),
        (timedelta(0), False),
        (MS, True),
        (14 * DAY - MS, True),
        (14 * DAY, True),
        (14 * DAY + MS, False),
        (365 * DAY, False),
    ],
)
async def test_a_space_is_scheduled_at_most_14_days_ahead(
    city: Town, ahead: timedelta, *, allowed: bool
) -> None:
    host = await city.person()
    city.clock.stand_at(city.clock.now())
    start = iso(city.clock.now() + ahead)
    made = await host.try_("createSpace", "space { scheduledStart }", title="T", scheduledStart=start)
    space_id = (await host.new_space())["id"]
    changed = await host.try_(
        "updateSpace", "space { scheduledStart }", spaceId=space_id, scheduledStart=start
    )
    for payload in (made, changed):
        if allowed:
            assert payload["space"] == {"scheduledStart": start}
        else:
            assert [(error["code"], error["path"]) for error in payload["errors"]] == [
                ("INVALID_INPUT", ["scheduledStart"])
            ]


@pytest.mark.parametrize(
    "moment",
    [
        "", "tomorrow", "2030-01-01", "2030-01-01T00:00:00", "2030-02-30T00:00:00Z", "2030-13-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", 1, True, [], {}, "99999-01-01T00:00:00Z",
        "2030-01-01T24:00:01Z", "\uff12030-01-01T00:00:00Z",
    ],
)  # fmt: skip
async def test_a_moment_that_is_none_is_refused(city: Town, moment: object) -> None:
    host = await city.person()
    answer = await host.ask(
        'mutation($at: DateTime!) { createSpace(input: { title: "T", scheduledStart: $at }) { errors { code } } }',
        at=moment,
    )
    codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
    codes += [
        error["code"] for error in ((answer.get("data") or {}).get("createSpace") or {"errors": []})["errors"]
    ]
    assert codes == ["INVALID_INPUT"]


async def test_a_moment_in_another_zone_is_the_same_moment(city: Town) -> None:
    host = await city.person()
    city.clock.stand_at(at("2030-01-01T00:00:00.000Z"))
    host = await city.person()
    space = await host.new_space("scheduledStart", scheduledStart="2030-01-01T06:30:00.123456+05:30")
    assert space["scheduledStart"] == "2030-01-01T01:00:00.123Z"


async def test_a_host_has_at_most_one_live_space(city: Town) -> None:
    host = await city.person()
    first, second = await _space_in(host, "LIVE"), (await host.new_space())["id"]
    assert await host.refused("startSpace", spaceId=second) == "CONFLICT"
    assert await _state(host, second) == "SCHEDULED"
    await host.do("endSpace", spaceId=first)
    await host.do("startSpace", spaceId=second)


async def test_an_unlaunched_space_is_canceled_24_hours_after_its_time(city: Town) -> None:
    host = await city.person()
    start = city.clock.now() + timedelta(hours=1)
    space = await host.new_space("id scheduledStart", scheduledStart=iso(start), record=True)
    unscheduled = await host.new_space()
    due = at(space["scheduledStart"]) + DAY
    city.clock.stand_at(due - MS)
    await city.round()
    assert await _state(host, space["id"]) == "SCHEDULED"
    city.clock.stand_at(due)
    await city.round()
    assert await host.space(space["id"], "state recordingEnabled recording { id } endedAt") == {
        "state": "CANCELED",
        "recordingEnabled": False,
        "recording": None,
        "endedAt": iso(due),
    }
    assert await _state(host, unscheduled["id"]) == "SCHEDULED"
    assert await host.refused("startSpace", spaceId=space["id"]) == "ALREADY_ENDED"


async def test_a_space_ends_12_hours_after_its_launch(city: Town) -> None:
    host = await city.person()
    space_id = await _space_in(host, "LIVE", record=True)
    started = at((await host.space(space_id, "startedAt"))["startedAt"])
    async with city.anyone.attending(space_id):
        await present(city, space_id)
        city.clock.stand_at(started + timedelta(hours=12) - MS)
        await city.round()
        assert await _state(host, space_id) == "LIVE"
        city.clock.stand_at(started + timedelta(hours=12))
        await city.round()
    assert await host.space(space_id, "state endedAt isRecording participantCount recording { status }") == {
        "state": "ENDED",
        "endedAt": iso(started + timedelta(hours=12)),
        "isRecording": False,
        "participantCount": 0,
        "recording": {"status": "FAILED"},
    }


async def test_spaces_are_listed_newest_first_by_state_with_stable_pages(city: Town) -> None:
    host = await city.person()
    made = [await _space_in(host, state) for state in ("SCHEDULED", "ENDED", "CANCELED", "ENDED", "LIVE")]
    query = """query($h: String!, $after: String) { user(handle: $h) { spaces(first: 2, after: $after) {
      edges { node { id } } pageInfo { hasNextPage endCursor } } } }"""
    seen: list[str] = []
    variables: dict[str, str] = {}
    while True:
        page = (await city.anyone.read(query, h=host.handle, **variables))["user"]["spaces"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        variables = {"after": page["pageInfo"]["endCursor"]}
        await host.new_space()
    assert seen == list(reversed(made))
    for state, count in (("LIVE", 1), ("ENDED", 2), ("CANCELED", 1)):
        listed = await city.anyone.read(
            "query($s: SpaceState) { spaces(state: $s, first: 100) { edges { node { state host { id } } } } }",
            s=state,
        )
        nodes = [edge["node"] for edge in listed["spaces"]["edges"]]
        assert {node["state"] for node in nodes} == {state}
        assert sum(node["host"]["id"] == host.id for node in nodes) == count


@pytest.mark.parametrize("first", [-1, 0, 101, 100_000, 2**31 - 1])
async def test_a_page_is_1_to_100_and_refused_beyond(city: Town, first: int) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    page = "{ pageInfo { hasNextPage } }"
    for field in (
        f"spaces(first: $n) {page}",
        f"timeline(first: $n) {page}",
        f"spaceEvents(spaceId: $id, first: $n) {page}",
        f"space(id: $id) {{ participants(first: $n) {page} }}",
        f"viewer {{ recordings(first: $n) {page} user {{ followers(first: $n) {page} }} }}",
    ):
        id_variable = "$id: ID!" if "$id" in field else ""
        for number, served in ((first, False), (100, True)):
            by_variable = await host.ask(
                f"query($n: Int, {id_variable}) {{ {field} }}", n=number, id=space_id
            )
            literal = field.replace("$n", str(number))
            head = f"query({id_variable})" if id_variable else "query"
            by_literal = await host.ask(f"{head} {{ {literal} }}", id=space_id)
            for answer in (by_variable, by_literal):
                codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
                assert codes == ([] if served else ["INVALID_INPUT"]), (field, number)
