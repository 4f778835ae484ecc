"""What an engine tells, on its way to the one who listens."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from media.engine import EngineEvent, RecorderProgress, SpeakingChanged

MAX_EVENTS = 10_000


class EventQueue:
    """Events in order for one reader. When it does not read, progress and levels are dropped first."""

    def __init__(self) -> None:
        self._events: deque[EngineEvent] = deque()
        self._ready = asyncio.Event()
        self.dropped = 0

    def put(self, event: EngineEvent) -> None:
        if len(self._events) >= MAX_EVENTS:
            self._make_room()
        self._events.append(event)
        self._ready.set()

    def _make_room(self) -> None:
        kept = [event for event in self._events if not isinstance(event, RecorderProgress | SpeakingChanged)]
        self.dropped += len(self._events) - len(kept[-MAX_EVENTS + 1 :])
        self._events = deque(kept[-MAX_EVENTS + 1 :])

    async def read(self) -> AsyncIterator[EngineEvent]:
        while True:
            while self._events:
                yield self._events.popleft()
            self._ready.clear()
            await self._ready.wait()
