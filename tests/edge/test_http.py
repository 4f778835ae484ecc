"""GraphQL over HTTP, by a real server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.graphql.accept import EVENT_STREAM, JSON, RESPONSE_JSON, negotiate
from tests.edge.house import House, house

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home() -> AsyncIterator[House]:
    async with house(rate_limit_enabled=False) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


async def ask(http: httpx.AsyncClient, home: House, query: str, **variables: Any) -> Any:
    response = await http.post(home.url, json={"query": query, "variables": variables})
    return response.json()


async def test_a_query_is_answered_in_json(home: House, http: httpx.AsyncClient) -> None:
    response = await http.post(
        home.url, json={"query": "query($n: String!) { hello(name: $n) }", "variables": {"n": "you"}}
    )
    assert response.json() == {"data": {"hello": "Hello you"}}
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"


async def test_queries_may_come_by_get_and_mutations_may_not(home: House, http: httpx.AsyncClient) -> None:
    assert (await http.get(home.url, params={"query": "{ hello }"})).json() == {
        "data": {"hello": "Hello world"}
    }
    refused = await http.get(home.url, params={"query": 'mutation { note(text: "a") }'})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")
    streamed = await http.get(
        home.url, params={"query": 'mutation { note(text: "a") }'}, headers={"accept": EVENT_STREAM}
    )
    assert streamed.status_code == 405
    assert home.journal.mutations == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_refused(home: House, http: httpx.AsyncClient, method: str) -> None:
    response = await http.request(method, home.url)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def test_variables_in_a_get_are_json(home: House, http: httpx.AsyncClient) -> None:
    parameters = {
        "query": "query($n: String!) { hello(name: $n) }",
        "variables": '{"n":"ä"}',
        "operationName": "",
    }
    assert (await http.get(home.url, params=parameters)).json() == {"data": {"hello": "Hello ä"}}
    for broken in ("{", "1", "[]", '"x"', "NaN"):
        refused = await http.get(home.url, params={"query": "{ hello }", "variables": broken})
        assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (
            400,
            "INVALID_INPUT",
        )
    for query_string in ("query=%ff", "query={hello}&query={hello}", "query=%ed%a0%80"):
        assert (await http.get(f"{home.url}?{query_string}")).status_code == 400


@pytest.mark.parametrize(
    ("accept", "json", "streams"),
    [
        (None, JSON, False),
        ("*/*", JSON, False),
        ("application/*", JSON, False),
        ("application/json", JSON, False),
        (RESPONSE_JSON, RESPONSE_JSON, False),
        (
            "application/graphql-response+json; charset=utf-8, application/json; charset=utf-8",
            RESPONSE_JSON,
            False,
        ),
        ("application/json, application/graphql-response+json", RESPONSE_JSON, False),
        ("application/json, application/graphql-response+json;q=0.9", JSON, False),
        ("application/json;q=0.5, application/graphql-response+json;q=0.9", RESPONSE_JSON, False),
        ("application/json;q=0, */*", RESPONSE_JSON, False),
        ("*/*;q=0.1, text/event-stream", JSON, True),
        (
            "application/graphql-response+json, application/json, text/event-stream, multipart/mixed",
            RESPONSE_JSON,
            True,
        ),
        ("text/event-stream", None, True),
        ("text/event-stream;q=0", None, False),
        ("image/png", None, False),
        ("application/json;q=x", None, False),
        ("application/json;q=nan", None, False),
        (",,;;=,", None, False),
    ],
)
async def test_the_best_form_that_is_accepted_is_chosen(
    accept: str | None, json: str | None, streams: bool
) -> None:
    chosen = negotiate(accept)
    assert (chosen.json, chosen.streams) == (json, streams)


async def test_what_accepts_nothing_of_ours_is_told_so(home: House, http: httpx.AsyncClient) -> None:
    response = await http.post(home.url, json={"query": "{ hello }"}, headers={"accept": "image/png"})
    assert response.status_code == 406
    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_a_browser_gets_graphiql(home: House, http: httpx.AsyncClient) -> None:
    accept = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert "GraphiQL" in (await http.get(home.url, headers=accept)).text
    assert (await http.get(home.url, params={"query": "{hello}"}, headers=accept)).json()["data"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("{", 400), ("{ nope }", 400), ("{ hello }", 200), ("query($n: String!) { hello(name: $n) }", 400)],
)
async def test_statuses_are_those_of_the_media_type(
    home: House, http: httpx.AsyncClient, query: str, status: int
) -> None:
    new = await http.post(home.url, json={"query": query}, headers={"accept": RESPONSE_JSON})
    assert (new.status_code, new.headers["content-type"]) == (status, f"{RESPONSE_JSON}; charset=utf-8")
    assert ("data" in new.json()) == (status == 200)
    assert (await http.post(home.url, json={"query": query})).status_code == 200


async def test_an_expected_error_says_what_and_how_to_go_on(home: House, http: httpx.AsyncClient) -> None:
    answer = await ask(http, home, "{ missing limited }")
    assert answer["data"] == {"missing": None, "limited": None}
    assert answer["errors"] == [
        {
            "message": "There is nothing with this id that you may see. Check the id.",
            "locations": [{"line": 1, "column": 3}],
            "path": ["missing"],
            "extensions": {"code": "NOT_FOUND"},
        },
        {
            "message": "Wait.",
            "locations": [{"line": 1, "column": 11}],
            "path": ["limited"],
            "extensions": {"code": "RATE_LIMITED", "path": ["input", "x"], "retryAfterMs": 1500},
        },
    ]


async def test_errors_come_in_the_order_of_the_document(home: House, http: httpx.AsyncClient) -> None:
    answer = await ask(http, home, "{ missingLater missing limited }")
    assert [error["path"] for error in answer["errors"]] == [["missingLater"], ["missing"], ["limited"]]


@pytest.mark.parametrize("field", ["broken", "tooBig"])
async def test_a_bug_is_shown_as_a_reference_alone(
    home: House, http: httpx.AsyncClient, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await ask(http, home, f"{{ {field} }}")
    (error,) = answer["errors"]
    reference = error["extensions"]["reference"]
    assert error["message"] == f"Something went wrong on our side (reference {reference})."
    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert "secret" not in str(answer)
    assert capsys.readouterr().out.count(reference) == 1


@pytest.mark.parametrize("value", ["bad", "bug"])
async def test_what_a_scalar_raises_is_not_shown(home: House, http: httpx.AsyncClient, value: str) -> None:
    literal = await ask(http, home, f'{{ picky(value: "{value}") }}')
    variable = await ask(http, home, "query($v: Picky!) { picky(value: $v) }", v=value)
    default = await ask(http, home, f'query($v: Picky! = "{value}") {{ picky(value: $v) }}')
    for answer in (literal, variable, default):
        assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
        assert "secret" not in str(answer)
        assert value in str(answer)


async def test_strawberrys_inputs_enums_and_variables_work(home: House, http: httpx.AsyncClient) -> None:
    query = "query($p: Paint!) { painted(paint: $p) }"
    assert await ask(http, home, query, p={"colour": "RED", "layers": 2}) == {"data": {"painted": "2 of RED"}}
    wrong = await ask(http, home, query, p={"colour": "GREEN"})
    assert wrong["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    seen = await ask(http, home, 'query($n: String = "x") { variables(name: $n) }')
    assert seen == {"data": {"variables": "['n'] query http"}}


async def test_a_null_for_a_field_that_takes_none_is_the_clients_fault(
    home: House, http: httpx.AsyncClient
) -> None:
    answer = await ask(http, home, 'query($n: String = "x") { hello(name: $n) }', n=None)
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_text_that_is_no_unicode_is_sent_escaped(home: House, http: httpx.AsyncClient) -> None:
    response = await http.post(home.url, json={"query": "{ surrogate }"})
    assert response.text == '{"data":{"surrogate":"\\ud800"}}'


async def test_an_operation_is_chosen_by_name(home: House, http: httpx.AsyncClient) -> None:
    document = 'query a { hello } query b { hello(name: "b") }'
    chosen = await http.post(home.url, json={"query": document, "operationName": "b"})
    assert chosen.json() == {"data": {"hello": "Hello b"}}
    for name in (None, "c"):
        refused = await http.post(home.url, json={"query": document, "operationName": name})
        assert refused.json()["errors"][0]["extensions"] == {
            "code": "INVALID_INPUT",
            "path": ["operationName"],
        }


async def test_subscriptions_are_sent_elsewhere(home: House, http: httpx.AsyncClient) -> None:
    response = await http.post(home.url, json={"query": "subscription { count }"})
    assert response.status_code == 400
    assert "text/event-stream" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("header", ["Bearer wrong", "Basic abc", "Bearer", ""])
async def test_a_bad_token_is_401(home: House, http: httpx.AsyncClient, header: str) -> None:
    response = await http.post(home.url, json={"query": "{ hello }"}, headers={"authorization": header})
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_good_token_says_who_asks(home: House, http: httpx.AsyncClient) -> None:
    signed_in = await http.post(
        home.url, json={"query": "{ person }"}, headers={"authorization": "bearer token-ada"}
    )
    assert signed_in.json() == {"data": {"person": "account:ada"}}
    assert (await ask(http, home, "{ person }")) == {"data": {"person": "address:127.0.0.1"}}


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"],
)
async def test_only_json_in_utf_8_is_read(
    home: House, http: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await http.post(home.url, content=b'{"query":"{ hello }"}', headers=headers)
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (
        415,
        "INVALID_INPUT",
    )


async def test_compressed_bodies_are_refused(home: House, http: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert (await http.post(home.url, content=b"\x1f\x8b", headers=headers)).status_code == 415


@pytest.mark.parametrize(
    ("body", "at_fault"),
    [
        ('{"query": 1}', ["query"]),
        ('{"query": null}', ["query"]),
        ("{}", ["query"]),
        ('{"query": "{ hello }", "variables": []}', ["variables"]),
        ('{"query": "{ hello }", "variables": "x"}', ["variables"]),
        ('{"query": "{ hello }", "operationName": 1}', ["operationName"]),
        ('{"query": "{ hello }", "extensions": true}', ["extensions"]),
    ],
)
async def test_a_parameter_of_the_wrong_type_is_named(
    home: House, http: httpx.AsyncClient, body: str, at_fault: list[str]
) -> None:
    response = await http.post(home.url, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["errors"][0]["extensions"]["path"]) == (400, at_fault)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"1",
        b'"x"',
        b"[]",
        b'[{"query": "{ hello }"}]',
        b"NaN",
        b'{"query": NaN}',
        b'{"query": "\xff"}',
        b'{"query": "\\ud800"}',
        b'{"query": "\xed\xa0\x80"}',
        b"[" * 10_000,
        b"[" * 10_000 + b"]" * 10_000,
        b"[" * 200_000,
        b'{"a":' * 150_000,
        b'{"query": "{ hello }", "variables": {"a": ' + b"[" * 101 + b"]" * 101 + b"}}",
        b'{"query": "{ hello }", "variables": {"a": [' + b"1," * 20_001 + b"1]}}",
    ],
)
async def test_a_body_that_is_no_request_is_400(home: House, http: httpx.AsyncClient, body: bytes) -> None:
    for accept in (JSON, RESPONSE_JSON, EVENT_STREAM):
        response = await http.post(
            home.url, content=body, headers={"content-type": "application/json", "accept": accept}
        )
        assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (
            400,
            "INVALID_INPUT",
        )


async def test_deep_and_long_json_within_the_limits_is_read(home: House, http: httpx.AsyncClient) -> None:
    deep = b'{"query": "{ hello }", "variables": {"a": ' + b"[" * 98 + b"]" * 98 + b"}}"
    many = b'{"query": "{ hello }", "variables": {"a": [' + b"1," * 19_900 + b"1]}}"
    text = b'{"query": "{ hello }", "variables": {"a": "' + b"[,{" * 100_000 + b'"}}'
    for body in (deep, many, text):
        response = await http.post(home.url, content=body, headers={"content-type": "application/json"})
        assert response.json() == {"data": {"hello": "Hello world"}}


async def test_a_body_of_1_mb_is_read_and_one_byte_more_is_refused(
    home: House, http: httpx.AsyncClient
) -> None:
    start, end = b'{"query": "{ hello }", "variables": {"a": "', b'"}}'
    headers = {"content-type": "application/json"}
    for size, status in ((1_000_000, 200), (1_000_001, 413)):
        body = start + b"x" * (size - len(start) - len(end)) + end

        async def chunks(body: bytes = body) -> AsyncIterator[bytes]:
            for at in range(0, len(body), 50_000):
                yield body[at : at + 50_000]

        assert (await http.post(home.url, content=body, headers=headers)).status_code == status
        assert (await http.post(home.url, content=chunks(), headers=headers)).status_code == status


async def test_an_anonymous_address_has_its_operations_a_minute(http: httpx.AsyncClient) -> None:
    async with house(operations_per_minute_address=3, operations_per_minute_person=5) as home:
        statuses = [(await http.post(home.url, json={"query": "{ hello }"})).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        refused = await http.post(home.url, json={"query": "{ hello }"})
        error = refused.json()["errors"][0]
        wait_ms = error["extensions"]["retryAfterMs"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert int(refused.headers["retry-after"]) == -(-wait_ms // 1000)
        person = {"authorization": "Bearer token-ada"}
        mine = [
            (await http.post(home.url, json={"query": "{ hello }"}, headers=person)).status_code
            for _ in range(6)
        ]
        assert mine == [200] * 5 + [429]
        home.clock.now_s += wait_ms / 1000
        assert (await http.post(home.url, json={"query": "{ hello }"})).status_code == 200


async def test_tokens_that_are_not_good_count_for_the_address_that_shows_them(
    http: httpx.AsyncClient,
) -> None:
    async with house(operations_per_minute_address=3) as home:
        wrong, right = {"authorization": "Bearer nonsense"}, {"authorization": "Bearer token-ada"}
        statuses = [
            (await http.post(home.url, json={"query": "{ hello }"}, headers=wrong)).status_code
            for _ in range(4)
        ]
        assert statuses == [401, 401, 401, 429]
        assert (await http.post(home.url, json={"query": "{ hello }"}, headers=right)).status_code == 200
        async with home.socket(init=False) as client:
            await client.send({"type": "connection_init", "payload": {"authorization": "Bearer nonsense"}})
            assert await client.closed() == 4429


async def test_the_setting_for_load_tests_lifts_the_rate_limit(http: httpx.AsyncClient) -> None:
    async with house(operations_per_minute_address=1, rate_limit_enabled=False) as home:
        statuses = [(await http.post(home.url, json={"query": "{ hello }"})).status_code for _ in range(3)]
    assert statuses == [200] * 3


async def test_introspection_and_suggestions_can_be_turned_off(home: House, http: httpx.AsyncClient) -> None:
    introspection = "{ __schema { queryType { name } } __typename }"
    assert (await ask(http, home, introspection))["data"]
    assert "Did you mean" in (await ask(http, home, "{ hell }"))["errors"][0]["message"]
    async with house(introspection=False, suggestions=False) as closed:
        assert "introspection" in (await ask(http, closed, introspection))["errors"][0]["message"]
        for query in (
            "{ hell }",
            "{ hello(nam: 1) }",
            '{ painted(paint: {colour: "RAD"}) }',
            "query($c: Paint!) { painted(paint: $c) }",
        ):
            answer = await ask(http, closed, query, c={"colour": "REDD"})
            assert answer["errors"]
            assert "Did you mean" not in str(answer)
        assert (await ask(http, closed, "{ __typename }"))["data"] == {"__typename": "Query"}


async def test_a_mutation_goes_on_when_its_client_leaves(home: House) -> None:
    home.journal.mutations.clear()
    async with httpx.AsyncClient() as leaving:
        request = asyncio.create_task(
            leaving.post(home.url, json={"query": 'mutation { slowNote(text: "kept") }'})
        )
        await asyncio.sleep(0.1)
        request.cancel()
    home.journal.gate.set()
    async with asyncio.timeout(2):
        while home.journal.mutations != ["kept"]:
            await asyncio.sleep(0.01)
