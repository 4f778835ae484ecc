"""`spaces serve` in a process of its own, and what it takes of memory and CPU."""

import asyncio
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

import httpx

from benchmarks.asked import cpu_ns

PATIENCE_S = 60.0
_ROOT = Path(__file__).parent.parent


class Server:
    """`spaces serve` on one core, with everything that it starts."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._environment = environment
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Return once it is ready."""
        self._process = await process(
            "api.cli",
            self._folder,
            "serve",
            core=min(os.sched_getaffinity(0)),
            SPACES_DATA_DIR=str(self._folder / "data"),
            SPACES_PORT=str(self._port),
            SPACES_PUBLIC_URL=self.url,
            SPACES_RATE_LIMIT_ENABLED="false",
            SPACES_LOG_LEVEL="WARNING",
            **self._environment,
        )
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(base_url=self.url) as http:
            while True:
                with suppress(httpx.TransportError):
                    if (await http.get("/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """As an operator stops it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()

    @property
    def _pids(self) -> tuple[int, int]:
        assert self._process is not None
        own = self._process.pid
        children = [path.read_text().split() for path in Path(f"/proc/{own}/task").glob("*/children")]
        return own, int(next(pid for pids in children for pid in pids))

    def memory_mb(self) -> tuple[float, float]:
        """Resident, of server and media process."""
        lines = [Path(f"/proc/{pid}/status").read_text().splitlines() for pid in self._pids]
        server, media = (
            int(next(line for line in found if line.startswith("VmRSS")).split()[1]) for found in lines
        )
        return server / 1024, media / 1024

    def cpu_ms(self) -> tuple[float, float]:
        """Of both, since their start: used, and waited for while something else ran on the core."""
        threads = [thread for pid in self._pids for thread in Path(f"/proc/{pid}/task").iterdir()]
        spent = [(thread / "schedstat").read_text().split() for thread in threads]
        return sum(int(row[0]) for row in spent) / 1e6, sum(int(row[1]) for row in spent) / 1e6

    def own_cpu_ms(self) -> float:
        """Of the server alone, without its media process."""
        return cpu_ns(self._pids[0]) / 1e6

    def kernel_drops(self) -> int:
        """Datagrams that the kernel threw away because the media process did not read in time."""
        links = Path(f"/proc/{self._pids[1]}/fd").iterdir()
        sockets = {str(link.readlink())[8:-1] for link in links if "socket:" in str(link.readlink())}
        rows = [
            line.split()
            for table in ("udp", "udp6")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        ]
        return sum(int(row[12]) for row in rows if row[9] in sockets)


async def process(
    module: str, folder: Path, *arguments: str, core: int | None = None, **environment: str
) -> asyncio.subprocess.Process:
    pin = ["taskset", "-c", str(core)] if core is not None else []
    with (folder / f"{module}.err").open("ab") as errors:
        return await asyncio.create_subprocess_exec(
            *(*pin, sys.executable, "-m", module, *arguments),
            env={**os.environ, "PYTHONPATH": str(_ROOT), **environment},
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
