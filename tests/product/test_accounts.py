"""Accounts: signing up, in and out, profiles, following."""

from datetime import timedelta

import pytest

from tests.product.town import Person, Town
from tests.product.voices import GARBAGE_IDS, MS, at, global_id, iso

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "correct horse"


async def _sign_up(town: Town, handle: str, *, name: str = "Somebody", password: str = PASSWORD) -> str:
    payload = await town.anyone.try_("signUp", "token", handle=handle, name=name, password=password)
    if payload["errors"]:
        assert payload["token"] is None
        return f"{payload['errors'][0]['code']} {payload['errors'][0]['path']}"
    return "OK"


@pytest.mark.parametrize(
    ("handle", "answer"),
    [
        ("ab", "INVALID_INPUT ['handle']"),
        ("abc", "OK"),
        ("a" * 30, "OK"),
        ("a" * 31, "INVALID_INPUT ['handle']"),
        ("_0_", "OK"),
        ("a-b", "INVALID_INPUT ['handle']"),
        ("a b", "INVALID_INPUT ['handle']"),
        ("abc\n", "INVALID_INPUT ['handle']"),
        (" abc", "INVALID_INPUT ['handle']"),
        ("\uff41bc", "INVALID_INPUT ['handle']"),
        ("straße", "INVALID_INPUT ['handle']"),
        ("abc\0", "INVALID_INPUT ['handle']"),
        ("", "INVALID_INPUT ['handle']"),
    ],
)
async def test_a_handle_has_3_to_30_letters_digits_and_underscores(
    city: Town, handle: str, answer: str
) -> None:
    assert await _sign_up(city, handle) == answer


@pytest.mark.parametrize(
    ("password", "answer"),
    [
        ("1234567", "INVALID_INPUT ['password']"),
        ("12345678", "OK"),
        ("p" * 128, "OK"),
        ("p" * 129, "INVALID_INPUT ['password']"),
        ("😀" * 8, "OK"),
        ("😀" * 128, "OK"),
        (" " * 8, "OK"),
        ("null\0byte\n", "OK"),
    ],
)
async def test_a_password_has_8_to_128_characters_of_any_kind(city: Town, password: str, answer: str) -> None:
    handle = f"pass_{abs(hash(password)) % 10**12}"
    assert await _sign_up(city, handle, password=password) == answer
    if answer == "OK":
        await city.anyone.do("signIn", "token", handle=handle, password=password)
        assert (
            await city.anyone.refused("signIn", handle=handle, password=password + "x") == "UNAUTHENTICATED"
        )


@pytest.mark.both_databases
async def test_a_handle_is_taken_and_found_in_upper_and_lower_case(city: Town) -> None:
    assert await _sign_up(city, "MixedCase") == "OK"
    assert await _sign_up(city, "mIXEDcASE") == "CONFLICT ['handle']"
    found = await city.anyone.read(
        """{ user(handle: "mixedcase") { handle followerCount bio viewerFollows } }"""
    )
    assert found["user"] == {"handle": "MixedCase", "followerCount": 0, "bio": None, "viewerFollows": False}
    await city.anyone.do("signIn", "token", handle="MIXEDCASE", password=PASSWORD)
    for handle in ("nobody_there", "mixed case", "mixedcase\0", "\uff2dixedCase", "", "x" * 1000):
        answer = await city.anyone.read("query($h: String!) { user(handle: $h) { id } }", h=handle)
        assert answer["user"] is None


async def test_a_wrong_password_and_an_unknown_handle_sound_the_same(city: Town) -> None:
    await city.person("is_here")
    answers = [
        await city.anyone.try_("signIn", "token user { id } expiresAt", handle=handle, password="wrong wrong")
        for handle in ("is_here", "is_not_here")
    ]
    assert answers[0] == answers[1]
    assert answers[0]["token"] is answers[0]["user"] is answers[0]["expiresAt"] is None
    assert answers[0]["errors"][0]["code"] == "UNAUTHENTICATED"


async def _is_signed_in(person: Person) -> bool:
    response = await person.town.http.post(
        "/graphql", json={"query": "{ viewer { user { id } } }"}, headers=person.headers
    )
    if response.status_code == 401:
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        return False
    assert response.json()["data"]["viewer"]["user"]["id"] == person.id
    return True


async def _again(person: Person) -> Person:
    made = await person.town.anyone.do("signIn", "token", handle=person.handle, password=PASSWORD)
    return Person(person.town, token=made["token"], id=person.id, handle=person.handle)


