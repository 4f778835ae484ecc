"""Sign-in by an OpenID Connect provider: its tokens do what a session's do, and no others."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from pydantic import ValidationError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError
from websockets.typing import Subprotocol

from api.settings import Settings
from services import accounts
from tests.product.databases import databases
from tests.product.openid_fake import AUDIENCE, OpenIdFake, forgeries, new_key, openid_fakes
from tests.product.town import MovableClock, Person, Town, open_town

pytestmark = pytest.mark.asyncio(loop_scope="module")

ME = "{ viewer { user { id handle name } } }"
LEEWAY = timedelta(seconds=30)


class LaterClock(MovableClock):
    """One whose monotonic clock can be moved too: what is cached gets old."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        """Later than it is."""
        return super().monotonic() + self.ahead_s


@dataclass
class Campus:
    """A server and the two providers that its people sign in at."""

    town: Town
    one: OpenIdFake
    two: OpenIdFake
    clock: LaterClock

    async def person(self, subject: str, **claims: Any) -> Person:
        """Somebody who has signed in at the first provider."""
        person = Person(self.town, token=await self.one.sign_in(subject, **claims))
        user = (await person.read(ME))["viewer"]["user"]
        person.id, person.handle = user["id"], user["handle"]
        return person


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Campus]:
    folder = tmp_path_factory.mktemp("campus")
    clock = LaterClock()
    async with openid_fakes(clock) as (one, two):
        one.keys = [new_key("rsa", "RSA"), new_key("okp", "OKP"), new_key("ec")]
        named = [{"issuer": fake.issuer, "audiences": [AUDIENCE, "spaces"]} for fake in (one, two)]
        async with open_town(folder / "data", clock=clock, openid_providers=named) as town:
            yield Campus(town, one, two, clock)
    databases.forget(folder)


@pytest_asyncio.fixture(loop_scope="module")
async def campus(built: Campus) -> AsyncIterator[Campus]:
    """The module's, its providers in order and as rested as if a minute had passed."""
    keys = built.one.keys
    built.clock.ahead_s += 61
    yield built
    built.clock.frozen, built.clock.offset = None, timedelta(0)
    for fake in (built.one, built.two):
        fake.status, fake.discovery, fake.more_keys = 200, {}, []
    built.one.keys = keys


