"""Whatever comes from outside gets a clear answer: 4xx, a UserError, a close code; never a 5xx,
never 1006."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError
from websockets.typing import Subprotocol

from benchmarks.hostile import bodies
from services.links import Link, LinkKind
from tests.product.town import Person, Town
from tests.product.voices import MS, Talk, at, recorded, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _post(town: Town, body: bytes, **headers: str) -> httpx.Response:
    given = {
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return await town.http.post("/graphql", content=body, headers=given)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"1", b'"x"', b"true", b"[]", b"{", b"{}", b"[1]", b"\xff\xfe", b'{"query": null}',
        b'{"query": 1}', b'{"query": ""}', b'{"query": "{"}', b'{"query": "{ nothing }"}', b"[" * 100_000,
        b'{"a":' * 50_000, b'{"query": "{ viewer { isModerator } }", "variables": 1}', b"NaN", b"\0",
        b'{"query": "{ viewer { isModerator } }", "operationName": 3}',
        b'{"query": "query($n: Int) { spaces(first: $n) { edges { cursor } } }", "variables": {"n": 2147483648}}',
        b'{"query": "query($n: Int) { spaces(first: $n) { edges { cursor } } }", "variables": {"n": 1e400}}',
        b'{"query": "query($n: Int) { spaces(first: $n) { edges { cursor } } }", "variables": {"n": "1"}}',
        b'{"query": "' + b"{ a" * 500 + b'"}', b'{"query": "{ ' + b"x" * 200_000 + b' }"}',
        b'{"query": "\\ud800"}', b'{"query": "{ user(handle: \\"\\ud800\\") { id } }"}',
    ],
)  # fmt: skip
async def test_a_malformed_body_is_told_what_is_wrong_with_it(city: Town, body: bytes) -> None:
    response = await _post(city, body)
    # GraphQL over HTTP: with `application/json` a well-formed request that is no valid GraphQL answers 200.
    well_formed = response.status_code == 200 and "data" not in response.json()
    assert well_formed or 400 <= response.status_code < 500, response.text
    assert response.json()["errors"][0]["message"]
    assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    spec = await _post(city, body, Accept="application/graphql-response+json")
    assert 400 <= spec.status_code < 500, spec.text


async def test_a_body_of_50_megabytes_is_refused_unread(city: Town) -> None:
    async def flood() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" " * 1_000_000

    for content in (b'{"query": "' + b" " * 50_000_000 + b'"}', flood()):
        with contextlib.suppress(httpx.WriteError, httpx.RemoteProtocolError):
            response = await city.http.post(
                "/graphql", content=content, headers={"Content-Type": "application/json"}
            )
            assert response.status_code == 413
    assert (await city.anyone.read("{ __typename }")) == {"__typename": "Query"}


NO_IDS = (
    ":", "Nothing:1", "Space:", "Space:1", "Space:{00000000-0000-4000-8000-000000000000}", "\x00:\x00",
    "AuditEntry:" + "9" * 23, "AuditEntry:" + "9" * 120, "AuditEntry:-1", "AuditEntry:1_0", "AuditEntry:\u0661",
)  # fmt: skip


@pytest.mark.parametrize("named", NO_IDS, ids=map(ascii, NO_IDS))
async def test_an_id_that_was_never_one_is_of_nothing(city: Town, named: str) -> None:
    wrong = base64.urlsafe_b64encode(named.encode()).decode().rstrip("=")
    space = (await (await city.person()).new_space())["id"]
    query = "query($a: ID!, $b: ID!) { node(id: $a) { id } nodes(ids: [$a, $b]) { id } }"
    answer = await city.anyone.ask(query, a=wrong, b=space)
    assert answer == {"data": {"node": None, "nodes": [None, {"id": space}]}}


async def test_10000_aliases_and_deep_queries_are_refused(city: Town) -> None:
    for query in (
        "{ " + " ".join(f"a{number}: __typename" for number in range(10_000)) + " }",
        "{ " + " ".join(f"a{number}: viewer {{ isModerator }}" for number in range(31)) + " }",
        "{ viewer { user " + "{ followers { edges { node " * 5 + "{ id }" + " } } }" * 5 + " } }",
        "{ spaces(first: 100) { edges { node { participants(first: 100) { edges { node { id role } } } } } } }",
        "query { ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
    ):
        answer = await city.anyone.ask(query)
        assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT", query[:60]
        assert answer.get("data") is None


async def test_what_only_wants_to_cost_is_refused_on_every_way_in(city: Town) -> None:
    for name, make in bodies().items():
        if name == "50 MB":
            continue
        response = await _post(city, make(), Accept="application/graphql-response+json")
        assert response.status_code in {400, 413}, name
        assert response.json()["errors"][0]["extensions"]["code"] == "INVALID_INPUT", name
        async with _raw(city) as raw:
            await raw.send(f'{{"type":"subscribe","id":"1","payload":{make().decode()}}}')
            try:
                answer = json.loads(await raw.recv())
            except ConnectionClosedError:
                assert raw.close_code in {1009, 4400}, name
                continue
            assert answer["payload"][0]["extensions"]["code"] == "INVALID_INPUT", name


@contextlib.asynccontextmanager
async def _raw(town: Town, *, init: bool = True) -> AsyncIterator[ClientConnection]:
    url = town.url.replace("http", "ws") + "/graphql"
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as raw:
        if init:
            await raw.send('{"type": "connection_init"}')
            assert json.loads(await raw.recv())["type"] == "connection_ack"
        yield raw


async def _close_code(raw: ClientConnection) -> int | None:
    async with asyncio.timeout(10):
        await raw.wait_closed()
    return raw.close_code


@pytest.mark.parametrize("init", [True, False])
@pytest.mark.parametrize(
    "frame",
    [
        "null",
        "1",
        '"x"',
        "[]",
        "true",
        "{",
        "",
        "\0",
        "[" * 50_000,
        '{"type": 1}',
        "{}",
        '{"type": "nothing"}',
        b"{}",
    ],
)
async def test_a_frame_that_is_no_message_closes_with_4400(
    city: Town, frame: str | bytes, *, init: bool
) -> None:
    async with _raw(city, init=init) as raw:
        await raw.send(frame)
        assert await _close_code(raw) == 4400


FOLLOW = '{"type": "subscribe", "id": "1", "payload": {"query": "subscription { timelineUpdates { kind } }"}}'


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (['{"type": "connection_init"}'], 4429),
        (['{"type": "subscribe", "id": "1", "payload": null}'], 4400),
        (['{"type": "subscribe", "id": "1", "payload": {"query": 1}}'], 4400),
        (['{"type": "subscribe", "id": 1, "payload": {"query": "{ __typename }"}}'], 4400),
        (['{"type": "complete"}'], 4400),
        ([FOLLOW, FOLLOW], 4409),
    ],
)  # fmt: skip
async def test_messages_out_of_order_close_with_their_code(city: Town, frames: list[str], code: int) -> None:
    async with _raw(city) as raw:
        for frame in frames:
            await raw.send(frame)
        assert await _close_code(raw) == code


async def test_a_subscription_that_cannot_be_is_told_so_and_the_socket_goes_on(city: Town) -> None:
    async with city.anyone.socket() as socket:
        for query in (
            'subscription { recordingStatus(spaceId: "x") { cursor } }',
            'subscription { spaceUpdates(spaceId: "") { cursor } }',
            'subscription { timelineUpdates(after: "") { cursor } }',
            'subscription { timelineUpdates(after: "x") { cursor } }',
            "subscription { nothing }",
            "{",
        ):
            name = await socket.subscribe(query)
            message = await socket.message(name)
            errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
            assert errors[0]["extensions"]["code"] in {"NOT_FOUND", "INVALID_INPUT"}
        name = await socket.subscribe("{ __typename }")
        assert await socket.next(name) == "Query"


TEXTS = [
    ("a\0b", False), ("\x1b[31m", False), ("😀👩‍👩‍👧‍👦", True), ("\u202eabc\u202c", True),
    ("' OR 1=1 --", True),
    ("<script>alert(1)</script>", True), ("{{ 'zq' * 4 }}${7}", True), ("\ufeff\uffff", True),
    ("a" * 201, False),
    ("a" * 400_000, False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "good"), TEXTS)
async def test_text_of_any_kind_is_kept_as_it_is_or_refused(city: Town, text: str, *, good: bool) -> None:
    host = await city.person()
    payload = await host.try_("createSpace", "space { id title }", title=text)
    if not good:
        assert payload["errors"][0]["code"] == "INVALID_INPUT"
        return
    assert payload["space"]["title"] == text.strip()
    await host.do("startSpace", spaceId=payload["space"]["id"])
    (card,) = (await host.read("{ timeline { edges { node { url } } } }"))["timeline"]["edges"]
    page = await city.fetch(card["node"]["url"])
    assert page.status_code == 200
    assert "<script>alert(1)" not in page.text
    assert "zqzq" not in page.text
    assert (await city.fetch("/")).status_code == 200


@pytest.mark.parametrize("field", ["title", "description", "language", "topics"])
async def test_a_lone_surrogate_is_refused_wherever_it_stands(city: Town, field: str) -> None:
    host = await city.person()
    value: Any = ["\ud800"] if field == "topics" else "\ud800"
    body = {
        "query": "mutation($i: CreateSpaceInput!) { createSpace(input: $i) { errors { code } } }",
        "variables": {"i": {"title": "T", field: value}},
    }
    response = await _post(city, json.dumps(body).encode(), Authorization=f"Bearer {host.token}")
    assert response.status_code < 500
    assert "INVALID_INPUT" in response.text


async def test_5_megabytes_of_title_are_refused(city: Town) -> None:
    host = await city.person()
    response = await city.http.post(
        "/graphql",
        json={
            "query": "mutation($t: String!) { createSpace(input: { title: $t }) { errors { code } } }",
            "variables": {"t": "x" * 5_000_000},
        },
        headers=host.headers,
    )
    assert response.status_code == 413


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 2**63, 1.5, "1", True, None])
async def test_a_number_that_is_no_int_is_refused(city: Town, talk: Talk, number: object) -> None:
    for field in ("startOffsetMs", "positionMs"):
        mutation = "trimRecording" if field == "startOffsetMs" else "savePlaybackPosition"
        name = mutation[0].upper() + mutation[1:]
        answer = await city.anyone.ask(
            f"mutation($i: {name}Input!) {{ {mutation}(input: $i) {{ errors {{ code }} }} }}",
            i={"recordingId": talk.recording_id, field: number},
        )
        assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def talker(shared_town: Town) -> Person:
    """The host of `talk`."""
    return await shared_town.person("talker")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def talk(shared_town: Town, talker: Person) -> Talk:
    """A recorded Space."""
    return await recorded(shared_town, talker, seconds=3)


async def _links(person: Person, talk: Talk) -> dict[str, str]:
    query = "recording { playback { url expiresAt } download { url } sizeBytes }"
    found = (await person.space(talk.space_id, query))["recording"]
    return {
        "playlist": found["playback"]["url"],
        "bytes": found["playback"]["url"].replace("index.m3u8", "programme.mp4"),
        "download": found["download"]["url"] if found["download"] else "",
        "expires": found["playback"]["expiresAt"],
        "size": str(found["sizeBytes"]),
    }


async def _raw_get(town: Town, target: str, method: str = "GET") -> tuple[int, bytes]:
    """A request line as it is, without a client's tidying up."""
    parts = urlsplit(town.url)
    reader, writer = await asyncio.open_connection(cast(str, parts.hostname), parts.port)
    request = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    writer.write(request.encode("latin-1"))
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert answer, "expected an answer, got a closed connection"
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]


