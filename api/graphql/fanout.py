"""Telling many of the same events: one look at the rows, one execution and one encoding for all who get the same.

A line is one stream with its followers, in crowds of those who may see the same. At each wake-up it looks once for each
crowd, answers each event once for each different selection, and pushes the bytes to everyone. What an answer hangs on
of its viewer is watched (`services/audience.py`), and only who would have been answered the same gets it.

Nothing is queued. Who cannot take a message at once leaves the crowd and reads on alone, from the rows and from its own
place, and comes back when it has heard everything: nothing is lost, nobody waits for anybody.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Protocol

from api.graphql.errors import ErrorJson, exception_json
from api.graphql.execute import Followed, Selection
from services.audience import Asked, Crowd, Shared, Watched, asked_of, crowd_of, is_common
from services.bus import Bell, Ear, sight_topic
from services.house import House
from services.live import POLL_S, THE_LAST, Event, Look, Stream
from services.viewers import Viewer

# Messages after which other tasks get their turn: some 0.5 ms.
_TOLD_IN_A_ROW = 64
_THE_LAST = THE_LAST.encode()
_READING_ALONE = 16


class Sink(Protocol):
    """Where one follower's messages go."""

    def push(self, rest: bytes) -> bool:
        """Send a `next` at once: its payload, and the brace that ends the message. False when it would have to wait."""

    async def send(self, body: bytes) -> None:
        """Send a `next` with this payload, and wait until it is on its way."""

    async def ready(self) -> None:
        """Wait until a message could be sent."""

    def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something for this follower in a task of its own."""

    def fail(self, errors: list[ErrorJson]) -> None:
        """The subscription has ended so."""


class _Body:
    """A payload for many, as the end of a message."""

    __slots__ = ("_parts", "_rest")

    def __init__(self, body: bytes) -> None:
        self._rest = body + b"}"
        self._parts = self._rest.split(_THE_LAST) if _THE_LAST in body else None

    def rest(self, cursor: str) -> bytes:
        """With the reader's last cursor, where a tick repeats it."""
        return self._rest if self._parts is None else cursor.encode().join(self._parts)


class Fanout:
    """All lines of one endpoint."""

    def __init__(self) -> None:
        self._lines: dict[Stream, Line] = {}
        # When all come at once, after a restart for instance, few are read for at a time: what that takes of memory
        # is never given back.
        self.turns = asyncio.Semaphore(_READING_ALONE)

    def join(self, followed: Followed, sink: Sink) -> "Follower":
        """A follower, who is told nothing before `follow`."""
        return Follower(self, followed, sink)

    def line(self, stream: Stream, house: House) -> "Line":
        """The line of a stream."""
        line = self._lines.get(stream)
        if line is None:
            line = self._lines[stream] = Line(stream, house, lambda: self._lines.pop(stream, None))
        return line