async def by_http(town: Town, token: str, query: str = ME) -> tuple[int, str, str]:
    """Status, code and text."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/graphql-response+json"}
    answer = await town.http.post("/graphql", json={"query": query}, headers=headers)
    errors = answer.json().get("errors")
    return (
        (answer.status_code, errors[0]["extensions"]["code"], errors[0]["message"])
        if errors
        else (200, "", "")
    )


async def by_socket(town: Town, token: str) -> tuple[int | None, str]:
    """Close code and reason; nothing for a socket that is let in."""
    url = town.url.replace("http", "ws") + "/graphql"
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as raw:
        await raw.send(
            json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
        )
        try:
            assert json.loads(await raw.recv())["type"] == "connection_ack"
        except ConnectionClosedError:
            return raw.close_code, raw.close_reason or ""
    return None, ""


REFUSED = "This token is not valid or has expired. Sign in again."


async def refused(town: Town, token: str) -> None:
    """On every way in, with one and the same text."""
    assert await by_http(town, token) == (401, "UNAUTHENTICATED", REFUSED)
    assert await by_socket(town, token) == (4403, REFUSED)


async def test_every_forged_token_is_refused_alike_on_every_way_in(campus: Campus) -> None:
    assert (await by_http(campus.town, campus.one.token("somebody")))[0] == 200
    assert (await by_http(campus.town, campus.two.token("somebody")))[0] == 200
    tokens = forgeries(campus.one, campus.two)
    for name, token in tokens.items():
        assert await by_http(campus.town, token) == (401, "UNAUTHENTICATED", REFUSED), name
        assert await by_socket(campus.town, token) == (4403, REFUSED), name
        avatar = await campus.town.http.put(
            "/account/avatar", content=b"x", headers={"Authorization": f"Bearer {token}"}
        )
        assert avatar.status_code == 401, name
    assert "/evil" not in campus.one.asked
    assert databases.read(campus.town.data_dir, "SELECT id FROM identity WHERE subject LIKE 'm%'") == []


async def test_a_session_and_an_access_token_that_ended_are_refused_with_the_same_text(
    campus: Campus,
) -> None:
    person = await campus.town.person()
    made = await person.do("createAccessToken", "secret accessToken { id }", name="A", scopes=["READ"])
    await person.do("revokeAccessToken", "revokedAccessTokenId", accessTokenId=made["accessToken"]["id"])
    await refused(campus.town, made["secret"])
    assert person.token is not None
    await person.do("signOut", everywhere=False)
    await refused(campus.town, person.token)


@pytest.mark.parametrize("kind", ["RSA", "OKP", "EC"])
async def test_keys_of_each_kind_sign_people_in(campus: Campus, kind: str) -> None:
    campus.one.keys = [key for key in campus.one.keys if key.key_type == kind]
    person = await campus.person(f"signed-by-{kind}", preferred_username=f"by_{kind}")
    assert person.handle == f"by_{kind}"


async def test_the_same_subject_is_the_same_account_on_every_way_in(campus: Campus) -> None:
    tokens = await asyncio.gather(*(campus.one.sign_in("ada", name="Ada L.") for _ in range(4)))
    answers = await asyncio.gather(*(Person(campus.town, token=token).read(ME) for token in tokens))
    (user,) = {json.dumps(answer["viewer"]["user"]) for answer in answers}
    assert json.loads(user)["name"] == "Ada L."
    async with Person(campus.town, token=tokens[0]).socket() as socket:
        over_socket = await socket.next(await socket.subscribe(ME))
    assert over_socket["user"] == json.loads(user)
    other = Person(campus.town, token=campus.two.token("ada"))
    assert (await other.read(ME))["viewer"]["user"]["id"] != json.loads(user)["id"]


async def test_a_provider_s_token_does_what_a_session_does(campus: Campus) -> None:
    host = await campus.person("host")
    space = await host.live_space(record=True)
    await (await campus.town.person()).do("joinSpace", "mediaToken", spaceId=space)
    assert (await host.do("createAccessToken", "secret", name="A", scopes=["READ"]))["secret"]
    stream = await campus.town.http.get(
        "/graphql", params={"query": ME}, headers={**host.headers, "Accept": "text/event-stream"}
    )
    assert host.handle in stream.text
    assert (await host.read("{ moderation { __typename } }"))["moderation"] is None
    await accounts.promote(campus.town.built.house, host.handle)
    assert (await host.read("{ moderation { __typename } }"))["moderation"] is not None


@pytest.mark.parametrize(
    ("claims", "handle"),
    [
        ({"preferred_username": "grace_hopper"}, "grace_hopper"),
        ({"preferred_username": "Zoë Müller"}, "Zoe_Muller"),
        ({"preferred_username": "ab", "email": "b.liskov@example.org"}, "b_liskov"),
        ({"preferred_username": None, "email": "o'neil+x@example.org"}, "o_neil_x"),
        ({"preferred_username": "x" * 31}, "x" * 30),
        ({"preferred_username": 7, "email": ["a"]}, "member"),
        ({"preferred_username": "李小龍"}, "member_2"),
        ({"preferred_username": "deleted"}, "deleted_2"),
        ({"preferred_username": "Grace_Hopper"}, "Grace_Hopper_2"),
        ({"preferred_username": "x" * 40}, "x" * 28 + "_2"),
    ],
)
async def test_a_first_sign_in_makes_a_handle_of_what_the_provider_says(
    campus: Campus, claims: dict[str, Any], handle: str
) -> None:
    assert (await campus.person(f"named-{handle}", **claims)).handle == handle


async def test_a_name_is_cleared_of_what_no_page_can_carry(campus: Campus) -> None:
    person = await campus.person("noisy", name="\n Ada\0\u0007 " + "x" * 200)
    assert (await person.read(ME))["viewer"]["user"]["name"] == "Ada " + "x" * 96


async def test_a_token_is_good_until_its_end_and_the_leeway_and_not_before(campus: Campus) -> None:
    now = campus.clock.now().replace(microsecond=0)
    campus.clock.stand_at(now)
    at = int(now.timestamp())
    token = campus.one.token("punctual", iat=at, nbf=at + 30, exp=at + 600)
    assert (await by_http(campus.town, token))[0] == 200
    campus.clock.stand_at(now - timedelta(milliseconds=1))
    await refused(campus.town, token)
    campus.clock.stand_at(now + timedelta(seconds=600) + LEEWAY - timedelta(milliseconds=1))
    assert (await by_http(campus.town, token))[0] == 200
    campus.clock.stand_at(now + timedelta(seconds=600) + LEEWAY)
    await refused(campus.town, token)


async def test_an_open_socket_ends_with_its_token(campus: Campus) -> None:
    person = await campus.person("patient")
    async with person.socket() as socket:
        assert (await socket.next(await socket.subscribe(ME)))["user"]["id"] == person.id
        campus.clock.move(timedelta(seconds=600) + LEEWAY)
        await socket.subscribe(ME)
        await socket.raw.wait_closed()
        assert socket.raw.close_code == 4403


async def test_signing_out_ends_the_tokens_until_then_and_open_sockets(campus: Campus) -> None:
    campus.clock.stand_at(campus.clock.now().replace(microsecond=0))
    person = await campus.person("leaver")
    campus.clock.stand_at(campus.clock.now() + timedelta(seconds=1))
    async with person.socket() as socket:
        await person.do("signOut", everywhere=False)
        await socket.raw.wait_closed()
        assert socket.raw.close_code == 4403
    await refused(campus.town, str(person.token))
    assert (await campus.person("leaver")).id == person.id


async def test_a_rotated_key_is_found_and_a_withdrawn_one_counts_no_more(campus: Campus) -> None:
    before = campus.one.token("rotated")
    assert (await by_http(campus.town, before))[0] == 200
    campus.one.rotate()
    assert (await by_http(campus.town, campus.one.token("rotated")))[0] == 200
    await refused(campus.town, before)
    campus.clock.ahead_s += 601
    assert (await by_http(campus.town, campus.one.token("rotated")))[0] == 200


async def test_a_withdrawn_key_is_noticed_after_ten_minutes_without_any_new_one(campus: Campus) -> None:
    kept = campus.one.keys
    campus.one.rotate(keep=True)
    withdrawn = campus.one.token("withdrawn")
    assert (await by_http(campus.town, withdrawn))[0] == 200
    campus.one.keys = kept
    campus.clock.ahead_s += 601
    asked = campus.one.asked["/jwks"]
    await by_http(campus.town, withdrawn)
    async with asyncio.timeout(20):
        while (await by_http(campus.town, withdrawn))[0] == 200:
            await asyncio.sleep(0.01)
    assert campus.one.asked["/jwks"] > asked


async def test_unknown_keys_make_the_server_ask_at_most_six_times_a_minute(campus: Campus) -> None:
    asked = campus.one.asked["/jwks"]
    tokens = [campus.one.token("flood", header={"kid": f"unknown-{number}"}) for number in range(40)]
    answers = await asyncio.gather(*(by_http(campus.town, token) for token in tokens))
    assert {answer[0] for answer in answers} == {401}
    for token in tokens:
        assert (await by_http(campus.town, token))[0] == 401
    assert campus.one.asked["/jwks"] - asked <= 6


async def test_while_the_provider_is_away_known_keys_go_on_and_others_wait(campus: Campus) -> None:
    token = campus.one.token("steady")
    assert (await by_http(campus.town, token))[0] == 200
    campus.one.status = 500
    campus.clock.ahead_s += 23 * 3600
    assert (await by_http(campus.town, token))[0] == 200
    campus.one.rotate()
    unknown = campus.one.token("steady")
    answer = await by_http(campus.town, unknown)
    assert answer == (503, "UNAVAILABLE", "The sign-in provider cannot be reached. Try again later.")
    assert await by_socket(campus.town, unknown) == (1013, answer[2])
    campus.clock.ahead_s += 2 * 3600
    assert (await by_http(campus.town, token))[0] == 503
    campus.one.status = 200
    campus.clock.ahead_s += 61
    assert (await by_http(campus.town, unknown))[0] == 200


@pytest.mark.parametrize(
    ("status", "discovery"),
    [
        (302, {}),
        (200, {"issuer": "https://other.example"}),
        (200, {"jwks_uri": "file:///etc/passwd"}),
        (200, {"jwks_uri": None}),
        (200, {"jwks_uri": "http://[broken/"}),
        (200, {"padding": "x" * 300_000}),
    ],
)
async def test_a_provider_that_answers_anything_else_is_as_if_away(
    campus: Campus, status: int, discovery: dict[str, Any]
) -> None:
    campus.two.status, campus.two.discovery = status, discovery
    campus.clock.ahead_s += 25 * 3600
    assert (await by_http(campus.town, campus.two.token("lost")))[:2] == (503, "UNAVAILABLE")


async def test_keys_that_are_not_for_signatures_or_not_safe_are_left_aside(campus: Campus) -> None:
    weak = {"kty": "RSA", "kid": "ec", "n": "AQAB" * 20, "e": "AQAB"}
    secret = {"kty": "oct", "kid": "ec", "k": "c2VjcmV0"}
    encrypting = {**new_key("ec").as_dict(private=False), "use": "enc"}
    campus.one.more_keys = [1, {}, weak, secret, encrypting, {"kty": "EC", "kid": "ec", "crv": "P-256"}]
    campus.clock.ahead_s += 25 * 3600
    assert (await by_http(campus.town, campus.one.token("careful")))[0] == 200


async def test_an_account_without_a_password_is_told_so_where_one_is_asked(campus: Campus) -> None:
    person = await campus.person("keyless", auth_time=int(campus.clock.now().timestamp()) - 600)
    payload = await person.try_("changePassword", currentPassword="", newPassword="correct horse")
    assert payload["errors"][0]["code"] == "FORBIDDEN"
    assert "no password" in payload["errors"][0]["message"]
    anyone = campus.town.anyone
    assert await anyone.refused("signIn", handle=person.handle, password="correct horse") == "UNAUTHENTICATED"
    payload = await person.try_("deleteAccount", password="correct horse")
    assert (payload["errors"][0]["code"], payload["errors"][0]["path"]) == ("FORBIDDEN", ["password"])
    assert "within 10 minutes" in payload["errors"][0]["message"]


async def test_a_deleted_account_is_not_opened_again_and_nothing_names_the_person(campus: Campus) -> None:
    person = await campus.person("goner", preferred_username="goner_1")
    await person.do("deleteAccount", password="")
    await refused(campus.town, str(person.token))
    campus.clock.move(timedelta(seconds=60))
    await refused(campus.town, await campus.one.sign_in("goner"))
    kept = databases.read(campus.town.data_dir, "SELECT issuer, subject FROM identity WHERE subject = ''")
    assert [tuple(row) for row in kept] == [("", "")]


async def test_a_suspended_account_may_look_and_not_act(campus: Campus) -> None:
    campus.clock.stand_at(campus.clock.now().replace(microsecond=0))
    person, moderator = await campus.person("rude"), await campus.town.moderator()
    campus.clock.stand_at(campus.clock.now() + timedelta(seconds=1))
    await moderator.do("suspendAccount", userId=person.id, suspension="ACCOUNT", reason="Threats.")
    await refused(campus.town, str(person.token))
    back = await campus.person("rude")
    assert back.id == person.id
    assert await back.refused("createSpace", title="Again") == "ACCOUNT_SUSPENDED"


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"algorithms": []},
        {"audiences": []},
        {"audiences": [""]},
        {"issuer": "file:///etc"},
        {"issuer": "https://one.example/?a"},
        {"issuer": "https://one.example/#a"},
        {"leeway_s": 301},
        {"jwks_uri": "https://other.example"},
    ],
    ids=json.dumps,
)
async def test_a_provider_that_could_not_be_trusted_is_refused_at_start(changes: dict[str, Any]) -> None:
    good = {"issuer": "https://one.example", "audiences": [AUDIENCE]}
    assert Settings(openid_providers=[good]).openid_providers[0].leeway_s == 30
    with pytest.raises(ValidationError):
        Settings(openid_providers=[{**good, **changes}])