async def test_signing_out_ends_this_session_or_every_one(city: Town) -> None:
    first = await city.person()
    second, third = await _again(first), await _again(first)
    await first.do("signOut")
    assert [await _is_signed_in(one) for one in (first, second, third)] == [False, True, True]
    await second.do("signOut", everywhere=True)
    assert [await _is_signed_in(one) for one in (second, third)] == [False, False]
    assert await _is_signed_in(await _again(first))


async def test_a_session_ends_at_the_time_that_was_told(city: Town) -> None:
    city.clock.stand_at(city.clock.now())
    made = await city.anyone.do(
        "signUp", "token user { id } expiresAt", handle="session_end", name="S", password=PASSWORD
    )
    person = Person(city, token=made["token"], id=made["user"]["id"])
    city.clock.stand_at(at(made["expiresAt"]) - MS)
    assert await _is_signed_in(person)
    city.clock.stand_at(at(made["expiresAt"]))
    assert not await _is_signed_in(person)


@pytest.mark.parametrize("token", ["x", "sps_", "sps_" + "A" * 43, "Bearer", "é", "A" * 4000])
async def test_a_token_that_is_none_is_refused_and_not_taken_for_nobody(city: Town, token: str) -> None:
    response = await city.http.post(
        "/graphql",
        json={"query": "{ viewer { user { id } } }"},
        headers={b"Authorization": f"Bearer {token}".encode()},
    )
    assert response.status_code == 401
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_nobody_in_particular_has_no_viewer_and_changes_nothing(city: Town) -> None:
    assert (await city.anyone.read("{ viewer { user { id } } }"))["viewer"] is None
    host = await city.person()
    space = await host.new_space("id recording { id }", record=True)
    space_id, recording_id = space["id"], space["recording"]["id"]
    live = await host.live_space()
    refusals = {
        "signOut": {},
        "updateAccount": {"name": "X"},
        "follow": {"userId": host.id},
        "unfollow": {"userId": host.id},
        "createSpace": {"title": "X"},
        "updateSpace": {"spaceId": space_id, "title": "X"},
        "toggleRecording": {"spaceId": space_id, "enabled": False},
        "startSpace": {"spaceId": space_id},
        "endSpace": {"spaceId": live},
        "cancelSpace": {"spaceId": space_id},
        "joinSpace": {"spaceId": live},
        "leaveSpace": {"spaceId": live},
        "acknowledgeRecording": {"spaceId": live, "consentVersion": "1"},
        "raiseHand": {"spaceId": live, "raised": True},
        "setParticipantRole": {"spaceId": live, "userId": host.id, "role": "LISTENER"},
        "trimRecording": {"recordingId": recording_id, "startOffsetMs": 0},
        "shareSpace": {"spaceId": space_id},
        "shareRecording": {"recordingId": recording_id},
        "deleteShare": {"itemId": global_id("TimelineItem")},
        "deleteRecording": {"recordingId": recording_id},
        "savePlaybackPosition": {"recordingId": recording_id, "positionMs": 0},
        "updateRollout": {"stage": "OFF"},
    }
    assert {name: await city.anyone.refused(name, **given) for name, given in refusals.items()} == (
        dict.fromkeys(refusals, "UNAUTHENTICATED")
    )


async def test_a_profile_keeps_what_is_left_out(city: Town) -> None:
    person = await city.person()
    want = "viewer { recordsByDefault isModerator user { name bio handle } }"
    assert (await person.do("updateAccount", want, name="  Ada  "))["viewer"]["user"]["name"] == "Ada"
    assert (await person.do("updateAccount", want, bio="Hello 👋"))["viewer"] == {
        "recordsByDefault": False,
        "isModerator": False,
        "user": {"name": "Ada", "bio": "Hello 👋", "handle": person.handle},
    }
    made = await person.do("updateAccount", want, recordsByDefault=True, name=None)
    assert made["viewer"]["recordsByDefault"]
    assert made["viewer"]["user"] == {"name": "Ada", "bio": "Hello 👋", "handle": person.handle}
    assert (await person.do("updateAccount", want, bio=""))["viewer"]["user"]["bio"] is None
    for wrong in ({"name": ""}, {"name": " "}, {"name": "a" * 101}, {"name": "a\0"}, {"bio": "b" * 501}):
        assert await person.refused("updateAccount", **wrong) == "INVALID_INPUT"
    await person.do("updateAccount", name="a" * 100, bio="b" * 500)


