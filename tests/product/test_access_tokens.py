"""A program shows an access token, and may do what its scopes say, and no more."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from schema.build import build_schema
from services.tokens import SCOPES
from tests.product.databases import databases
from tests.product.openid_fake import OpenIdFake
from tests.product.still_to_come import STILL_TO_COME
from tests.product.town import Person, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = ["READ", "SPACES_WRITE", "RECORDINGS_WRITE", "AUDIO_PUBLISH", "WEBHOOKS", "MODERATION"]
TOKENS = "{ viewer { accessTokens { id name scopes createdAt expiresAt lastUsedAt } } }"


async def program(owner: Person, *scopes: str, **fields: Any) -> Person:
    """Somebody who comes by a token of the owner."""
    made = await owner.do(
        "createAccessToken", "secret accessToken { id }", name="A program", scopes=list(scopes), **fields
    )
    return Person(owner.town, token=made["secret"], id=made["accessToken"]["id"], handle=owner.handle)


async def code_of(person: Person, query: str) -> str | None:
    answer = await person.ask(query)
    return answer["errors"][0]["extensions"]["code"] if "errors" in answer else None


async def test_a_token_is_listed_without_its_secret_and_tells_its_last_use(city: Town) -> None:
    owner = await city.person()
    made = await owner.do(
        "createAccessToken",
        "secret accessToken { id name scopes createdAt expiresAt lastUsedAt }",
        name="Archive",
        scopes=["SPACES_WRITE", "READ", "READ"],
    )
    token = made["accessToken"]
    assert (token["name"], token["scopes"]) == ("Archive", ["READ", "SPACES_WRITE"])
    assert (token["expiresAt"], token["lastUsedAt"]) == (None, None)
    (listed,) = (await Person(city, token=made["secret"]).read(TOKENS))["viewer"]["accessTokens"]
    assert listed["lastUsedAt"] is not None
    assert {**listed, "lastUsedAt": None} == token
    assert (await owner.read("query($id: ID!) { node(id: $id) { id } }", id=token["id"]))["node"]
    stranger = await city.person()
    assert (await stranger.read("query($id: ID!) { node(id: $id) { id } }", id=token["id"]))["node"] is None
    kept = "".join(map(str, databases.read(city.data_dir, "SELECT * FROM access_token")))
    assert made["secret"] not in kept


async def test_reading_needs_read_over_every_way_in(city: Town) -> None:
    owner = await city.person()
    space = (await owner.new_space())["id"]
    reader, writer = await program(owner, "READ"), await program(owner, "SPACES_WRITE")
    assert (await reader.read("{ viewer { user { handle } } }"))["viewer"]["user"]["handle"] == owner.handle
    assert await code_of(writer, "{ viewer { user { handle } } }") == "FORBIDDEN"
    subscription = "subscription($id: ID!) { spaceUpdates(spaceId: $id) { kind } }"
    async with writer.socket() as socket:
        message = await socket.message(await socket.subscribe(subscription, id=space))
        assert message["payload"][0]["extensions"]["code"] == "FORBIDDEN"
    async with reader.socket() as socket:
        assert (await socket.next(await socket.subscribe(subscription, id=space)))["kind"] == "SNAPSHOT"
    stream = await city.http.post(
        "/graphql",
        json={"query": subscription, "variables": {"id": space}},
        headers={**writer.headers, "Accept": "text/event-stream"},
    )
    assert "FORBIDDEN" in stream.text
    assert "SNAPSHOT" not in stream.text


async def test_a_scope_opens_its_mutations_and_no_others(city: Town) -> None:
    owner = await city.person()
    reader, spaces = await program(owner, "READ"), await program(owner, "SPACES_WRITE")
    assert await reader.refused("createSpace", title="No") == "FORBIDDEN"
    space = (await spaces.new_space(record=True))["id"]
    await spaces.do("startSpace", spaceId=space)
    assert await spaces.refused("deleteRecording", recordingId=space) == "FORBIDDEN"
    recorder = await program(owner, "RECORDINGS_WRITE")
    assert await recorder.refused("endSpace", spaceId=space) == "FORBIDDEN"
    found = await owner.space(space, "recording { id }")
    await recorder.do("deleteRecording", recordingId=found["recording"]["id"])
    speaker = await program(owner, "AUDIO_PUBLISH")
    assert (await speaker.do("joinSpace", "mediaToken", spaceId=space))["mediaToken"]
    assert await speaker.refused("endSpace", spaceId=space) == "FORBIDDEN"


async def test_no_token_changes_the_account_or_makes_another(city: Town) -> None:
    program_with_all = await program(await city.person(), *ALL[:-1])
    for mutation, fields in (
        ("createAccessToken", {"name": "More", "scopes": ["READ"]}),
        ("revokeAccessToken", {"accessTokenId": program_with_all.id}),
        ("updateAccount", {"name": "Other"}),
        ("signOut", {"everywhere": True}),
        ("follow", {"userId": program_with_all.id}),
    ):
        assert await program_with_all.refused(mutation, **fields) == "FORBIDDEN"


async def test_a_revoked_token_is_refused_and_its_open_socket_ends(city: Town) -> None:
    owner = await city.person()
    reader = await program(owner, "READ")
    async with reader.socket() as socket:
        await socket.subscribe("subscription { timelineUpdates { kind } }")
        await owner.do("revokeAccessToken", "revokedAccessTokenId", accessTokenId=reader.id)
        # Sooner than the next ping, which is 20 s away.
        async with asyncio.timeout(15):
            await socket.raw.wait_closed()
        assert socket.raw.close_code == 4403
    assert await code_of(reader, TOKENS) == "UNAUTHENTICATED"
    assert await owner.refused("revokeAccessToken", accessTokenId=reader.id) == "NOT_FOUND"


async def test_nobody_revokes_anothers_token(city: Town) -> None:
    reader = await program(await city.person(), "READ")
    stranger = await city.person()
    assert await stranger.refused("revokeAccessToken", accessTokenId=reader.id) == "NOT_FOUND"
    assert await code_of(reader, TOKENS) is None


async def test_a_token_ends_at_its_time_and_not_before(city: Town) -> None:
    owner = await city.person()
    end = city.clock.now() + timedelta(hours=1)
    reader = await program(owner, "READ", expiresAt=end.isoformat())
    city.clock.frozen = end - timedelta(milliseconds=1)
    assert await code_of(reader, TOKENS) is None
    city.clock.frozen = end
    assert await code_of(reader, TOKENS) == "UNAUTHENTICATED"


async def test_an_open_socket_ends_with_its_token(city: Town) -> None:
    owner = await city.person()
    end = city.clock.now() + timedelta(hours=1)
    reader = await program(owner, "READ", expiresAt=end.isoformat())
    city.clock.frozen = end - timedelta(milliseconds=1)
    async with reader.socket() as socket:
        await socket.subscribe("subscription { timelineUpdates { kind } }")
        city.clock.frozen = end
        async with asyncio.timeout(15):
            await socket.raw.wait_closed()
        assert socket.raw.close_code == 4403


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": "", "scopes": ["READ"]}, "INVALID_INPUT"),
        ({"name": "x" * 101, "scopes": ["READ"]}, "INVALID_INPUT"),
        ({"name": "A", "scopes": []}, "INVALID_INPUT"),
        ({"name": "A", "scopes": ["READ"], "expiresAt": "2020-01-01T00:00:00Z"}, "INVALID_INPUT"),
        ({"name": "A", "scopes": ["MODERATION"]}, "FORBIDDEN"),
    ],
)
async def test_what_makes_no_token(city: Town, fields: dict[str, Any], code: str) -> None:
    owner = await city.person()
    assert await owner.refused("createAccessToken", **fields) == code
    assert (await owner.read(TOKENS))["viewer"]["accessTokens"] == []


async def test_a_moderator_s_token_moderates_only_with_the_scope(city: Town) -> None:
    moderator = await city.moderator()
    reader, writer = await program(moderator, *ALL[:-1]), await program(moderator, "READ", "MODERATION")
    space = await (await city.person()).live_space()
    queue = "{ moderation { __typename } }"
    assert (await reader.read(queue))["moderation"] is None
    assert (await writer.read(queue))["moderation"] is not None
    assert await reader.refused("endSpace", spaceId=space) == "FORBIDDEN"
    assert await reader.refused("setLegalHold", recordingId=space, held=True, reason="r") == "FORBIDDEN"


async def test_without_a_provider_in_the_settings_no_provider_s_token_is_taken(city: Town) -> None:
    token = OpenIdFake("https://provider.example", city.clock).token("ada")
    assert await code_of(Person(city, token=token), TOKENS) == "UNAUTHENTICATED"


async def test_every_mutation_named_for_a_scope_is_one(city: Town) -> None:
    mutations = build_schema()._schema.mutation_type
    assert mutations is not None
    coming = {name.removeprefix("Mutation.") for name in STILL_TO_COME if name.startswith("Mutation.")}
    assert set(SCOPES) <= set(mutations.fields) | coming