async def test_paths_that_climb_or_lie_lead_nowhere(city: Town, talker: Person, talk: Talk) -> None:
    token = (await _links(talker, talk))["bytes"].split("/")[-2]
    for climb in (
        f"/media/recordings/{token}/../../../keys/links.key", f"/media/recordings/{token}/..%2f..%2fkeys%2flinks.key",
        f"/media/recordings/{token}/%2e%2e/programme.mp4", f"/media/recordings/{token}/programme.mp4%00",
        f"/media/recordings/{token}%00/programme.mp4", f"/media/recordings/{token}/programme.mp4/",
        f"/media/recordings/{token}/programme%2emp4x", f"/media/recordings/{token}/journal",
        f"/media/recordings/{token}/peaks.bin", f"/media/recordings/{token}/programme.m3u8",
        "/media/recordings/../keys/links.key", "/media/recordings/%2e%2e%2f%2e%2e/index.m3u8",
        "/media/recordings//index.m3u8",
        "/static/../../keys/links.key", "/static/%2e%2e/%2e%2e/app.py", "/assets/..%2f..%2fapp.py",
        "/assets/%00",
        "/static/%00", "/static/" + "a" * 5000, "/assets/../app.py", "//etc/passwd",
        "/media/live/%ff%fe/index.m3u8",
        "/media/live/x/init-%31.mp4", "/media/live/x/live--1.m4s", "/cards/../graphql", "/cards/%00",
        "/cards/" + "9" * 4000,
        "/cards/%f0%9f%8e%99", "/media/whip/x", "/media/whip/%00",
    ):  # fmt: skip
        status, body = await _raw_get(city, climb)
        assert 300 <= status < 500, (climb, status)
        assert b"ftyp" not in body
        assert b"moof" not in body


