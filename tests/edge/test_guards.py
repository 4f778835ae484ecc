"""The guards, each on both sides of its number, and what hostile documents cost."""

import asyncio
import threading
import time
from typing import Any

import pytest
from graphql import get_introspection_query

from api.graphql.documents import Document, Documents, Prepared
from api.graphql.errors import Refusal
from api.graphql.limits import Limits
from api.graphql.request import GraphQLRequest
from tests.edge.house import SCHEMA


def documents(**limits: Any) -> Documents:
    return Documents(SCHEMA._schema, limits=Limits(**limits))


def refusal(query: str, variables: dict[str, Any] | None = None, **limits: Any) -> str | None:
    """Why the guards refuse `query`, or None."""
    prepared = documents(**limits).prepare(GraphQLRequest(query=query, variables=variables or {}))
    if isinstance(prepared, Prepared):
        return None
    assert prepared.errors[0]["extensions"]["code"] == "INVALID_INPUT"
    assert prepared.by_guard, prepared.errors
    message: str = prepared.errors[0]["message"]
    return message


def nested(levels: int) -> str:
    return "{ item" + "{ self" * (levels - 2) + "{ id" + "}" * levels


def test_depth_12_passes_and_13_is_refused() -> None:
    assert refusal(nested(12)) is None
    assert refusal(nested(13)) == "The document is 13 levels deep, the limit is 12. Ask in several requests."


def test_depth_is_counted_through_fragments_and_not_through_inline_ones() -> None:
    spread = "{ item { ...a } } fragment a on Item { self { ...b } } fragment b on Item { id }"
    assert refusal(spread, depth=3) is None
    assert "3 levels" in (refusal(spread, depth=2) or "")
    assert refusal("{ ... { ... { ... { item { id } } } } }", depth=2) is None


def test_30_aliases_pass_and_31_are_refused() -> None:
    def aliased(count: int) -> str:
        return "{" + " ".join(f"a{number}: hello" for number in range(count)) + "}"

    assert refusal(aliased(30)) is None
    assert refusal(aliased(31)) == "The document has 31 aliases, the limit is 30. Ask in several requests."


def test_1000_tokens_pass_and_1001_are_refused() -> None:
    def of_tokens(count: int) -> str:
        return "{ nodes(ids: [" + '"1" ' * (count - 12) + "]) { id } }"

    assert refusal(of_tokens(1_000)) is None
    assert (
        refusal(of_tokens(1_001))
        == "The document has more than 1000 tokens, the limit. Ask in several requests."
    )


def test_a_document_of_100_000_characters_passes_and_one_more_is_refused() -> None:
    assert refusal("{ hello }" + " " * (100_000 - 9)) is None
    assert "100001 characters" in (refusal("{ hello }" + " " * (100_001 - 9)) or "")


@pytest.mark.parametrize(
    ("query", "variables", "cost"),
    [
        ("{ hello }", {}, 1),
        ("{ hello hello }", {}, 2),
        ("{ items { nodes { id } } }", {}, 1 + 20 * 2),
        ("{ items(first: 100) { nodes { id } } }", {}, 1 + 100 * 2),
        ("query($n: Int) { items(first: $n) { nodes { id } } }", {"n": 7}, 1 + 7 * 2),
        ("query($n: Int) { items(first: $n) { nodes { id } } }", {"n": 7.0}, 1 + 7 * 2),
        ("query($n: Int) { items(first: $n) { nodes { id } } }", {}, 1 + 20 * 2),
        ("query($n: Int = 5) { items(first: $n) { nodes { id } } }", {}, 1 + 5 * 2),
        ("{ items(first: 5) { nodes { friends(first: 4) { nodes { id } } } } }", {}, 1 + 5 * (2 + 4 * 2)),
        ('{ nodes(ids: ["1", "2", "3"]) { id } }', {}, 1 + 3),
        ("query($i: [ID!]!) { nodes(ids: $i) { id self { id } } }", {"i": ["1", "2"]}, 1 + 2 * 3),
        (
            "{ item { ...a } } fragment a on Item { self { ...b } } fragment b on Item { id }",
            {},
            3,
        ),
        ("{ ... on Query { items(first: 3) { nodes { id } } } }", {}, 7),
        ('{ __typename __schema { types { name fields { name } } } __type(name: "Item") { name } }', {}, 0),
        ("{ item { __typename id } }", {}, 2),
        ("query($n: Int) { ...a } fragment a on Query { items(first: $n) { nodes { id } } }", {"n": 3}, 7),
    ],
)
def test_cost_is_fields_times_page_sizes(query: str, variables: dict[str, Any], cost: int) -> None:
    assert refusal(query, variables, cost=cost) is None
    if cost:
        message = f"The operation costs {cost} (fields times page sizes), the limit is {cost - 1}. "
        assert (refusal(query, variables, cost=cost - 1) or "").startswith(message)


