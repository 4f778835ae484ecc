"""Traces, as a collector gets them: a request, its operation, its statements, and nothing about people."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import ValidationError

from api.settings import Settings
from tests.product.town import open_town

TRACE = "0af7651916cd43dd8448eb211c80319c"
ROOT = Path(__file__).parent.parent.parent


@dataclass
class Collector:
    """What came by OTLP over HTTP."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)

    def spans(self) -> list[Any]:
        """Every span, in the order of their ends."""
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def services(self) -> set[str]:
        """Who sent them."""
        return {
            attribute.value.string_value
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        }


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A receiver, which the standard variable names."""
    with receiving() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        yield found


@contextmanager
def receiving() -> Iterator[Collector]:
    """A receiver on a free port."""
    found = Collector()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                found.bodies.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield found
        finally:
            server.shutdown()
            serving.join()


def attributes(span: Any) -> dict[str, Any]:
    """Of a span."""
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


async def test_a_request_is_one_trace_down_to_its_statements_without_a_word_about_people(
    tmp_path: Path, collector: Collector
) -> None:
    async with open_town(tmp_path / "data", quiet=True, traces=True) as town:
        host = await town.person("ursula_k")
        space_id = await host.live_space(record=True)
        await host.do("endSpace", spaceId=space_id)
        url = (await host.recording(space_id, "playback { url }"))["playback"]["url"]
        assert (await town.fetch(url)).status_code == 200
        caller = {**host.headers, "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        query = {"query": "query Mine { timeline { edges { node { id } } } }"}
        assert (await town.http.post("/graphql", json=query, headers=caller)).status_code == 200

    spans = [span for span in collector.spans() if span.trace_id.hex() == TRACE]
    by_id = {span.span_id: span for span in spans}
    chains = set()
    for span in spans:
        names, above = [span.name], span
        while above.parent_span_id in by_id:
            above = by_id[above.parent_span_id]
            names.append(above.name)
        chains.add(" < ".join(names))
    assert {"POST /graphql", "query Mine < POST /graphql", "SELECT < query Mine < POST /graphql"} <= chains
    [request] = [span for span in spans if span.name == "POST /graphql"]
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert attributes(request)["http.response.status_code"] == 200
    statement = next(span for span in spans if span.name == "SELECT")
    assert attributes(statement)["db.query.text"].startswith("SELECT")
    everything = {span.name for span in collector.spans()}
    assert {"BEGIN", "COMMIT", "INSERT"} <= everything
    assert any("{" in name and name.startswith("GET /media/") for name in everything), everything
    assert collector.services() == {"spaces"}
    sent = b"".join(collector.bodies)
    for word in (host.handle, host.token or "", url.split("/")[-2], "A talk", "127.0.0.1"):
        assert word.encode() not in sent


@pytest.mark.long
async def test_a_server_without_traces_sends_none(tmp_path: Path, collector: Collector) -> None:
    async with open_town(tmp_path / "data", quiet=True) as town:
        await town.person()
    assert collector.bodies == []


@pytest.mark.long
async def test_a_collector_that_is_away_or_hangs_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await closed.wait()
        writer.close()

    closed = asyncio.Event()
    silent = await asyncio.start_server(never, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    async with open_town(tmp_path / "data", quiet=True, traces=True) as town:
        await town.person()
    closed.set()
    silent.close()
    await silent.wait_closed()


@pytest.mark.long
def test_nothing_of_opentelemetry_is_imported_where_nobody_asked_for_traces() -> None:
    told = "import sys, api.cli, api.serve, api.work; sys.exit(any(m.startswith('opentelemetry') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", told], cwd=ROOT, check=False).returncode == 0


def test_asking_for_traces_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.settings.find_spec", lambda _name: None)
    with pytest.raises(ValidationError, match=r"pip install 'spaces-server\[traces\]'"):
        Settings(traces=True)