@pytest.mark.parametrize("token", ["x", "A" * 76, "A" * 75, "A" * 100_000, "%C3%A9", "====", "-_-_", "."])
async def test_a_link_that_never_was_good_is_403_or_404(city: Town, token: str) -> None:
    for path in ("recordings/{}/index.m3u8", "recordings/{}/programme.mp4", "downloads/{}/programme.mp4",
                 "live/{}/index.m3u8", "live/{}/programme.mp4", "live/{}/init-1.mp4",
                 "live/{}/live-1.m4s"):  # fmt: skip
        status, _ = await _raw_get(city, "/media/" + path.format(token))
        assert status in ({403, 404} if len(token) < 1000 else {403, 404, 400, 414, 431})


async def test_a_changed_or_foreign_link_is_403_and_an_expired_one_410(
    city: Town, talker: Person, talk: Talk
) -> None:
    links = await _links(talker, talk)
    token = links["bytes"].split("/")[-2]
    for place in range(0, len(token), 5):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        response = await city.fetch(links["bytes"].replace(token, changed))
        assert response.status_code == 403, place
        assert b"moof" not in response.content
    for suffix in ("=", "==", "A", " "):
        response = await city.fetch(links["bytes"].replace(token, token + suffix))
        assert response.status_code in {403, 404}
    foreign = links["download"].split("/")[-2]
    for wrong in (
        links["bytes"].replace(token, foreign),
        links["download"].replace(foreign, token),
        links["playlist"].replace("/media/recordings/", "/media/live/"),
        links["bytes"].replace("/media/recordings/", "/media/live/"),
    ):
        response = await city.fetch(wrong)
        assert response.status_code == 403
        assert b"moof" not in response.content
    city.clock.stand_at(at(links["expires"]) - MS)
    assert (await city.fetch(links["bytes"])).status_code == 200
    city.clock.stand_at(at(links["expires"]))
    for name in ("playlist", "bytes", "download"):
        response = await city.fetch(links[name])
        assert response.status_code == 410
        assert b"moof" not in response.content