def test_a_cost_of_5000_passes_and_5001_is_refused() -> None:
    # 1 + 98 * (2 + 24 * 2 + 1) = 4999
    query = (
        "{ items(first: 98) { nodes { friends(first: 24) { nodes { id } } self { __typename } } } hello %s }"
    )
    assert refusal(query % "") is None
    assert "costs 5001" in (refusal(query % "hello") or "")


@pytest.mark.parametrize("value", ["1", "100"])
def test_pages_of_1_to_100_pass(value: str) -> None:
    assert refusal(f"{{ items(first: {value}) {{ nodes {{ id }} }} }}") is None
    assert refusal("query($n: Int) { items(first: $n) { nodes { id } } }", {"n": int(value)}) is None


@pytest.mark.parametrize("value", ["0", "-1", "101", "100000", "null", "99999999999999999999999999"])
def test_other_pages_are_refused_and_not_clamped(value: str) -> None:
    given = None if value == "null" else int(value)
    asked = [
        refusal(f"{{ items(first: {value}) {{ nodes {{ id }} }} }}") if len(value) < 10 else "`first` is …",
        refusal("query($n: Int) { items(first: $n) { nodes { id } } }", {"n": given}),
        refusal(
            "query($n: Int) { ...a } fragment a on Query { items(first: $n) { nodes { id } } }", {"n": given}
        ),
        refusal("query($n: Int) { items { nodes { friends(first: $n) { nodes { id } } } } }", {"n": given}),
    ]
    assert all(message and message.startswith("`first` is ") for message in asked)


def test_the_default_of_a_variable_is_guarded_too() -> None:
    assert "101" in (refusal("query($n: Int = 101) { items(first: $n) { nodes { id } } }") or "")


def test_an_empty_cursor_is_refused_and_null_is_the_first_page() -> None:
    query = "query($c: String) { items(after: $c) { nodes { id } } }"
    assert "`after` is an empty string" in (refusal(query, {"c": ""}) or "")
    assert "`after` is an empty string" in (refusal('{ items(after: "") { nodes { id } } }') or "")
    assert refusal(query, {"c": None}) is None
    assert refusal(query, {"c": "x"}) is None
    assert refusal("{ items(after: null) { nodes { id } } }") is None


def test_a_page_size_that_is_no_number_is_left_to_graphql() -> None:
    values: list[Any] = ["x", True, 1.5, [1], {}]
    for value in values:
        assert refusal("query($n: Int) { items(first: $n) { nodes { id } } }", {"n": value}) is None


def test_what_a_variable_makes_too_dear_is_refused_for_that_request_alone() -> None:
    known = documents()
    query = "query($n: Int) { items(first: $n) { nodes { friends(first: $n) { nodes { id } } } } }"
    for size, is_refused in ((100, True), (10, False), (100, True)):
        prepared = known.prepare(GraphQLRequest(query=query, variables={"n": size}))
        assert isinstance(prepared, Refusal) == is_refused


def test_circles_of_fragments_are_refused() -> None:
    assert "spreads itself" in (refusal("{ item { ...a } } fragment a on Item { self { ...a } }") or "")
    ring = " ".join(f"fragment f{n} on Item {{ ...f{(n + 1) % 50} }}" for n in range(50))
    assert "spreads itself" in (refusal("{ item { ...f0 } }" + ring) or "")


def test_the_cache_holds_a_bounded_number_of_documents_and_tokens() -> None:
    known = documents(cached_documents=10, cached_tokens=100)
    for number in range(50):
        known.prepare(GraphQLRequest(query=f'{{ hello(name: "{number}") }}'))
        known.prepare(GraphQLRequest(query=f"{{ nope{number} }}"))
        assert len(known._known) <= 10
        assert known._tokens <= 100


def test_a_document_is_read_once() -> None:
    known = documents()
    first, second = (known.prepare(GraphQLRequest(query="{ hello }")) for _ in range(2))
    assert isinstance(first, Prepared)
    assert isinstance(second, Prepared)
    assert first.document is second.document


