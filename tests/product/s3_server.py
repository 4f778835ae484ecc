"""Moto's S3 in a process of its own, which can be away, slow or out of order: `python -m tests.product.s3_server`.

It takes commands on standard input, a line each, and answers each with a line: `down`, `up`, `fail STATUS`,
`slow SECONDS`, `fine`, `count` (requests since it was asked last); `odd page` has a page of somebody else in its
place, `odd versionless` knows no versions, and `odd minio` finds unfinished uploads by their whole key alone.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (werkzeug calls it so)
        """Nothing."""


class Faulty:
    """Moto, unless it is told otherwise."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self.status = 0
        self.slow_s = 0.0
        self.seen = 0
        self.odd = ""

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        self.seen += 1
        time.sleep(self.slow_s)
        if self.status:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start(f"{self.status} Fault", [("Content-Length", "0")])
            return [b""]
        if (odd := self._odd(parse_qs(environ["QUERY_STRING"], keep_blank_values=True))) is not None:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            status, body = odd
            start(status, [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
            return [body]
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer

    def _odd(self, query: dict[str, list[str]]) -> tuple[str, bytes] | None:
        """What it says in place of moto."""
        if self.odd == "page":
            return "200 OK", b"<html><body>Sign in to use this network</body></html>"
        if self.odd == "versionless" and {"versions", "versioning"} & query.keys():
            return "501 Not Implemented", b""
        if self.odd == "minio" and "uploads" in query and query.get("prefix", ["/"])[0].endswith("/"):
            return "200 OK", b"<ListMultipartUploadsResult/>"
        return None


def main() -> None:
    """Serve until standard input ends."""
    app = Faulty()
    server: BaseWSGIServer | None = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    assert server is not None
    port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(port, flush=True)
    for line in sys.stdin:
        command, _, value = line.strip().partition(" ")
        told = "ok"
        if command == "down" and server is not None:
            server.shutdown()
            server.server_close()
            server = None
        elif command == "up" and server is None:
            server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
            threading.Thread(target=server.serve_forever, daemon=True).start()
        elif command == "fail":
            app.status = int(value)
        elif command == "slow":
            app.slow_s = float(value)
        elif command == "fine":
            app.status, app.slow_s, app.odd = 0, 0.0, ""
        elif command == "odd":
            app.odd = value
        elif command == "count":
            told, app.seen = str(app.seen), 0
        print(told, flush=True)


if __name__ == "__main__":
    main()
