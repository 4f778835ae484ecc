"""Documents by their hash: kept when clients send them, or the only ones that are taken; alike on every way in."""

import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import get_introspection_query
from pydantic import ValidationError

from api.graphql.manifest import hash_of, read_manifest
from api.settings import Settings
from tests.edge.house import House, house

HELLO = "query Hello($name: String) { hello(name: $name) }"
MUTATION = 'mutation { note(text: "x") }'
COUNT = "subscription { count(to: 1) }"
MANIFEST = {hash_of(document): document for document in (HELLO, MUTATION, COUNT)}
WAYS = ("post", "get", "sse", "websocket")


def by_hash(document: str, **more: Any) -> dict[str, Any]:
    """A request that names a document, as Apollo's and urql's clients make it."""
    digest = hashlib.sha256(document.encode()).hexdigest()
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}, **more}


async def ask(home: House, way: str, request: dict[str, Any]) -> Any:
    """The first answer to a request."""
    if way == "websocket":
        async with home.socket() as client:
            await client.send({"id": "1", "type": "subscribe", "payload": request})
            message = await client.receive()
            return message["payload"] if message["type"] == "next" else {"errors": message["payload"]}
    headers = {"Accept": "text/event-stream" if way == "sse" else "application/json"}
    async with httpx.AsyncClient(headers=headers, verify=False) as http:
        if way == "get":
            texts = {
                key: value if isinstance(value, str) else json.dumps(value) for key, value in request.items()
            }
            return (await http.get(home.url, params=texts)).json()
        answer = await http.post(home.url, json=request)
    if way == "sse":
        return json.loads(answer.text.partition("data: ")[2].partition("\n")[0])
    return answer.json()


def told(answer: dict[str, Any]) -> tuple[str, str]:
    """Code and text of a refusal."""
    error = answer["errors"][0]
    return error["extensions"]["code"], error["message"]


@pytest.fixture
async def open_house() -> AsyncIterator[House]:
    async with house() as opened:
        yield opened


@pytest.fixture
async def strict() -> AsyncIterator[House]:
    async with house(trusted=MANIFEST, trusted_only=True) as opened:
        yield opened