async def test_a_long_document_that_is_new_is_read_beside_the_event_loop_and_kept_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readers: list[threading.Thread] = []
    read = Documents._read

    def noted(self: Documents, source: str, digest: bytes) -> Document | Refusal:
        readers.append(threading.current_thread())
        return read(self, source, digest)

    monkeypatch.setattr(Documents, "_read", noted)
    known, long = documents(), GraphQLRequest(query=f"{{ hello {'__typename ' * 100} }}")
    both = await asyncio.gather(*(known.prepare_aside(long) for _ in range(2)))
    again = await known.prepare_aside(long)
    assert len({id(one.document) for one in (*both, again) if isinstance(one, Prepared)}) == 1
    assert len(readers) == 2
    assert threading.current_thread() not in readers


def fragments(count: int, body: str, on: str = "Query") -> str:
    return " ".join(f"fragment f{number} on {on} {{ {body} }}" for number in range(count))


def spreads(count: int) -> str:
    return "{" + " ".join(f"...f{number}" for number in range(count)) + "}"


def alike(start: str, end: str, count: int) -> str:
    """The same so many times, and no two written alike."""
    return " ".join(start + "," * number + end for number in range(count))


HOSTILE = {
    "10,000 aliases": "{" + " ".join(f"a{n}:hello" for n in range(10_000)) + "}",
    "50,000 aliases": "{" + " ".join(f"a{n}:hello" for n in range(50_000)) + "}",
    "20,000 fields": "{" + "hello " * 20_000 + "}",
    "20,000 directives": "{ hello " + "@skip(if:false)" * 20_000 + "}",
    "1,100 short fields": "{" + "a " * 1_100 + "}",
    "10,000 selection sets": "{ item" + "{self" * 10_000 + "}" * 10_001,
    "10,000 lists": "{ nodes(ids:" + "[" * 10_000 + "]" * 10_000 + ") { id } }",
    "10,000 input objects": "{ painted(paint:" + "{more:" * 10_000 + "1" + "}" * 10_000 + ") }",
    "10,000 inline fragments": "{" + "...{" * 10_000 + "hello" + "}" * 10_001,
    "a megabyte of spaces": "{ hello" + " " * 990_000 + "}",
    "50,000 comments": "{ hello" + "#\n" * 49_000 + "}",
    "240 times a field with selections": "{" + alike("item{id", "}", 240) + "}",
    "200 of those over fragments": spreads(10) + fragments(10, alike("item{id", "}", 20)),
    "100 deeper ones over fragments": spreads(4) + fragments(4, alike("item{self{id", "}}", 28)),
    "a bomb of fragments": "{ item { ...f0 } }"
    + " ".join(f"fragment f{n} on Item {{ ...f{n + 1} ...f{n + 1} }}" for n in range(80))
    + "fragment f80 on Item { id }",
    "fragments that all spread all": "{ item { ...f0 } }"
    + " ".join(
        f"fragment f{n} on Item {{ id {' '.join(f'...f{m}' for m in range(n + 1, 28))} }}" for n in range(28)
    ),
}


@pytest.mark.parametrize(
    "query",
    [
        "{" + "__typename " * 998 + "}",
        "{" + 'hello(name:"x") ' * 165 + "}",
        spreads(10) + fragments(10, "item{id} " * 18),
    ],
    ids=["a field", "with an argument", "over fragments"],
)
def test_what_is_selected_again_word_for_word_is_no_more_than_once(query: str) -> None:
    assert refusal(query) is None


def test_fields_that_differ_are_compared_also_beside_repeated_ones() -> None:
    query = '{ hello hello(name: "x") ' + "hello " * 500 + "}"
    prepared = documents().prepare(GraphQLRequest(query=query))
    assert isinstance(prepared, Refusal)
    assert "conflict" in prepared.errors[0]["message"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_are_refused_in_under_50_ms_of_cpu(name: str) -> None:
    known = documents()
    known.prepare(GraphQLRequest(query="{ hello }"))
    # The least of three, so that a garbage collection for other tests' sake is not counted.
    spent = []
    for attempt in range(3):
        query = HOSTILE[name] + " " * attempt
        started = time.process_time()
        prepared = known.prepare(GraphQLRequest(query=query))
        spent.append(time.process_time() - started)
        assert isinstance(prepared, Refusal)
        assert prepared.by_guard
    assert min(spent) < 0.05


def test_the_standard_introspection_query_passes_the_depth_guard() -> None:
    assert refusal(get_introspection_query()) is None
