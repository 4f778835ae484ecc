"""A mutation with an `Idempotency-Key` may be sent again, and gets the answer that it got."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.product.databases import databases
from tests.product.town import Person, Town

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATE = "mutation($input: CreateSpaceInput!) { createSpace(input: $input) { space { id } errors { code } } }"
END = "mutation($input: EndSpaceInput!) { endSpace(input: $input) { space { state } errors { code } } }"
SIGN_UP = "mutation($input: SignUpInput!) { signUp(input: $input) { token errors { code } } }"
CREATE_TWO = (
    "mutation($input: CreateSpaceInput!) { a: createSpace(input: $input) { space { id } errors { code } }"
    " b: createSpace(input: $input) { space { id } errors { code } } }"
)


async def send(
    person: Person, query: str, key: str | None, *, operation: str | None = None, **fields: Any
) -> httpx.Response:
    """One mutation with a key."""
    headers = {**person.headers, **({} if key is None else {"Idempotency-Key": key})}
    body = {"query": query, "variables": {"input": fields}, "operationName": operation}
    return await person.town.http.post("/graphql", json=body, headers=headers)


async def spaces_of(person: Person) -> int:
    found = await person.read("{ viewer { user { spaces(first: 50) { edges { node { id } } } } } }")
    return len(found["viewer"]["user"]["spaces"]["edges"])


async def test_the_same_request_gets_the_same_answer_and_is_carried_out_once(city: Town) -> None:
    host = await city.person()
    first = await send(host, CREATE, "k-1", title="A talk")
    again = await send(host, CREATE, "k-1", title="A talk")
    assert first.json()["data"]["createSpace"]["space"] is not None
    assert again.content == first.content
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    other = await send(host, CREATE, "k-2", title="A talk")
    assert other.json() != first.json()
    assert await spaces_of(host) == 2


async def test_a_retry_of_an_end_gets_the_first_answer_and_without_a_key_is_refused(city: Town) -> None:
    host = await city.person()
    space = await host.live_space()
    first, again = [await send(host, END, "the-end", spaceId=space) for _ in range(2)]
    assert first.json()["data"]["endSpace"] == {"space": {"state": "ENDED"}, "errors": []}
    assert again.content == first.content
    without = await send(host, END, None, spaceId=space)
    assert without.json()["data"]["endSpace"]["errors"] == [{"code": "ALREADY_ENDED"}]


async def test_an_event_stream_repeats_the_answer_too(city: Town) -> None:
    host = await city.person()
    headers = {**host.headers, "Accept": "text/event-stream", "Idempotency-Key": "streamed"}
    body = {"query": CREATE, "variables": {"input": {"title": "A talk"}}}
    first, again = [(await city.http.post("/graphql", json=body, headers=headers)).text for _ in range(2)]
    assert "event: next" in first
    assert again == first
    assert await spaces_of(host) == 1
    wrong = {**headers, "Idempotency-Key": ""}
    assert (await city.http.post("/graphql", json=body, headers=wrong)).status_code == 400


async def test_what_was_answered_to_a_session_is_not_told_to_a_token_that_may_not_ask(city: Town) -> None:
    owner = await city.person()
    made = await owner.do("createAccessToken", "secret", name="Reader", scopes=["READ"])
    reader = Person(city, token=made["secret"], id=owner.id, handle=owner.handle)
    create = "mutation($input: CreateAccessTokenInput!) { createAccessToken(input: $input) { secret errors { code } } }"
    first = await send(owner, create, "a-token", name="Strong", scopes=["READ", "WEBHOOKS"])
    assert first.json()["data"]["createAccessToken"]["secret"] is not None
    stolen = await send(reader, create, "a-token", name="Strong", scopes=["READ", "WEBHOOKS"])
    assert stolen.json()["data"]["createAccessToken"] == {"secret": None, "errors": [{"code": "FORBIDDEN"}]}
    again = await send(owner, create, "a-token", name="Strong", scopes=["READ", "WEBHOOKS"])
    assert again.content == first.content


async def test_a_refusal_is_repeated_too(city: Town) -> None:
    host = await city.person()
    space = (await host.new_space())["id"]
    first = await send(host, END, "too-early", spaceId=space)
    assert first.json()["data"]["endSpace"]["errors"] == [{"code": "NOT_LIVE"}]
    await host.do("startSpace", spaceId=space)
    assert (await send(host, END, "too-early", spaceId=space)).content == first.content


@pytest.mark.parametrize("change", ["variables", "document", "operation"])
async def test_another_request_with_the_same_key_is_refused_and_does_nothing(city: Town, change: str) -> None:
    host = await city.person()
    query = CREATE.replace("mutation", "mutation Make") if change == "operation" else CREATE
    await send(host, query, "taken", title="A talk")
    answer = await send(
        host,
        CREATE.replace("{ id }", "{ id title }") if change == "document" else query,
        "taken",
        operation="Make" if change == "operation" else None,
        title="Another" if change == "variables" else "A talk",
    )
    payload = answer.json()["data"]["createSpace"]
    assert payload == {"space": None, "errors": [{"code": "IDEMPOTENCY_MISMATCH"}]}
    assert await spaces_of(host) == 1


async def test_keys_of_two_people_are_apart(city: Town) -> None:
    one, other = await city.person(), await city.person()
    answers = [await send(person, CREATE, "shared", title="A talk") for person in (one, other)]
    assert answers[0].json() != answers[1].json()
    assert [await spaces_of(person) for person in (one, other)] == [1, 1]


async def test_a_key_is_good_for_24_hours_and_not_longer(city: Town) -> None:
    host = await city.person()
    first = await send(host, CREATE, "day", title="A talk")
    city.clock.move(timedelta(hours=24) - timedelta(seconds=5))
    assert (await send(host, CREATE, "day", title="A talk")).content == first.content
    city.clock.move(timedelta(seconds=6))
    await city.round()
    assert (await send(host, CREATE, "day", title="A talk")).content != first.content


async def test_of_many_at_once_one_is_carried_out_and_all_get_its_answer(city: Town) -> None:
    host = await city.person()
    answers = await asyncio.gather(*(send(host, CREATE, "race", title="A talk") for _ in range(10)))
    assert len({answer.content for answer in answers}) == 1
    assert await spaces_of(host) == 1


async def test_an_operation_with_two_mutations_is_repeated_whole(city: Town) -> None:
    host = await city.person()
    first, again = [await send(host, CREATE_TWO, "two", title="A talk") for _ in range(2)]
    assert again.content == first.content
    assert await spaces_of(host) == 2


async def test_a_request_that_never_began_keeps_its_key_free(city: Town) -> None:
    host = await city.person()
    assert (await send(host, CREATE, "free")).json()["errors"]
    assert (await send(host, CREATE, "free", title="A talk")).json()["data"]["createSpace"]["errors"] == []


@pytest.mark.parametrize("key", ["", "two words", "x" * 256], ids=range(3))
async def test_a_key_that_is_none_is_refused(city: Town, key: str) -> None:
    host = await city.person()
    answer = await city.http.post(
        "/graphql",
        json={"query": CREATE, "variables": {"input": {"title": "A talk"}}},
        headers={**host.headers, "Idempotency-Key": key},
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_queries_need_no_key_and_keep_none(city: Town) -> None:
    answers = [
        await city.http.post("/graphql", json={"query": "{ __typename }"}, headers={"Idempotency-Key": "q"})
        for _ in range(2)
    ]
    assert all("idempotency-replayed" not in answer.headers for answer in answers)


async def test_a_token_in_a_kept_answer_cannot_be_read_from_the_database(city: Town) -> None:
    fields = {"handle": "keeper", "name": "K", "password": "correct horse"}
    first, again = [await send(city.anyone, SIGN_UP, "one-account", **fields) for _ in range(2)]
    token = first.json()["data"]["signUp"]["token"]
    assert again.json()["data"]["signUp"]["token"] == token
    query = "SELECT id, answer FROM idempotency_key ORDER BY claimed_at DESC LIMIT 1"
    kept = databases.read(city.data_dir, query)
    assert len(kept) == 1
    assert b"one-account" not in kept[0][0].encode() + kept[0][1]
    assert token.encode() not in kept[0][1]


async def test_a_request_cut_off_with_its_process_may_be_tried_again_a_minute_later(city: Town) -> None:
    host = await city.person()
    first = await send(host, CREATE, "cut-off", title="A talk")
    databases.write(city.data_dir, "UPDATE idempotency_key SET answer = NULL")
    waits = await send(host, CREATE, "cut-off", title="A talk")
    assert waits.json()["data"]["createSpace"]["errors"] == [{"code": "CONFLICT"}]
    assert waits.headers["retry-after"] == "1"
    city.clock.move(timedelta(seconds=61))
    again = await send(host, CREATE, "cut-off", title="A talk")
    assert again.json()["data"]["createSpace"]["errors"] == []
    assert again.content != first.content