@pytest.mark.parametrize("way", WAYS)
async def test_a_document_is_known_by_its_hash_once_it_was_sent(open_house: House, way: str) -> None:
    unknown = await ask(open_house, way, by_hash(HELLO))
    assert told(unknown) == ("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
    assert (await ask(open_house, way, by_hash(HELLO, query=HELLO)))["data"] == {"hello": "Hello world"}
    again = await ask(open_house, way, by_hash(HELLO, variables={"name": "Ada"}))
    assert again["data"] == {"hello": "Hello Ada"}


async def test_what_one_way_learnt_all_know(open_house: House) -> None:
    await ask(open_house, "websocket", by_hash(HELLO, query=HELLO))
    answers = [await ask(open_house, way, by_hash(HELLO)) for way in WAYS]
    assert answers == [{"data": {"hello": "Hello world"}}] * 4


async def test_a_hash_of_another_form_is_refused(open_house: House) -> None:
    good = "0" * 64
    extensions: list[Any] = [
        1, [], {}, {"version": 1}, {"version": 2, "sha256Hash": good}, {"version": 1, "sha256Hash": good[1:]},
        {"version": 1, "sha256Hash": 5}, {"sha256Hash": good}, {"version": 1, "sha256Hash": "../" * 21 + "a"},
    ]  # fmt: skip
    for extension, way, more in itertools.product(extensions, WAYS, ({}, {"query": HELLO})):
        answer = await ask(open_house, way, {"extensions": {"persistedQuery": extension}, **more})
        assert told(answer)[0] == "INVALID_INPUT", extension


@pytest.mark.parametrize("way", WAYS)
async def test_a_hash_of_another_document_is_refused_and_not_kept(open_house: House, way: str) -> None:
    assert told(await ask(open_house, way, by_hash(HELLO, query="{ hello }")))[0] == "INVALID_INPUT"
    assert told(await ask(open_house, way, by_hash(HELLO)))[0] == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_document_that_is_not_valid_is_not_kept(open_house: House) -> None:
    assert (
        told(await ask(open_house, "post", by_hash("{ nothing }", query="{ nothing }")))[0] == "INVALID_INPUT"
    )
    assert told(await ask(open_house, "post", by_hash("{ nothing }")))[0] == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_mutation_by_its_hash_needs_a_post_too(open_house: House) -> None:
    await ask(open_house, "post", by_hash(MUTATION, query=MUTATION))
    assert told(await ask(open_house, "get", by_hash(MUTATION)))[0] == "INVALID_INPUT"
    assert open_house.journal.mutations == ["x"]


async def test_the_document_not_asked_for_longest_is_forgotten_first() -> None:
    first, second, third = ("{ hello }", "{ item { id } }", "{ item { self { id } } }")
    async with house(persisted_documents=2) as home:
        for document in (first, second, first, third):
            assert "data" in await ask(home, "post", by_hash(document, query=document))
            assert "data" in await ask(home, "post", by_hash(first))
        assert told(await ask(home, "post", by_hash(second)))[0] == "PERSISTED_QUERY_NOT_FOUND"
        assert "data" in await ask(home, "post", by_hash(third))
    async with house(persisted_chars=20) as home:
        for document in (first, second):
            await ask(home, "post", by_hash(document, query=document))
        assert told(await ask(home, "post", by_hash(first)))[0] == "PERSISTED_QUERY_NOT_FOUND"


async def test_without_room_for_any_clients_are_told_to_stop_asking() -> None:
    async with house(persisted_documents=0) as home:
        told_so = told(await ask(home, "post", by_hash(HELLO)))
        assert told_so == ("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
        assert "data" in await ask(home, "post", by_hash(HELLO, query=HELLO))


async def test_the_manifest_is_known_from_the_start_and_others_are_taken_too() -> None:
    async with house(trusted=MANIFEST) as home:
        assert "data" in await ask(home, "post", by_hash(HELLO))
        assert "data" in await ask(home, "post", {"query": "{ hello }"})


@pytest.mark.parametrize("way", WAYS)
async def test_where_trusted_documents_are_required_only_those_run(strict: House, way: str) -> None:
    assert (await ask(strict, way, by_hash(HELLO)))["data"] == {"hello": "Hello world"}
    assert (await ask(strict, way, {"query": HELLO}))["data"] == {"hello": "Hello world"}
    if way in {"sse", "websocket"}:
        assert (await ask(strict, way, by_hash(COUNT)))["data"] == {"count": 0}
    for document in (
        "{ hello }",
        f"{HELLO} ",
        "{",
        "{ nothing }",
        "{ __typename }",
        get_introspection_query(),
    ):
        for request in ({"query": document}, by_hash(document, query=document)):
            code, message = told(await ask(strict, way, request))
            assert code == "PERSISTED_QUERY_ONLY"
            assert "manifest" in message
        assert told(await ask(strict, way, by_hash(document)))[0] == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_refusal_has_the_status_that_the_media_type_has_for_it(strict: House) -> None:
    async with httpx.AsyncClient(verify=False) as http:
        for accept, status in (("application/json", 200), ("application/graphql-response+json", 400)):
            for request in (by_hash("{ hello }"), {"query": "{ hello }"}):
                answer = await http.post(strict.url, json=request, headers={"Accept": accept})
                assert answer.status_code == status


async def test_one_refused_document_does_not_close_the_socket(strict: House) -> None:
    async with strict.socket() as client:
        await client.subscribe("1", "{ hello }")
        assert (await client.receive())["type"] == "error"
        await client.send({"id": "2", "type": "subscribe", "payload": by_hash(HELLO)})
        assert (await client.receive())["type"] == "next"


def test_a_manifest_is_read_in_both_of_its_forms(tmp_path: Path) -> None:
    plain, apollo = tmp_path / "plain.json", tmp_path / "apollo.json"
    plain.write_text(json.dumps({f"sha256:{hash_of(HELLO)}": HELLO}))
    operation = {"id": hash_of(HELLO), "name": "Hello", "type": "query", "body": HELLO}
    head = {"format": "apollo-persisted-query-manifest", "version": 1}
    apollo.write_text(json.dumps({**head, "operations": [operation]}))
    assert read_manifest(plain) == read_manifest(apollo) == {hash_of(HELLO): HELLO}
    settings = Settings(trusted_documents=str(plain), trusted_documents_required=True, suggestions=False)
    assert settings.manifest() == {hash_of(HELLO): HELLO}
    assert (settings.limits().trusted_only, settings.limits().suggestions) == (True, False)


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (None, "cannot be read"),
        ("{", "is no JSON"),
        ("[]", "expected the manifest"),
        ('{"a": 1}', "expected the manifest"),
        ('{"operations": [{"id": "a"}]}', "expected the manifest"),
        (json.dumps({hash_of(HELLO): "{ hello }"}), "not its document's SHA-256"),
    ],
)
def test_a_manifest_that_is_none_is_told_before_anything_starts(
    tmp_path: Path, manifest: str | None, reason: str
) -> None:
    file = tmp_path / "manifest.json"
    if manifest is not None:
        file.write_text(manifest)
    with pytest.raises(ValidationError, match=reason):
        Settings(trusted_documents=str(file))
    with pytest.raises(ValidationError, match="needs a file"):
        Settings(trusted_documents_required=True)


@pytest.mark.parametrize("way", WAYS)
async def test_introspection_and_suggestions_that_are_off_are_off_on_every_way_in(way: str) -> None:
    introspection = "{ __schema { queryType { name } } }"
    painted = "query($p: Paint!) { painted(paint: $p) }"
    cases: list[dict[str, Any]] = [
        {"query": "{ hell }"},
        {"query": "{ hello(nam: 1) }"},
        {"query": painted, "variables": {"p": {"colour": "RAD"}}},
        {"query": painted, "variables": {"p": {"colour": "RED", "layer": 1}}},
    ]
    async with house(introspection=False, suggestions=False) as closed, house() as open_one:
        assert "data" in await ask(open_one, way, {"query": introspection})
        assert "introspection" in told(await ask(closed, way, {"query": introspection}))[1]
        for request in cases:
            assert "Did you mean" in str(await ask(open_one, way, request))
            assert "Did you mean" not in str(answer := await ask(closed, way, request))
            assert "errors" in answer
