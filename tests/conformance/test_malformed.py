"""What no client would send, by HTTP, by WebSocket and to the media routes of a real server."""

import base64
import contextlib
import json
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.conformance.judge import judged
from tests.conformance.town import Asker, asked
from tests.conformance.wire import close_codes, said_to
from tests.edge.test_malformed import FRAMES, JSON_VALUES, REQUESTS
from tests.product.process import Server

# Nothing here is slow, and each side says when it has ended: so what takes as long hangs, on a loaded machine too.
HANG_S = 30.0
# A WebSocket that is closed for a fault of the server (RFC 6455, section 7.4.1).
INTERNAL_ERROR = 1011
NUMBERS = [25, pytest.param(2500, marks=pytest.mark.long)]

METHODS = st.sampled_from(
    ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", ""]
)
PATHS = st.sampled_from(
    [
        "/graphql",
        "/",
        "/healthz",
        "/cards/x",
        "/oembed",
        "/media/x",
        "/avatars/x/y.jpg",
        "/exports/x/account.zip",
        "*",
    ]
) | st.text(max_size=30)
NAMES = st.sampled_from(
    [
        *(
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "Content-Type",
            "Accept",
            "Authorization",
            "Connection",
        ),
        *("Upgrade", "Range", "If-Range", "If-None-Match", "If-Match", "Idempotency-Key", "Cookie", "Expect"),
        *(
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Protocol",
            "X-Forwarded-For",
            "Origin",
        ),
    ]
) | st.text(max_size=10)
VALUES = st.sampled_from(
    [
        *("0", "-1", "5", "99999999999999999999", "0x10", "chunked", "identity, chunked", "close", "upgrade"),
        *(
            "websocket",
            "application/json",
            "application/json; charset=utf-16",
            "text/event-stream",
            "*/*;q=x",
        ),
        *("Bearer", "Bearer ", "Bearer a.b.c", "Basic !!!", "bytes=0-", "bytes=-0", "bytes=9-1", "bytes=a-b"),
        *("bytes=" + "0-0," * 300, 'W/"', "100-continue", "a" * 300, "multipart/form-data"),
    ]
) | st.text(max_size=20)
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r", ""])
HOPS = [
    "..",
    "%2e%2e",
    "..%2f",
    "%5c..%5c",
    "..\\",
    "%00",
    "%",
    "%zz",
    "%ff",
    "//",
    ".",
    "~",
    ";",
    "?",
    "#",
    "%2500",
]


@st.composite
def _raw_requests(draw: Callable[[SearchStrategy[Any]], Any]) -> bytes:
    """Request lines, headers and bodies, most with something wrong."""
    version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "ICY", ""]))
    end = draw(ENDS)
    text: str = f"{draw(METHODS)} {draw(PATHS)} {version}{end}"
    body: bytes = draw(st.binary(max_size=60))
    for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=6)):
        text += f"{name}: {value}{end}"
    return f"{text}{end}".encode("utf-8", "replace") + body


@st.composite
def _media_paths(draw: Callable[[SearchStrategy[Any]], Any], paths: list[str]) -> str:
    """An address that is good, with a thing or two wrong."""
    path = str(draw(st.sampled_from(paths)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(path)))
        match draw(st.integers(0, 3)):
            case 0:
                path = path[:at] + draw(st.sampled_from(HOPS)) + path[at:]
            case 1:
                path = path[:at] + draw(st.text("abcXYZ019-_=./?&%", max_size=8)) + path[at + 1 :]
            case 2:
                path = path[:at]
            case _:
                parts = path.split("/")
                parts[draw(st.integers(0, len(parts) - 1))] = draw(
                    st.sampled_from(HOPS) | st.text(max_size=6)
                )
                path = "/".join(parts)
    return path


@st.composite
def _frames(draw: Callable[[SearchStrategy[Any]], Any]) -> bytes:
    """WebSocket frames as bytes: with any opcode, flag, mask and length, true or not."""
    said = FRAMES.map(json.dumps).map(str.encode) | st.binary(max_size=40)
    payload = bytes(draw(said | JSON_VALUES.map(json.dumps).map(str.encode)))
    first = draw(
        st.sampled_from([0x81, 0x81, 0x81, 0x82, 0x88, 0x89, 0x8A, 0x01, 0x00, 0xC1, 0xF1, 0x83, 0x8F])
    )
    length = draw(st.sampled_from([len(payload)] * 4 + [0, 125, 126, 127]))
    masked = draw(st.sampled_from([0x80, 0x80, 0x80, 0]))
    head = bytes([first, masked | min(length, 127)])
    if length == 126:
        head += struct.pack("!H", draw(st.sampled_from([len(payload), 0, 65535])))
    if length == 127:
        head += struct.pack("!Q", draw(st.sampled_from([len(payload), 2**20 + 1, 2**63 - 1, 2**64 - 1])))
    # A mask of zeros leaves what it masks as it is.
    return head + (b"\0\0\0\0" if masked else b"") + payload