class Follower:
    """One subscription. `place` and `cursor` are those of what it was told last."""

    __slots__ = (
        "_attended",
        "_bell",
        "_changes",
        "_fanout",
        "_followed",
        "_sink",
        "_stream",
        "crowd",
        "cursor",
        "place",
        "selection",
        "viewer",
    )

    def __init__(self, fanout: Fanout, followed: Followed, sink: Sink) -> None:
        self._fanout = fanout
        self._followed = followed
        self._sink = sink
        self._stream: Stream | None = None
        self._attended: AbstractContextManager[None] | None = None
        self._bell: Bell | None = None
        self._changes = 0
        self.selection = followed.selection
        self.viewer = followed.following.viewer
        self.crowd: Gathering | None = None
        self.place = 0
        self.cursor = followed.following.after or ""

    @property
    def house(self) -> House:
        """Where it follows."""
        return self._followed.following.house

    async def follow(self) -> None:
        """Hear alone what was missed, then hear with the others. Raises what ends the subscription."""
        stream = self._stream or await self._begin()
        await self._sink.ready()
        while True:
            changes, self.viewer = self._changes, self.viewer.afresh()
            await self.viewer.hidden()
            self.house.told["looks"] += 1
            look = await stream.look(self.house, self.viewer, self.place)
            await self._hear(look)
            if changes == self._changes and self._fanout.line(stream, self.house).admit(self):
                return

    async def _begin(self) -> Stream:
        following = self._followed.following
        stream = following.stream()
        self._mind_blocks()
        async with self._fanout.turns:
            look = await stream.begin(self.house, self.viewer, following.after)
        attended = stream.attended(self.house, self.viewer)
        attended.__enter__()
        self._attended, self._stream = attended, stream
        await self._hear(look)
        return stream

    def _mind_blocks(self) -> None:
        if self.viewer.id is not None:
            self._bell = Bell(self._look_anew)
            self.house.bus.add(sight_topic(self.viewer.id), self._bell)

    async def _hear(self, look: Look) -> None:
        for event in look.events:
            await self._sink.ready()
            async with self._fanout.turns:
                body = await self._body(event, self.viewer.afresh())
            await self._sink.send(body)
            self.house.told["messages"] += 1
            self.place, self.cursor = event.place, event.cursor
        self.place = max(self.place, look.place)

    async def answer(self, event: Event) -> tuple[_Body, Asked]:
        """An event as this follower gets it, and what that hangs on."""
        watched = Watched(self.viewer)
        body = _Body(await self._body(event, watched))
        return body, asked_of(watched)

    async def _body(self, event: Event, viewer: Viewer) -> bytes:
        self.house.told["executions"] += 1
        context = self._followed.following.context(viewer)
        try:
            return await self.selection.body(event, context)
        finally:
            context.let_go()

    def tell(self, event: Event, body: _Body) -> bool:
        """Push an event, unless it was heard before; whether it was. Who cannot take it reads on alone."""
        is_tick = event.cursor is THE_LAST
        if not is_tick and event.place <= self.place:
            return False
        if not self._sink.push(body.rest(self.cursor)):
            self.house.told["behind"] += 1
            self._look_anew()
            return False
        if not is_tick:
            self.place, self.cursor = event.place, event.cursor
        return True

    def _look_anew(self) -> None:
        self._changes += 1
        if self.crowd is not None:
            self.crowd.remove(self)
            self._sink.run(self.follow)

    def fail(self, errors: list[ErrorJson]) -> None:
        """End the subscription."""
        self.close()
        self._sink.fail(errors)

    def close(self) -> None:
        """Hear no more."""
        if self.crowd is not None:
            self.crowd.remove(self)
        if self._bell is not None and self.viewer.id is not None:
            self.house.bus.remove(sight_topic(self.viewer.id), self._bell)
            self._bell = None
        if self._attended is not None:
            attended, self._attended = self._attended, None
            attended.__exit__(None, None, None)


class Gathering:
    """A crowd on a line. All have heard everything up to `place`."""

    def __init__(self, line: "Line", key: Crowd, place: int) -> None:
        self.line = line
        self.key = key
        self.place = place
        self.followers: dict[Selection, dict[Follower, None]] = {}

    def add(self, follower: Follower) -> None:
        """Let somebody in."""
        self.followers.setdefault(follower.selection, {})[follower] = None
        follower.crowd = self

    def remove(self, follower: Follower) -> None:
        """Let somebody go."""
        follower.crowd = None
        alike = self.followers[follower.selection]
        del alike[follower]
        if not alike:
            del self.followers[follower.selection]
        if not self.followers:
            self.line.forget(self)

    def everyone(self) -> list[Follower]:
        """All who are here now."""
        return [one for alike in self.followers.values() for one in alike]


class _Round:
    """What was made at one wake-up, for all crowds."""

    def __init__(self, stream: Stream, house: House) -> None:
        self._stream = stream
        self._house = house
        self._looks: dict[int, Shared[Look]] = {}
        self._bodies: dict[tuple[str, object, Selection], Shared[_Body]] = {}
        self._tick: list[Event | None] = []

    async def look(self, follower: Follower, place: int) -> tuple[Look, Asked]:
        """What a follower hears after a place, and what that hangs on."""
        looks = self._looks.setdefault(place, Shared())
        found = looks.find(follower.viewer)
        if found is None:
            watched = Watched(follower.viewer)
            self._house.told["looks"] += 1
            look = await self._stream.look(self._house, watched, place)
            found = look, asked_of(watched)
            looks.keep(*found)
        return found

    async def answer(self, event: Event, follower: Follower) -> tuple[_Body, Asked]:
        """What a follower is told of an event, and what that hangs on."""
        bodies = self._bodies.setdefault((event.cursor, event.kind, follower.selection), Shared())
        found = bodies.find(follower.viewer)
        if found is None:
            found = await follower.answer(event)
            bodies.keep(*found)
        return found

    async def tick(self) -> Event | None:
        """The state now; read once."""
        if not self._tick:
            self._tick.append(await self._stream.tick(self._house))
        return self._tick[0]


