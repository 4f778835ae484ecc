"""What can be away in a cluster, how it goes and comes back, and which rooms must be carried on by others."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.product.cluster import Cluster
from tests.product.databases import databases
from tests.product.process import children_of
from tests.product.test_many_processes import fronts

Pids = Callable[[Cluster], list[int]]
Away = Callable[[Cluster], "contextlib.AbstractAsyncContextManager[None]"]


def nobody(_cluster: Cluster) -> list[int]:
    """No process."""
    return []


@dataclass(frozen=True)
class Fault:
    """`away` lasts as long as its block. What `silences` names are the media processes whose rooms it takes."""

    away: Away
    silences: Pids = nobody


@contextlib.asynccontextmanager
async def no_database(_cluster: Cluster) -> AsyncIterator[None]:
    """PostgreSQL is stopped."""
    await asyncio.to_thread(databases.postgres.stop)
    yield
    databases.postgres.launch()
    await databases.postgres.answers()


@contextlib.asynccontextmanager
async def no_store(cluster: Cluster) -> AsyncIterator[None]:
    """Nobody listens where the object store was."""
    await asyncio.to_thread(cluster.store.tell, "down")
    yield
    await asyncio.to_thread(cluster.store.tell, "up")


def hanging(which: Pids) -> Away:
    """These processes stop, with all their sockets open. Whoever is found dead later is started again."""

    @contextlib.asynccontextmanager
    async def away(cluster: Cluster) -> AsyncIterator[None]:
        pids = which(cluster)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
        for pid in pids:
            # It may have been replaced.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        await cluster.revive()

    return away


def killed(which: Pids) -> Away:
    """`kill -9`; an operator starts again what nobody else does."""

    @contextlib.asynccontextmanager
    async def away(cluster: Cluster) -> AsyncIterator[None]:
        for pid in which(cluster):
            os.kill(pid, signal.SIGKILL)
        yield
        await cluster.revive()

    return away


@contextlib.asynccontextmanager
async def no_server(cluster: Cluster) -> AsyncIterator[None]:
    """`kill -9` of the process that keeps the port and the rooms: its children go with it."""
    await cluster.kill()
    yield
    await cluster.start()


def a_front(cluster: Cluster) -> list[int]:
    """One of the API processes."""
    return sorted(fronts(cluster))[:1]


def the_server(cluster: Cluster) -> list[int]:
    """Who keeps port, rooms and clockwork."""
    return [cluster.pid]


def a_worker(cluster: Cluster) -> list[int]:
    """One of those beside the server."""
    return cluster.workers[:1]


def own_media(cluster: Cluster) -> list[int]:
    """The server's own."""
    return [
        pid for pid in children_of(cluster.pid) if "media.process" in Path(f"/proc/{pid}/cmdline").read_text()
    ]


def second_media(cluster: Cluster) -> list[int]:
    """The one beside the server."""
    return [cluster.second]


def all_media(cluster: Cluster) -> list[int]:
    """Both."""
    return [*own_media(cluster), *second_media(cluster)]


FAULTS = {
    "postgres": Fault(no_database),
    "store": Fault(no_store),
    "api-hangs": Fault(hanging(a_front)),
    "api-killed": Fault(killed(a_front)),
    "worker-hangs": Fault(hanging(a_worker)),
    "worker-killed": Fault(killed(a_worker)),
    "media-hangs": Fault(hanging(own_media), own_media),
    "media-killed": Fault(killed(own_media), own_media),
    "second-hangs": Fault(hanging(second_media), second_media),
    "second-killed": Fault(killed(second_media), second_media),
    "server-hangs": Fault(hanging(the_server)),
    "server-killed": Fault(no_server, all_media),
}


def written_by(pids: list[int]) -> set[str]:
    """The ids of the recordings whose folders these processes hold open."""
    found = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                place = Path(descriptor.readlink())
                if place.parent.name == "recordings":
                    found.add(place.name)
    return found
