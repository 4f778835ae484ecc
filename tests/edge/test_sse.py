"""Server-sent events, in distinct connections mode."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.edge.house import House, house

STREAM = {"accept": "text/event-stream"}


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with house() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


async def eventually(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def events(text: str) -> list[tuple[str, Any]]:
    """The events of a whole stream, heartbeats left out."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(":", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if lines:
            data = lines["data"].strip()
            found.append((lines["event"].strip(), json.loads(data) if data else None))
    return found


async def test_a_subscription_streams_its_events_and_completes(home: House, http: httpx.AsyncClient) -> None:
    response = await http.post(home.url, json={"query": "subscription { count(to: 2) }"}, headers=STREAM)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert events(response.text) == [
        ("next", {"data": {"count": 0}}),
        ("next", {"data": {"count": 1}}),
        ("complete", None),
    ]


async def test_every_operation_can_be_streamed_by_post_and_queries_by_get(
    home: House, http: httpx.AsyncClient
) -> None:
    posted = await http.post(home.url, json={"query": 'mutation { note(text: "a") }'}, headers=STREAM)
    assert events(posted.text) == [("next", {"data": {"note": "a"}}), ("complete", None)]
    got = await http.get(home.url, params={"query": "subscription { count(to: 1) }"}, headers=STREAM)
    assert events(got.text) == [("next", {"data": {"count": 0}}), ("complete", None)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "INVALID_INPUT"),
        ("subscription { refused }", "NOT_FOUND"),
        ("subscription { nope }", "INVALID_INPUT"),
    ],
)
async def test_what_cannot_begin_is_told_in_the_stream(
    home: House, http: httpx.AsyncClient, query: str, code: str
) -> None:
    response = await http.post(home.url, json={"query": query}, headers=STREAM)
    (_, told), complete = events(response.text)
    assert told["errors"][0]["extensions"]["code"] == code
    assert "data" not in told
    assert complete == ("complete", None)


async def test_a_client_that_accepts_all_gets_a_stream_for_a_subscription_alone(
    home: House, http: httpx.AsyncClient
) -> None:
    accept = {"accept": "application/graphql-response+json, application/json, text/event-stream"}
    query = await http.post(home.url, json={"query": "{ hello }"}, headers=accept)
    assert query.headers["content-type"].startswith("application/graphql-response+json")
    subscription = await http.post(home.url, json={"query": "subscription { count(to: 1) }"}, headers=accept)
    assert subscription.headers["content-type"].startswith("text/event-stream")


async def test_heartbeats_keep_an_idle_stream_open(http: httpx.AsyncClient) -> None:
    async with (
        house(heartbeat_interval=timedelta(milliseconds=20)) as home,
        http.stream("POST", home.url, json={"query": "subscription { endless }"}, headers=STREAM) as response,
    ):
        lines = response.aiter_lines()
        seen = [await anext(lines) for _ in range(8)]
        assert seen[:2] == ["event: next", 'data: {"data":{"endless":0}}']
        assert seen.count(":") >= 2


async def test_a_client_that_leaves_ends_the_generator(home: House, http: httpx.AsyncClient) -> None:
    async with http.stream(
        "POST", home.url, json={"query": "subscription { endless }"}, headers=STREAM
    ) as response:
        await anext(response.aiter_lines())
        assert home.journal.closed == 0
    await eventually(lambda: home.journal.closed == 1)
    await eventually(lambda: not home.server.server_state.tasks)


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    async with house(send_timeout=timedelta(milliseconds=200)) as home:
        reader, writer = await asyncio.open_connection("127.0.0.1", home.port, limit=1_000)
        body = b'{"query": "subscription { flood }"}'
        writer.write(
            b"POST /graphql HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n"
            b"content-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        await eventually(lambda: home.journal.closed == 1)
        await eventually(lambda: not home.server.server_state.tasks)
        writer.transport.abort()
        del reader


async def test_a_session_that_ends_ends_the_stream(http: httpx.AsyncClient) -> None:
    async with house(heartbeat_interval=timedelta(milliseconds=20)) as home:
        home.door.revoked.add("account:ada")
        response = await http.post(
            home.url,
            json={"query": "subscription { endless }"},
            headers={**STREAM, "authorization": "Bearer token-ada"},
        )
        assert events(response.text)[-1] == ("complete", None)
        assert events(response.text)[-2][1]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_streams_count_among_a_persons_sockets(http: httpx.AsyncClient) -> None:
    async with house(sockets_per_person=1) as home, home.socket():
        response = await http.post(home.url, json={"query": "subscription { endless }"}, headers=STREAM)
        assert response.status_code == 429
        assert response.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_the_servers_end_ends_streams(http: httpx.AsyncClient) -> None:
    async with house() as home:
        async with http.stream(
            "POST", home.url, json={"query": "subscription { endless }"}, headers=STREAM
        ) as response:
            lines = response.aiter_lines()
            await anext(lines)
            home.server.should_exit = True
            with pytest.raises(httpx.RemoteProtocolError):
                _ = [line async for line in lines]
        await eventually(lambda: home.journal.closed == 1)
