"""Moto's S3 in a process of its own, which can be away, slow or out of order: `python -m tests.product.s3_server`.

It takes commands on standard input, a line each, and answers each with a line: `down`, `up`, `fail STATUS`,
`slow SECONDS`, `fine`, `count` (requests since it was asked last).
"""

import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

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

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        self.seen += 1
        time.sleep(self.slow_s)
        if self.status:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start(f"{self.status} Fault", [("Content-Length", "0")])
            return [b""]
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer


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
            app.status, app.slow_s = 0, 0.0
        elif command == "count":
            told, app.seen = str(app.seen), 0
        print(told, flush=True)


if __name__ == "__main__":
    main()