def many(number: int) -> settings:
    """How Hypothesis runs these: the same cases every time, none of them timed."""
    return settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def shown(server: Server, told: bytes, sent: bytes) -> None:
    """Judge every answer of a connection by its status line, and all of it by what it shows."""
    text = told.decode("utf-8", "replace")
    statuses = [int(line[9:12]) for line in text.splitlines() if line.startswith("HTTP/1.1 ")]
    judged(server, max(statuses, default=400), text, sent=sent.decode("utf-8", "replace"))


@pytest.fixture(scope="module")
def http(server: Server) -> Any:
    with httpx.Client(base_url=server.url, timeout=HANG_S) as client:
        yield client


@pytest.fixture(scope="module")
def asker(server: Server, http: httpx.Client) -> Asker:
    return asked(server, http, "malformer")


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("number", NUMBERS)
def test_any_body_to_graphql_is_answered_or_refused(
    server: Server, http: httpx.Client, asker: Asker, number: int
) -> None:
    @many(number)
    @given(
        body=st.binary(max_size=200) | JSON_VALUES.map(json.dumps) | REQUESTS.map(json.dumps),
        headers=st.dictionaries(
            st.sampled_from(
                ["Accept", "Authorization", "Idempotency-Key", "Content-Type", "Content-Encoding"]
            ),
            VALUES.map(lambda value: value.encode("utf-8", "replace").strip()),
        ),
    )
    def ask(body: str | bytes, headers: dict[str, bytes]) -> None:
        given_headers = {
            "Content-Type": b"application/json",
            "Authorization": f"Bearer {asker.token}".encode(),
        }
        with contextlib.suppress(httpx.LocalProtocolError):
            answer = http.post("/graphql", content=body, headers={**given_headers, **headers})  # type: ignore[arg-type]
            judged(server, answer.status_code, answer.text, sent=str(body) + str(headers))

    ask()
    assert server.errors() == []


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("number", NUMBERS)
def test_any_bytes_for_a_request_are_answered_or_refused(server: Server, number: int) -> None:
    @many(number)
    @given(sent=_raw_requests() | st.binary(max_size=100))
    def say(sent: bytes) -> None:
        shown(server, said_to(server.port, sent, hang_s=HANG_S), sent)

    say()
    assert server.errors() == []


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("number", NUMBERS)
def test_any_frames_on_a_socket_are_answered_or_refused(server: Server, asker: Asker, number: int) -> None:
    key = base64.b64encode(bytes(16)).decode()
    upgrade = (
        f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    init = b'{"type":"connection_init"}'
    init = bytes([0x81, 0x80 | len(init)]) + bytes(4) + init
    # What ends every socket, unless what came before has swallowed it.
    end = b"\x81\x82" + bytes(4) + b"{}"
    codes: Counter[int] = Counter()

    @many(number)
    @given(frames=st.lists(_frames(), max_size=4), begins=st.booleans())
    def say(frames: list[bytes], begins: bool) -> None:
        sent = (init if begins else b"") + b"".join(frames) + end
        # By itself: what comes in one piece with a handshake is not read.
        told = said_to(server.port, upgrade.encode(), sent, hang_s=HANG_S)
        assert told.startswith(b"HTTP/1.1 101 ")
        closed = close_codes(told.partition(b"\r\n\r\n")[2])
        assert INTERNAL_ERROR not in closed
        codes.update(closed)
        shown(server, told, sent)

    say()
    print(codes)
    assert codes[4400] > 0
    assert server.errors() == []


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("number", NUMBERS)
def test_any_address_of_media_is_answered_or_refused(
    server: Server, http: httpx.Client, asker: Asker, number: int
) -> None:
    live, whip = (urlsplit(url) for url in (asker.live_url, asker.whip_url))
    paths = [f"{live.path}?{live.query}".rstrip("?"), whip.path, "/people/malformer/podcast.xml"]
    paths += [
        "/avatars/x/y.jpg",
        "/exports/x/account.zip",
        "/oembed?url=x&maxwidth=1",
        "/embed/x",
        "/cards/x",
    ]

    @many(number)
    @given(
        path=_media_paths(paths),
        method=st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "PATCH", "DELETE", "PUT"]),
        headers=st.dictionaries(
            st.sampled_from(
                ["Range", "If-Range", "If-None-Match", "If-Match", "Content-Type", "Authorization"]
            ),
            VALUES | st.just(f"Bearer {asker.media_token}") | st.just("application/sdp"),
            max_size=3,
        ),
        body=st.binary(max_size=60),
    )
    def ask(path: str, method: str, headers: dict[str, str], body: bytes) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        line = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        sent = line.encode("utf-8", "replace") + body
        shown(server, said_to(server.port, sent, hang_s=HANG_S), sent)

    ask()
    assert server.errors() == []