async def test_a_download_link_made_for_another_opens_nothing(city: Town, talk: Talk) -> None:
    listener = await city.person()
    for viewer_id in (uuid_of(listener.id), None):
        link = Link(
            kind=LinkKind.DOWNLOAD,
            subject_id=uuid_of(talk.recording_id),
            viewer_id=viewer_id,
            expires_at=city.clock.now() + timedelta(hours=1),
        )
        token = city.built.house.links.sign(link)
        response = await city.fetch(f"/media/downloads/{token}/programme.mp4")
        assert response.status_code == 410
        assert b"moof" not in response.content


async def test_ranges_are_answered_as_rfc_9110_has_them(city: Town, talker: Person, talk: Talk) -> None:
    links = await _links(talker, talk)
    for url in (links["bytes"], links["download"]):
        whole = await city.fetch(url)
        size = int(links["size"])
        assert len(whole.content) == size == int(whole.headers["content-length"])
        assert whole.headers["accept-ranges"] == "bytes"
        assert "no-store" in whole.headers["cache-control"]
        assert "private" in whole.headers["cache-control"]
        for header, start, end in (
            ("bytes=0-0", 0, 1), ("bytes=0-99", 0, 100), (f"bytes={size - 1}-", size - 1, size),
            ("bytes=-1", size - 1, size),
            ("bytes=100-", 100, size), (f"bytes=-{size}", 0, size), (f"bytes=-{size * 9}", 0, size),
            (f"bytes=10-{size * 9}", 10, size), ("Bytes=5-6", 5, 7),
        ):  # fmt: skip
            part = await city.fetch(url, Range=header)
            assert part.status_code == 206, header
            assert part.content == whole.content[start:end], header
            assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        for header in (f"bytes={size}-", f"bytes={size}-{size + 9}", "bytes=-0", "bytes=999999999999-"):
            part = await city.fetch(url, Range=header)
            assert part.status_code == 416, header
            assert part.headers["content-range"] == f"bytes */{size}"
            assert b"moof" not in part.content
        for header in ("", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "items=0-1", "bytes=0-1,5-6",
                       "bytes=--1", "bytes=1" + "0" * 400 + "-", "bytes=\u00b2-"):  # fmt: skip
            part = await city.http.get(url, headers={b"Range": header.encode("latin-1")})
            assert part.status_code in {200, 416}, header
            if part.status_code == 200:
                assert len(part.content) == size
        head = await city.http.head(url)
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) == size


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/graphql/x",
        "/media",
        "/media/",
        "/media/x/y/z",
        "/api/v1",
        "/%00",
        "/%ff",
        "/.env",
        "/cards",
    ],
)
async def test_an_unknown_route_is_a_404_in_json(city: Town, path: str) -> None:
    response = await city.http.get(path)
    assert response.status_code == 404
    assert response.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_a_wrong_method_is_405_with_those_that_are_right(
    city: Town, talker: Person, talk: Talk
) -> None:
    links = await _links(talker, talk)
    for method, url in (
        ("DELETE", "/graphql"), ("PUT", "/graphql"), ("PATCH", "/graphql"), ("POST", links["bytes"]),
        ("DELETE", links["bytes"]),
        ("POST", links["playlist"]), ("PUT", links["download"]), ("POST", "/"),
        ("GET", f"/media/whip/{uuid_of(talk.space_id)}"),
        ("PUT", f"/media/whip/{uuid_of(talk.space_id)}"),
    ):  # fmt: skip
        response = await city.http.request(method, url)
        assert response.status_code == 405, (method, url)
        assert response.headers["allow"]
        assert response.json()["errors"][0]["message"]


