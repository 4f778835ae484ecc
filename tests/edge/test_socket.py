"""graphql-transport-ws, by a real server and a client that leaves nothing to itself."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from tests.edge.house import Client, House, house

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def home() -> AsyncIterator[House]:
    async with house() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[House]:
    """For tests that leave nothing behind."""
    async with house(rate_limit_enabled=False) as running:
        yield running


async def eventually(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_subscription_sends_its_events_and_completes(home: House) -> None:
    async with home.socket() as client:
        await client.subscribe("a", "subscription { count(to: 2) }")
        assert [await client.receive() for _ in range(3)] == [
            {"id": "a", "type": "next", "payload": {"data": {"count": 0}}},
            {"id": "a", "type": "next", "payload": {"data": {"count": 1}}},
            {"id": "a", "type": "complete"},
        ]


async def test_queries_and_mutations_run_over_it_too(home: House) -> None:
    async with home.socket("token-ada") as client:
        await client.subscribe("a", "{ person variables }")
        answer = {"person": "account:ada", "variables": "[] query websocket"}
        assert await client.receive() == {"id": "a", "type": "next", "payload": {"data": answer}}
        assert await client.receive() == {"id": "a", "type": "complete"}
        await client.subscribe("a", 'mutation { note(text: "x") }')
        assert (await client.receive())["payload"] == {"data": {"note": "x"}}
        assert await client.receive() == {"id": "a", "type": "complete"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "INVALID_INPUT"),
        ("", "INVALID_INPUT"),
        ("{ nope }", "INVALID_INPUT"),
        ("subscription { refused }", "NOT_FOUND"),
        ("subscription($n: Int!) { count(to: $n) }", "INVALID_INPUT"),
        ("{ items(first: 0) { nodes { id } } }", "INVALID_INPUT"),
        ("{ __typename " + "hello " * 1_000 + "}", "INVALID_INPUT"),
    ],
)
async def test_one_bad_operation_is_told_and_leaves_the_others(home: House, query: str, code: str) -> None:
    async with home.socket() as client:
        await client.subscribe("good", "subscription { endless }")
        assert (await client.receive())["type"] == "next"
        await client.subscribe("bad", query)
        error = await client.receive()
        assert (error["id"], error["type"], error["payload"][0]["extensions"]["code"]) == (
            "bad",
            "error",
            code,
        )
        await client.subscribe("bad", "{ hello }")
        assert (await client.receive())["payload"] == {"data": {"hello": "Hello world"}}
        assert home.journal.closed == 0


async def test_a_subscription_that_breaks_ends_in_an_error_with_a_reference(home: House) -> None:
    async with home.socket() as client:
        await client.subscribe("a", "subscription { breaks }")
        assert (await client.receive())["payload"] == {"data": {"breaks": 0}}
        error = await client.receive()
        assert error["type"] == "error"
        assert error["payload"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert "secret" not in str(error)
        await client.subscribe("b", "subscription { refused(afterEvents: 1) }")
        assert (await client.receive())["type"] == "next"
        assert (await client.receive())["payload"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_complete_ends_the_generator_at_once_and_frees_the_id(home: House) -> None:
    async with home.socket() as client:
        for round_number in range(1, 4):
            await client.subscribe("a", "subscription { endless }")
            assert (await client.receive())["type"] == "next"
            await client.send({"id": "a", "type": "complete"})
            await eventually(lambda count=round_number: home.journal.closed == count)
        await client.send({"id": "unknown", "type": "complete"})
        await client.subscribe("a", "{ hello }")
        assert (await client.receive())["type"] == "next"


async def test_a_client_that_leaves_ends_its_generators_and_tasks(home: House) -> None:
    tasks_before = len(asyncio.all_tasks())
    async with home.socket() as client:
        for number in range(20):
            await client.subscribe(str(number), "subscription { endless }")
        await eventually(lambda: home.journal.opened == 20)
        assert client.connection.transport is not None
        client.connection.transport.abort()
        await eventually(lambda: home.journal.closed == 20)
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks_before)


async def test_a_mutation_goes_on_when_its_client_completes_or_leaves(home: House) -> None:
    async with home.socket() as client:
        await client.subscribe("a", 'mutation { slowNote(text: "completed") }')
        await client.subscribe("b", 'mutation { slowNote(text: "left") }')
        await asyncio.sleep(0.05)
        await client.send({"id": "a", "type": "complete"})
    home.journal.gate.set()
    await eventually(lambda: sorted(home.journal.mutations) == ["completed", "left"])


@pytest.mark.parametrize("payload", [None, {}, {"x": [1]}])
async def test_a_ping_is_answered_with_its_payload(shared: House, payload: Any) -> None:
    async with shared.socket(init=False) as client:
        await client.send({"type": "ping"} | ({} if payload is None else {"payload": payload}))
        answer = await client.receive()
        assert answer == {"type": "pong"} | ({} if payload is None else {"payload": payload})


@pytest.mark.parametrize(
    "frame",
    [
        "null",
        "1",
        '"x"',
        "[]",
        "",
        "{",
        "NaN",
        "[" * 10_000,
        '{"type": "ping", "payload": {"a":' + "[" * 101 + "]" * 101 + "}}",
        "{}",
        '{"type": 1}',
        '{"type": "start"}',
        '{"type": "ping", "payload": 1}',
        '{"type": "connection_init", "payload": []}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": ""}',
        '{"type": "subscribe", "id": 1, "payload": {"query": "{hello}"}}',
        '{"type": "subscribe", "id": "a"}',
        '{"type": "subscribe", "id": "a", "payload": []}',
        '{"type": "subscribe", "id": "a", "payload": {}}',
        '{"type": "subscribe", "id": "a", "payload": {"query": 1}}',
        '{"type": "subscribe", "id": "a", "payload": {"query": "{hello}", "variables": []}}',
        '{"type": "complete"}',
        json.dumps({"type": "subscribe", "id": "a" * 129, "payload": {"query": "{hello}"}}),
        '{"type": "connection_init", "payload": {"x": "\\ud800"}}',
        b"",
        b"\xff\x00garbage",
        b'{"type": "ping"}',
    ],
)
async def test_what_is_no_message_closes_with_4400(shared: House, frame: str | bytes) -> None:
    for init in (False, True):
        async with shared.socket(init=init) as client:
            await client.connection.send(frame)
            assert await client.closed() == 4400


async def test_an_id_of_128_characters_is_good(shared: House) -> None:
    async with shared.socket() as client:
        await client.subscribe("a" * 128, "{ hello }")
        assert (await client.receive())["type"] == "next"


async def test_a_frame_beyond_1_mb_is_closed_with_1009(shared: House) -> None:
    async with shared.socket() as client:
        await client.connection.send('{"type": "ping", "payload": {"a": "' + "x" * 900_000 + '"}}')
        assert (await client.receive())["type"] == "pong"
        await client.connection.send("x" * 5_000_000)
        assert await client.closed() == 1009


@pytest.mark.parametrize("parts", [[b"\xff\xff"], [b"\xc3", b"\xa4", b"\xff"]], ids=["whole", "parts"])
async def test_text_that_is_no_utf_8_is_closed_with_1007_and_is_no_error_of_ours(
    shared: House, parts: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async with shared.socket() as client:
        await client.connection.send(parts, text=True)
        assert await client.closed() == 1007
    assert caplog.records == []


async def test_operations_before_the_greeting_close_with_4401(shared: House) -> None:
    async with shared.socket(init=False) as client:
        await client.subscribe("a", "{ hello }")
        assert await client.closed() == 4401


async def test_a_bad_token_closes_with_4403(shared: House) -> None:
    for payload in ({"authorization": "Bearer x"}, {"authorization": 1}, {"Authorization": "Basic token-x"}):
        async with shared.socket(init=False) as client:
            await client.send({"type": "connection_init", "payload": payload})
            assert await client.closed() == 4403


async def test_a_second_greeting_closes_with_4429(shared: House) -> None:
    async with shared.socket() as client:
        await client.send({"type": "connection_init"})
        assert await client.closed() == 4429


async def test_an_id_in_use_closes_with_4409(home: House) -> None:
    async with home.socket() as client:
        await client.subscribe("a", "subscription { endless }")
        await client.subscribe("a", "subscription { endless }")
        assert await client.closed() == 4409
    await eventually(lambda: home.journal.closed == home.journal.opened)


@pytest.mark.parametrize("subprotocols", [None, ["graphql-ws"], ["x", "y"]])
async def test_another_subprotocol_closes_with_4406(shared: House, subprotocols: Any) -> None:
    async with connect(f"ws://127.0.0.1:{shared.port}/graphql", subprotocols=subprotocols) as connection:
        assert await Client(connection).closed() == 4406


async def test_the_subprotocol_is_chosen_from_several(shared: House) -> None:
    offered: Any = ["graphql-ws", "graphql-transport-ws"]
    async with connect(f"ws://127.0.0.1:{shared.port}/graphql", subprotocols=offered) as connection:
        assert connection.subprotocol == "graphql-transport-ws"


async def test_no_greeting_in_time_closes_with_4408() -> None:
    async with house(init_timeout=timedelta(milliseconds=50)) as home, home.socket(init=False) as client:
        await client.send({"type": "ping"})
        assert await client.receive() == {"type": "pong"}
        assert await client.closed() == 4408


async def test_pings_come_and_answering_them_keeps_the_socket() -> None:
    async with house(ping_interval=timedelta(milliseconds=30)) as home, home.socket() as client:
        for _ in range(6):
            assert await client.receive() == {"type": "ping"}
            await client.send({"type": "pong"})


async def test_who_answers_no_pings_is_closed_after_two() -> None:
    async with house(ping_interval=timedelta(milliseconds=30)) as home, home.socket() as client:
        assert [await client.receive() for _ in range(2)] == [{"type": "ping"}] * 2
        assert await client.closed() == 4408


async def test_a_session_that_ends_closes_at_the_next_operation_with_4403(home: House) -> None:
    async with home.socket("token-ada") as client:
        await client.subscribe("a", "{ hello }")
        assert (await client.receive())["type"] == "next"
        home.door.revoked.add("account:ada")
        await client.receive()
        await client.subscribe("b", "{ hello }")
        assert await client.closed() == 4403


async def test_a_session_that_ends_closes_at_the_next_ping_with_4403() -> None:
    async with house(ping_interval=timedelta(milliseconds=30)) as home, home.socket("token-ada") as client:
        home.door.revoked.add("account:ada")
        assert await client.closed() == 4403


async def test_100_operations_run_and_the_101st_is_refused_alone(home: House) -> None:
    async with home.socket() as client:
        for number in range(100):
            await client.subscribe(str(number), "subscription { endless }")
        assert {(await client.receive())["type"] for _ in range(100)} == {"next"}
        await client.subscribe("100", "{ hello }")
        refused = await client.receive()
        assert (refused["id"], refused["type"]) == ("100", "error")
        assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        await client.send({"id": "7", "type": "complete"})
        await eventually(lambda: home.journal.closed == 1)
        await client.subscribe("100", "{ hello }")
        assert (await client.receive())["type"] == "next"
        assert home.journal.closed == 1


async def test_operations_beyond_the_rate_are_refused_alone() -> None:
    async with house(operations_per_minute_person=2) as home, home.socket("token-ada") as client:
        for number in range(3):
            await client.subscribe(str(number), "subscription { endless }")
        messages = [await client.receive() for _ in range(3)]
        assert [message["type"] for message in messages] == ["next", "next", "error"]
        (error,) = messages[2]["payload"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        home.clock.now_s += error["extensions"]["retryAfterMs"] / 1000
        await client.subscribe("2", "{ hello }")
        assert (await client.receive())["type"] == "next"


async def test_a_person_has_a_number_of_sockets_and_the_next_closes_with_4429() -> None:
    async with house(sockets_per_person=2) as home:
        async with (
            home.socket("token-ada"),
            home.socket("token-ada"),
            home.socket("token-bob"),
            home.socket(init=False) as third,
        ):
            await third.send({"type": "connection_init", "payload": {"authorization": "Bearer token-ada"}})
            assert await third.closed() == 4429
        async with home.socket("token-ada"):
            pass


async def test_the_servers_end_closes_with_1001() -> None:
    async with house() as home, home.socket() as client:
        await client.subscribe("a", "subscription { endless }")
        await client.receive()
        home.server.should_exit = True
        assert await client.closed() == 1001
        await eventually(lambda: home.journal.closed == 1)


async def standstill(count: Callable[[], int]) -> int:
    """Where a count stays for a second."""
    seen, since_s = count(), time.monotonic()
    async with asyncio.timeout(20):
        while time.monotonic() - since_s < 1:
            await asyncio.sleep(0.05)
            if count() != seen:
                seen, since_s = count(), time.monotonic()
    return seen


async def test_a_client_that_reads_slowly_holds_its_generators_back() -> None:
    async with house(send_timeout=timedelta(seconds=30)) as home, home.socket() as client:
        assert client.connection.transport is not None
        client.connection.transport.pause_reading()
        for number in range(5):
            await client.subscribe(str(number), "subscription { flood(size: 100000) }")
        await eventually(lambda: home.journal.opened == 5)
        made = await standstill(lambda: home.journal.made)
        assert made < 5 * 10
        client.connection.transport.resume_reading()
        await client.receive()
        await eventually(lambda: home.journal.made > made)
        client.connection.transport.abort()


async def test_a_client_that_reads_nothing_is_closed_and_then_cut_off() -> None:
    async with house(send_timeout=timedelta(milliseconds=200)) as home, home.socket() as client:
        assert client.connection.transport is not None
        client.connection.transport.pause_reading()
        for number in range(5):
            await client.subscribe(str(number), "subscription { flood(size: 100000) }")
        await eventually(lambda: home.journal.opened == 5)
        await eventually(lambda: home.journal.closed == 5)
        await eventually(lambda: not home.server.server_state.connections)
        await eventually(lambda: not home.server.server_state.tasks)
        client.connection.transport.abort()


async def test_a_client_that_reads_again_in_time_is_told_why_it_was_closed() -> None:
    timing: dict[str, Any] = {"send_timeout": timedelta(milliseconds=200), "linger": timedelta(seconds=3)}
    async with house(**timing) as home, home.socket() as client:
        assert client.connection.transport is not None
        client.connection.transport.pause_reading()
        await client.subscribe("a", "subscription { flood(size: 100000) }")
        await eventually(lambda: home.journal.closed == 1)
        client.connection.transport.resume_reading()
        with pytest.raises(ConnectionClosedError, match="1013"):
            _ = [message async for message in client.connection]
