"""The disk's side of a recorder: what is to be written, in order, by a task of its own, so that no tick waits."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from media.disk import NoRoom
from media.engine import RecorderState
from media.store import RecordingStore

log = logging.getLogger(__name__)

# A disk that hangs for two minutes has failed; until then nothing is lost.
MAX_QUEUED_JOBS = 150
TOO_SLOW = "the disk is too slow: two minutes of sound wait to be written"

InThread = Callable[[Callable[[], None]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Something to do on disk, and what to tell once it is done."""

    do: Callable[[], None]
    frames: int = 0
    state: RecorderState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the recorder does about the disk: all is well, it refuses, it is nearly full, it may be asked again."""

    done: Callable[[Sequence[Job]], None]
    refused: Callable[[OSError], Awaitable[None]]
    # The sound in memory is to be queued: it is written before `refused` is called.
    nearly_full: Callable[[], bool]
    retry: Callable[[], Awaitable[None]]
    failed: Callable[[str], None]


class DiskWriter:
    """Does jobs in order. Stopped, it takes none and forgets those that wait, until `resume`."""

    def __init__(self, store: RecordingStore, *, in_thread: InThread, hooks: Hooks) -> None:
        self._store = store
        self._in_thread = in_thread
        self._hooks = hooks
        self._jobs: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    def start(self, name: str) -> None:
        """Begin to work. Inside the loop."""
        self._task = asyncio.create_task(self._work(), name=name)
        self._task.add_done_callback(self._work_done)

    def put(self, job: Job) -> None:
        """Queue a job; when too many wait, the disk has failed."""
        if self._stopped:
            return
        if len(self._jobs) >= MAX_QUEUED_JOBS:
            self._hooks.failed(TOO_SLOW)
            return
        self._jobs.append(job)
        self._wake.set()

    def stop(self) -> None:
        """Forget what waits."""
        self._stopped = True
        self._jobs.clear()

    def resume(self) -> None:
        """Take jobs again."""
        self._stopped = False

    def ask_again(self) -> None:
        """Have `retry` called, soon."""
        self._wake.set()

    async def close(self) -> None:
        """Do what waits, and let go of the files."""
        self._closed = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._in_thread(self._store.close)

    async def _work(self) -> None:
        while not (self._closed and not self._jobs):
            await self._wake.wait()
            self._wake.clear()
            if self._stopped and not self._closed:
                await self._hooks.retry()
            while self._jobs and not self._stopped:
                await self._perform(self._taken())

    def _work_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._hooks.failed("the recorder was stopped")
        elif (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)
            self._hooks.failed("the recorder failed; see the log")

    def _taken(self) -> list[Job]:
        jobs = list(self._jobs)
        self._jobs.clear()
        return jobs

    async def _perform(self, jobs: list[Job]) -> None:
        try:
            has_room = await self._do(jobs)
            if has_room or self._stopped or self._closed or not self._hooks.nearly_full():
                return
            await self._do(self._taken())
        except OSError as error:
            await self._hooks.refused(error)
        else:
            await self._hooks.refused(NoRoom())

    async def _do(self, jobs: list[Job]) -> bool:
        """Do and tell; whether there is room for more. Raises OSError."""
        has_room = True

        def do_all() -> None:
            nonlocal has_room
            for job in jobs:
                job.do()
            has_room = self._store.has_room

        await self._in_thread(do_all)
        if not self._stopped:  # else it took so long that it had been given up
            self._hooks.done(jobs)
        return has_room