async def test_odd_methods_and_request_lines_are_no_5xx(city: Town) -> None:
    for method, target in (
        ("TRACE", "/"),
        ("BREW", "/graphql"),
        ("CONNECT", "x:1"),
        ("OPTIONS", "*"),
        ("GET", "x"),
        ("GET", "http://other/graphql"),
    ):
        status, _ = await _raw_get(city, target, method)
        assert 200 <= status < 500, (method, target, status)


WHIP: list[tuple[Any, ...]] = [
    (None, "application/sdp", b"v=0", {401}),
    ("x", "application/sdp", b"v=0", {401}),
    ("good", "application/json", b"v=0", {415, 400}),
    ("good", "application/sdp", b"", {400, 422}),
    ("good", "application/sdp", b"\0\xff", {400, 422}),
    ("good", "application/sdp", b"v=0\r\n" * 10, {400, 422}),
    ("good", "application/sdp", b"a=" + b"x" * 900_000, {400, 413, 422}),
    ("good", "application/sdp", b"a=" + b"x" * 5_000_000, {413}),
]


@pytest.mark.parametrize(("token", "kind", "body", "statuses"), WHIP)
async def test_a_hostile_offer_is_a_clear_4xx(
    city: Town, token: str | None, kind: str, body: bytes, statuses: set[int]
) -> None:
    host = await city.person()
    space_id = await host.live_space()
    joined = await host.do("joinSpace", "whipUrl mediaToken", spaceId=space_id)
    headers = {"Content-Type": kind}
    if token:
        headers["Authorization"] = f"Bearer {joined['mediaToken'] if token == 'good' else token}"
    response = await city.http.post(joined["whipUrl"], content=body, headers=headers)
    assert response.status_code in statuses, response.text
    assert response.json()["errors"][0]["message"]


async def test_an_unknown_route_with_a_slash_at_its_end_is_a_plain_404(city: Town) -> None:
    response = await city.http.get("/media/recordings/token/", headers={"Host": "elsewhere.example"})
    assert response.status_code == 404
    assert response.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"
