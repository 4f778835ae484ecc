"""Whatever comes, the answer is a clear 4xx or close code: never a 5xx, a hang, a trace."""

import asyncio
import json
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.edge.house import house

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
QUERIES = st.sampled_from(
    [
        "{ hello }",
        "query($x: Int) { items(first: $x) { nodes { id } } }",
        "query($x: [ID!]!) { nodes(ids: $x) { id } }",
        "query($x: Paint!) { painted(paint: $x) }",
        "query($x: Picky!) { picky(value: $x) }",
        "query($x: String) { items(after: $x) { nodes { id } } }",
        "subscription { count(to: 1) }",
        "mutation($x: String!) { note(text: $x) }",
    ]
)
GRAPHQL = st.text('{}()[]:!$@.,# "\\\n…', max_size=30) | st.text('{}():!$@. abfinoq"123', max_size=60)
REQUESTS = st.fixed_dictionaries(
    {"query": QUERIES | GRAPHQL | JSON_VALUES},
    optional={
        "variables": st.fixed_dictionaries({"x": JSON_VALUES}) | JSON_VALUES,
        "operationName": JSON_VALUES,
        "extensions": JSON_VALUES,
    },
)
FRAMES = st.fixed_dictionaries(
    {"type": st.sampled_from(["connection_init", "ping", "pong", "subscribe", "complete"]) | JSON_VALUES},
    optional={"id": st.sampled_from(["a", "b"]) | JSON_VALUES, "payload": REQUESTS | JSON_VALUES},
)
HEADERS = st.sampled_from(
    ["application/json", "application/graphql-response+json", "text/event-stream", "*/*", "x/y"]
)
MANY = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server in a thread of its own, since Hypothesis drives its tests without a loop."""
    ports: list[int] = []
    ready, done = Event(), Event()

    async def serve() -> None:
        async with house(rate_limit_enabled=False) as home:
            ports.append(home.port)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait(10)
    yield ports[0]
    done.set()
    thread.join(20)


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5) as client:
        yield client


def check(response: httpx.Response) -> None:
    assert response.status_code < 500
    assert "Traceback" not in response.text
    assert "secret" not in response.text
    if response.status_code >= 400:
        (error, *_) = response.json()["errors"]
        assert error["extensions"]["code"] == "INVALID_INPUT"


@MANY
@given(
    body=st.binary(max_size=200) | JSON_VALUES.map(lambda value: json.dumps(value).encode()), accept=HEADERS
)
def test_any_body(port: int, http: httpx.Client, body: bytes, accept: str) -> None:
    headers = {"content-type": "application/json", "accept": accept}
    check(http.post(f"http://127.0.0.1:{port}/graphql", content=body, headers=headers))


@MANY
@given(request=REQUESTS, accept=HEADERS)
def test_any_request(port: int, http: httpx.Client, request: Any, accept: str) -> None:
    headers = {"content-type": "application/json", "accept": accept}
    check(http.post(f"http://127.0.0.1:{port}/graphql", content=json.dumps(request), headers=headers))


@MANY
@given(parameters=st.dictionaries(st.sampled_from(["query", "variables", "x"]), st.text(max_size=20)))
def test_any_query_string(port: int, http: httpx.Client, parameters: dict[str, str]) -> None:
    encoded = {name: value.encode("utf-8", "surrogatepass") for name, value in parameters.items()}
    check(http.get(f"http://127.0.0.1:{port}/graphql", params=httpx.QueryParams(encoded)))


@settings(MANY, max_examples=100)
@given(
    frames=st.lists(
        st.text(max_size=50) | st.binary(max_size=50) | FRAMES.map(json.dumps) | JSON_VALUES.map(json.dumps),
        max_size=5,
    ),
    init=st.booleans(),
)
def test_any_frames(port: int, frames: list[str | bytes], init: bool) -> None:
    protocol: Any = ["graphql-transport-ws"]
    closed = None
    with connect(f"ws://127.0.0.1:{port}/graphql", subprotocols=protocol, compression=None) as socket:
        try:
            if init:
                socket.send('{"type": "connection_init"}')
            for frame in frames:
                socket.send(frame)
            socket.send('{"type": "nonsense"}')
            while True:
                message = socket.recv(timeout=5)
                assert "Traceback" not in str(message)
                assert "secret" not in str(message)
        except ConnectionClosed as error:
            closed = error.rcvd
    assert closed is not None
    assert closed.code in (4400, 4401, 4403, 4409, 4429)