async def test_a_change_of_profile_that_fails_changes_nothing_for_the_next_one_either(city: Town) -> None:
    person = await city.person()
    answer = await person.read(
        """mutation($bio: String!) {
          bad: updateAccount(input: { name: "Changed", bio: $bio }) { errors { code } }
          good: updateAccount(input: { recordsByDefault: true }) { viewer { user { name } } errors { code } }
        }""",
        bio="b" * 501,
    )
    assert answer["bad"]["errors"][0]["code"] == "INVALID_INPUT"
    assert answer["good"]["viewer"]["user"]["name"] == person.handle.title()
    assert (await city.anyone.read(f'{{ user(handle: "{person.handle}") {{ name }} }}'))["user"]["name"] == (
        person.handle.title()
    )


async def test_what_changes_elsewhere_holds_on_an_open_socket(city: Town) -> None:
    person = await city.person()
    async with person.socket() as socket:
        before = await socket.subscribe("{ viewer { user { name } } }")
        await socket.message(before)
        await person.do("updateAccount", name="Newer", recordsByDefault=True)
        after = await socket.subscribe("{ viewer { recordsByDefault user { name } } }")
        assert await socket.next(after) == {"recordsByDefault": True, "user": {"name": "Newer"}}
        made = await socket.subscribe(
            'mutation { updateAccount(input: { bio: "B" }) { errors { code } viewer { user { name } } } }'
        )
        assert (await socket.next(made))["viewer"]["user"]["name"] == "Newer"
        space = await socket.subscribe(
            'mutation { createSpace(input: { title: "T" }) { space { recordingEnabled } } }'
        )
        assert (await socket.next(space))["space"]["recordingEnabled"]


async def test_following_twice_is_once_and_counts_on_both_sides(city: Town) -> None:
    fan, star = await city.person(), await city.person()
    want = "user { id followerCount followingCount viewerFollows viewerBlocks }"
    followed = {
        "id": star.id,
        "followerCount": 1,
        "followingCount": 0,
        "viewerFollows": True,
        "viewerBlocks": False,
    }
    assert (await fan.do("follow", want, userId=star.id))["user"] == followed
    assert (await fan.do("follow", want, userId=star.id))["user"] == followed
    assert (await star.read("{ viewer { user { followerCount viewerFollows } } }"))["viewer"]["user"] == {
        "followerCount": 1,
        "viewerFollows": False,
    }
    query = "{ viewer { user { followingCount following { edges { node { id } } } } } }"
    mine = (await fan.read(query))["viewer"]["user"]
    assert mine == {"followingCount": 1, "following": {"edges": [{"node": {"id": star.id}}]}}
    for _ in range(2):
        gone = (await fan.do("unfollow", want, userId=star.id))["user"]
        assert (gone["followerCount"], gone["viewerFollows"]) == (0, False)


@pytest.mark.both_databases
async def test_followers_come_newest_first_in_pages_that_join_up(city: Town) -> None:
    star = await city.person()
    fans = [await city.person() for _ in range(5)]
    for number, fan in enumerate(fans):
        city.clock.stand_at(city.clock.now() + timedelta(seconds=number + 1))
        await fan.do("follow", userId=star.id)
    query = """query($h: String!, $after: String) { user(handle: $h) { followers(first: 2, after: $after) {
      edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""
    seen: list[str] = []
    variables: dict[str, str] = {}
    pages = 0
    while pages < 3:
        page = (await city.anyone.read(query, h=star.handle, **variables))["user"]["followers"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        assert page["pageInfo"]["hasPreviousPage"] == (pages > 0)
        variables = {"after": page["pageInfo"]["endCursor"]}
        pages += 1
        assert page["pageInfo"]["hasNextPage"] == (pages < 3)
    assert seen == [fan.id for fan in reversed(fans)]


async def test_whom_one_cannot_follow(city: Town) -> None:
    person = await city.person()
    assert await person.refused("follow", userId=person.id) == "INVALID_INPUT"
    space = await person.new_space()
    for wrong in (*GARBAGE_IDS, global_id("User"), space["id"], global_id("Nothing")):
        for mutation in ("follow", "unfollow"):
            payload = await person.try_(mutation, "user { id }", userId=wrong)
            assert payload["user"] is None
            assert [error["code"] for error in payload["errors"]] == ["NOT_FOUND"]
            assert payload["errors"][0]["path"] == ["userId"]


async def test_the_moment_of_a_token_is_written_as_the_contract_says(city: Town) -> None:
    city.clock.stand_at(at("2030-01-01T00:00:00.000Z"))
    made = await city.anyone.do("signUp", "expiresAt", handle="new_year", name="N", password=PASSWORD)
    assert made["expiresAt"] == iso(at("2030-01-01T00:00:00.000Z") + timedelta(days=365))
