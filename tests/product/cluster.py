"""Everything at once on one machine: PostgreSQL, an object store, two API, two media processes, two workers.

`make cluster` starts it for a look around; tests start it as their server.
"""

import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
from rich.console import Console

from tests.product.databases import databases
from tests.product.process import START_PATIENCE_S, Server
from tests.product.s3 import ObjectStore, object_store

API_PROCESSES = 2
# What stands beside the server, each by the words that start it.
_BESIDE = (("media", "--name", "second"), ("worker",), ("worker",))


class Cluster(Server):
    """`spaces serve --processes 2`, and what stands beside it. Rows are in PostgreSQL whatever else is chosen."""

    def __init__(self, folder: Path, store: ObjectStore, **environment: str) -> None:
        """As Server; the database is made and migrated, and the store has a bucket for it."""
        self.store, self.bucket = store, store.bucket()
        kept = {f"SPACES_{name.upper()}": str(value) for name, value in store.settings(self.bucket).items()}
        super().__init__(folder, SPACES_PROCESSES=str(API_PROCESSES), **kept, **environment)
        databases.migrated(self.data_dir)
        # What `spaces media` says of itself.
        self.forgive("carrying rooms as second", "waiting for the server", "media process lost")
        self._beside: list[asyncio.subprocess.Process] = []

    @property
    def second(self) -> int:
        """The pid of the media process that stands beside the server."""
        return self._beside[0].pid

    @property
    def workers(self) -> list[int]:
        """The pids of the workers that stand beside it."""
        return [process.pid for process in self._beside[1:]]

    async def start(self, **environment: str) -> float:
        """Return once every process is there; the seconds that the server took. Those beside it outlive it."""
        took_s = await super().start(**environment)
        if self._beside:
            return took_s
        for words in _BESIDE:
            self._beside.append(await self._start_beside(words, **environment))
        async with asyncio.timeout(START_PATIENCE_S), httpx.AsyncClient(base_url=self.url) as http:
            while 'spaces_media_rooms{process="second"}' not in (await http.get("/metrics")).text:
                await asyncio.sleep(0.05)
        return took_s

    async def _start_beside(self, words: Sequence[str], **environment: str) -> asyncio.subprocess.Process:
        with (self.folder / "server.err").open("ab") as errors:
            return await self.command_into(errors, *words, **environment)

    async def revive(self) -> None:
        """Start again what stands beside the server and has ended, as an operator's supervisor does."""
        for place, words in enumerate(_BESIDE):
            process = self._beside[place]
            # One that was killed a moment ago may not have been reaped yet.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 0.1)
            if process.returncode is not None:
                self._beside[place] = await self._start_beside(words)

    async def stop(self) -> float:
        """SIGTERM to all, the server first; the seconds that it took."""
        took_s = await super().stop()
        await self._end_beside(signal.SIGTERM)
        return took_s

    async def clean_up(self) -> None:
        """Whatever became of the test, leave nothing running."""
        await self._end_beside(signal.SIGKILL)
        await super().clean_up()

    async def _end_beside(self, how: signal.Signals) -> None:
        for process in self._beside:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(how)
        for process in self._beside:
            await process.wait()
        self._beside = []


async def _until_stopped(console: Console, folder: Path, store: ObjectStore) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    cluster = Cluster(folder, store, SPACES_RATE_LIMIT_ENABLED="true", SPACES_PASSWORD_HASH_MIB="64")
    try:
        await cluster.start()
        console.print(
            f"Serving on {cluster.url} by two API processes, two media processes and two workers,"
            " with PostgreSQL and an object store."
        )
        console.print(f"Files and logs are in {folder}; all of it goes with Ctrl-C.")
        await stop.wait()
        await cluster.stop()
    finally:
        await cluster.clean_up()


def main() -> int:
    """Run a cluster until Ctrl-C."""
    console = Console()
    scratch = tempfile.TemporaryDirectory(prefix="spaces-cluster-")
    with databases.on("postgres"), object_store() as store, scratch as folder:
        try:
            asyncio.run(_until_stopped(console, Path(folder), store))
        finally:
            databases.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