class Line:
    """One stream and who follows it. Its task ends with its last follower."""

    def __init__(self, stream: Stream, house: House, end: Callable[[], object]) -> None:
        self._stream = stream
        self._house = house
        self._end = end
        self._crowds: dict[Crowd, Gathering] = {}
        self._by_person = False
        # Woken from the start: what came just before the ear was there is looked for.
        self._ear = Ear()
        self._ear.wake()
        house.bus.add(stream.topic, self._ear)
        self._task = asyncio.create_task(self._run(), name="line")

    def admit(self, follower: Follower) -> bool:
        """Take in a follower who has heard everything; others are to look again."""
        key = crowd_of(follower.viewer, by_person=self._by_person)
        crowd = self._crowds.get(key)
        if crowd is None:
            crowd = self._crowds[key] = Gathering(self, key, follower.place)
            # A round that is under way knows nothing of it.
            self._ear.wake()
        if follower.place < crowd.place:
            return False
        crowd.add(follower)
        return True

    def forget(self, crowd: Gathering) -> None:
        """A crowd has gone."""
        if self._crowds.get(crowd.key) is crowd:
            del self._crowds[crowd.key]
        if not self._crowds:
            self._house.bus.remove(self._stream.topic, self._ear)
            self._end()
            self._task.cancel()

    async def _run(self) -> None:
        tick_s = self._stream.tick_s(self._house)
        monotonic = self._house.clock.monotonic
        tick_at = monotonic() + (tick_s or 0.0)
        while True:
            await self._ear.wait(POLL_S if tick_s is None else max(0.0, tick_at - monotonic()))
            is_due = tick_s is not None and monotonic() >= tick_at
            if is_due:
                tick_at = max(tick_at + (tick_s or 0.0), monotonic())
            now = _Round(self._stream, self._house)
            for crowd in list(self._crowds.values()):
                try:
                    await self._tell(crowd, now, is_due=is_due)
                except Exception as error:  # noqa: BLE001 - told to the followers, and logged when it is a bug
                    errors = [exception_json(error)]
                    for follower in crowd.everyone():
                        follower.fail(errors)

    async def _tell(self, crowd: Gathering, now: _Round, *, is_due: bool) -> None:
        followers = crowd.everyone()
        if not followers:
            return
        look, asked = await now.look(followers[0], crowd.place)
        if not is_common(asked, crowd.key):
            self._part()
            return
        crowd.place = max(crowd.place, look.place)
        for event in look.events:
            await self._answer(crowd, event, now)
        if not look.is_all:
            self._ear.wake()
        if is_due and not look.events and (tick := await now.tick()) is not None:
            await self._answer(crowd, tick, now)

    def _part(self) -> None:
        """What is heard here hangs on the person: each becomes a crowd."""
        self._by_person = True
        for crowd in list(self._crowds.values()):
            for follower in crowd.everyone():
                key = crowd_of(follower.viewer, by_person=True)
                if key != crowd.key:
                    apart = self._crowds.setdefault(key, Gathering(self, key, crowd.place))
                    crowd.remove(follower)
                    apart.add(follower)
        self._ear.wake()

    async def _answer(self, crowd: Gathering, event: Event, now: _Round) -> None:
        apart: list[list[Follower]] = []
        for followers in [list(alike) for alike in crowd.followers.values()]:
            body, asked = await now.answer(event, followers[0])
            if is_common(asked, crowd.key):
                await self._push(crowd, event, body, followers)
            else:
                apart.append(followers)
        # Whose answers are their own are last, so that they hold up none of the others.
        for followers in apart:
            for follower in followers:
                if follower.crowd is crowd:
                    body, _ = await now.answer(event, follower)
                    await self._push(crowd, event, body, [follower])

    async def _push(self, crowd: Gathering, event: Event, body: _Body, followers: list[Follower]) -> None:
        for start in range(0, len(followers), _TOLD_IN_A_ROW):
            told = 0
            for follower in followers[start : start + _TOLD_IN_A_ROW]:
                # Others have gone, or fallen behind, or been blocked since.
                if follower.crowd is crowd:
                    told += follower.tell(event, body)
            self._house.told["messages"] += told
            await asyncio.sleep(0)
