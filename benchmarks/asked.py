"""A server that is asked over one connection, and what a process has computed."""

import http.client
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson


def cpu_ns(pid: int) -> int:
    """User and system time of a process since its start, all threads."""
    # The scheduler counts in ns; the ticks of `stat` are too coarse for a short round.
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)


class Asked:
    """A server in a process of its own, and one connection to it for somebody signed in."""

    def __init__(self, command: Sequence[str], *, port: int, token: str) -> None:
        self._token = token
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def wait(self) -> None:
        """Return once it listens."""
        while self._process.poll() is None:
            try:
                self._link.connect()
            except OSError:
                time.sleep(0.05)
            else:
                self._link.close()  # it would be idle for too long
                return
        raise RuntimeError(f"{self._process.args!r} did not start")

    def send(self, document: str, variables: dict[str, Any]) -> bytes:
        """The answer to one operation."""
        body = orjson.dumps({"query": document, "variables": variables})
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        self._link.request("POST", "/graphql", body, headers)
        return self._link.getresponse().read()

    def cpu_us(self, work: Callable[[], Any], operations: int) -> float:
        """Processor time per operation, in µs."""
        self._link.close()  # it may have been idle for too long
        before = cpu_ns(self._process.pid)
        for _ in range(operations):
            work()
        return (cpu_ns(self._process.pid) - before) / 1000 / operations

    def end(self) -> None:
        """End the process."""
        self._link.close()
        self._process.terminate()
        self._process.wait(10)
