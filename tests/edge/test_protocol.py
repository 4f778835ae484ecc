"""The bounds on connections, seen from the wire."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from tests.edge.house import House, house

QUICK: dict[str, Any] = {
    "header_timeout": timedelta(milliseconds=150),
    "body_timeout": timedelta(milliseconds=150),
}
START = b"POST /graphql HTTP/1.1\r\nhost: x\r\n"
JSON_BODY = b"content-type: application/json\r\ncontent-length: "
QUERY = b'{"query": "{ hello }"}'
LAST = b"connection: close\r\n"
WHOLE = START + JSON_BODY + str(len(QUERY)).encode() + b"\r\n\r\n" + QUERY

HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
)


async def said(home: House, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """All that the server says to `parts` until it closes; within 5 s."""
    reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
    answer = bytearray()

    async def listen() -> None:
        while chunk := await reader.read(65_536):
            answer.extend(chunk)

    listening = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(5):
            for part in parts:
                if listening.done():
                    break
                writer.write(part)
                await asyncio.sleep(pause_s)
            await listening
    finally:
        writer.close()
    return bytes(answer)


def drip(text: bytes) -> list[bytes]:
    return [text[at : at + 1] for at in range(len(text))]


@pytest.mark.parametrize("start", [b"", b"\r\n", b"POST", START])
async def test_headers_that_do_not_come_are_408(start: bytes) -> None:
    async with house(**QUICK) as home:
        assert (await said(home, start)).startswith(b"HTTP/1.1 408 ")


async def test_headers_that_drip_are_408() -> None:
    async with house(**QUICK) as home:
        started = time.monotonic()
        answer = await said(home, *drip(START + b"x-long: " + b"a" * 60), pause_s=0.005)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - started < 2


async def test_a_body_that_drips_is_408() -> None:
    async with house(**QUICK) as home:
        parts = [
            START + JSON_BODY + b"100\r\n\r\n",
            *drip(b'{"query": "{ hello }", "variables": {}' + b" " * 30),
        ]
        assert (await said(home, *parts, pause_s=0.005)).startswith(b"HTTP/1.1 408 ")
        assert not home.server.server_state.tasks


async def test_the_second_request_of_a_connection_is_timed_too() -> None:
    async with house(**QUICK) as home:
        answer = await said(home, WHOLE, b"\r\n", START, pause_s=0.05)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"HTTP/1.1 408 " in answer


async def test_slow_answers_are_not_the_clients_fault() -> None:
    async with house(**QUICK) as home:
        body = b'{"query": "{ slow }"}'
        reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
        writer.write(START + JSON_BODY + b"%d\r\n\r\n%b" % (len(body), body))
        await asyncio.sleep(0.4)
        home.journal.gate.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_headers_of_32_kb_are_read_and_more_are_431() -> None:
    async with house(**QUICK) as home:
        for size, status in ((32_000, b"200"), (40_000, b"431"), (1_000_000, b"431")):
            header = b"x-long: " + b"a" * size + b"\r\n"
            answer = await said(home, START + LAST + header + WHOLE.removeprefix(START))
            assert answer.startswith(b"HTTP/1.1 " + status)


async def test_a_refused_body_is_answered_while_it_is_still_sent() -> None:
    async with house(linger=timedelta(milliseconds=100)) as home:
        declared = START + JSON_BODY + b"50000000\r\n\r\n"
        chunked = START + b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        megabytes = [b"x" * 1_000_000] * 50
        for answer in (
            await said(home, declared),
            await said(home, declared, *megabytes),
            await said(home, chunked, *(b"%x\r\n%b\r\n" % (len(part), part) for part in megabytes)),
        ):
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert answer.endswith(b'"extensions":{"code":"INVALID_INPUT"}}]}')


async def test_an_answer_before_the_body_leaves_the_connection_good() -> None:
    async with house(**QUICK) as home:
        early = START + b"accept: x/y\r\n" + WHOLE.removeprefix(START).removesuffix(QUERY)
        last = START + LAST + WHOLE.removeprefix(START)
        answer = await said(home, early, QUERY, last, pause_s=0.05)
        assert answer.startswith(b"HTTP/1.1 406 ")
        assert b"Hello world" in answer


async def test_50_mb_are_refused_in_under_50_ms_of_cpu() -> None:
    async with house(linger=timedelta(milliseconds=50)) as home:
        started = time.process_time()
        assert (await said(home, START + JSON_BODY + b"50000000\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
        assert time.process_time() - started < 0.05


@pytest.mark.parametrize(
    "garbage", [b"\x00\xff\n\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"]
)
async def test_what_is_no_http_is_400(garbage: bytes) -> None:
    async with house(**QUICK) as home:
        answer = await said(home, garbage)
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 "))


async def test_requests_in_one_connection_are_answered_in_turn() -> None:
    async with house(**QUICK) as home:
        last = START + LAST + WHOLE.removeprefix(START)
        assert (await said(home, WHOLE * 2 + last)).count(b"Hello world") == 3


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"\x81\xff\x00\x00\x00\x00\x00\x1e\x84\x80" + b"mask" + b"x" * 2_000_000, id="2 MB"),
        pytest.param(b"\xff\x80mask", id="reserved bits"),
        pytest.param(b"\x81\x05hello", id="unmasked"),
        pytest.param(b"\x83\x80mask", id="unknown opcode"),
        pytest.param(b"\x89\xfe\x10\x00mask" + b"x" * 4_096, id="long ping"),
    ],
)
async def test_a_faulty_frame_gets_a_close_frame_and_no_reset(frame: bytes) -> None:
    async with house(linger=timedelta(milliseconds=100)) as home:
        reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
        writer.write(HANDSHAKE)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        for at in range(0, len(frame), 100_000):
            writer.write(frame[at : at + 100_000])
        header = await reader.readexactly(4)
        assert header[0] == 0x88
        assert int.from_bytes(header[2:]) in (1002, 1009)
        writer.close()


async def test_a_message_in_1000_parts_is_read_and_one_in_more_is_closed_with_1009() -> None:
    start, part, end = b"\x01\x80mask", b"\x00\x80mask", b"\x80\x80mask"
    async with house(linger=timedelta(milliseconds=100)) as home:
        for parts, code in ((998, 4400), (1_000, 1009)):
            reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
            writer.write(HANDSHAKE)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(start + part * parts + end)
            header = await reader.readexactly(4)
            assert (header[0], int.from_bytes(header[2:])) == (0x88, code)
            writer.close()


async def test_pings_of_a_client_that_reads_nothing_do_not_pile_up() -> None:
    async with house() as home:
        reader, writer = await asyncio.open_connection("127.0.0.1", home.port)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        (connection,) = home.server.server_state.connections
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        ping = b"\x89\xfd" + b"mask" + b"x" * 125
        for _ in range(200):
            writer.write(ping * 1_000)
            await asyncio.sleep(0)
            assert connection.transport.get_write_buffer_size() < 4_000_000
        writer.transport.abort()


@pytest.mark.parametrize("missing", [b"sec-websocket-key", b"sec-websocket-version"])
async def test_a_faulty_handshake_is_a_4xx(missing: bytes) -> None:
    lines = [
        b"GET /graphql HTTP/1.1",
        b"host: x",
        b"connection: upgrade",
        b"upgrade: websocket",
        b"sec-websocket-version: 13",
        b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    async with house(**QUICK) as home:
        kept = [line for line in lines if not line.startswith(missing)]
        answer = await said(home, b"\r\n".join([*kept, b"", b""]))
        assert answer.startswith(b"HTTP/1.1 4")


def test_the_types_that_uvicorn_calls_are_there() -> None:
    """What protocol.py overrides; a release of uvicorn that renames it fails here and not in production."""
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    overridden: dict[Any, list[str]] = {
        HttpToolsProtocol: ["on_headers_complete", "on_message_complete", "on_response_complete", "shutdown"],
        WebSocketsSansIOProtocol: ["handle_parser_exception", "shutdown", "send"],
    }
    for protocol, names in overridden.items():
        assert all(callable(getattr(protocol, name)) for name in names)
