"""Requests for a live playlist, or a part, that is not there yet: they wait for it (RFC 8216bis, section 6.2.5.2).

However many wait for one Space, one task looks whether there is more; it also hears of every event of the
Space, so that who waits for something that will never come is told at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from starlette.datastructures import QueryParams

from services.bus import Bus, space_topic
from services.errors import InvalidInput, SpacesError, Unavailable

# A part comes every 320 ms; a look is two calls of stat, or one of the media process.
LOOK_EVERY_S = 0.06
# While nobody speaks into a Space nothing comes. Then the answer is the playlist as it is, which a player
# reads as it reads any that has not changed; an error would stop it.
LONGEST_WAIT_S = 5.0
_MOST_DIGITS = 12

log = logging.getLogger(__name__)

Stamp = tuple[int, ...]
"""Differs whenever there is more."""
Place = tuple[UUID, str]
"""A Space, and where its sound is looked for."""
Look = Callable[[], Awaitable[Stamp]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """What a player wants the playlist to have, and whether the changes alone are enough for it."""

    fragment: int | None
    part: int | None
    skip: bool


def read_directives(query: QueryParams) -> Directives:
    """The delivery directives of a request. Raises InvalidInput for those that mean nothing."""
    fragment, part, skip = (query.getlist(name) for name in ("_HLS_msn", "_HLS_part", "_HLS_skip"))
    if part and not fragment:
        raise InvalidInput("_HLS_part needs _HLS_msn.", path=["_HLS_part"])
    if skip and skip not in (["YES"], ["v2"]):
        raise InvalidInput("Expected YES or v2.", path=["_HLS_skip"])
    return Directives(
        fragment=_number(fragment, "_HLS_msn"), part=_number(part, "_HLS_part"), skip=bool(skip)
    )


def _number(given: list[str], name: str) -> int | None:
    if not given:
        return None
    text = given[0]
    if len(given) > 1 or not (text.isascii() and text.isdigit()) or len(text) > _MOST_DIGITS:
        raise InvalidInput("Expected one number.", path=[name])
    return int(text)


class Waits:
    """Everybody who waits, by what they wait for. Bounded."""

    def __init__(self, bus: Bus, *, most: int) -> None:
        self._bus = bus
        self._most = most
        self._watches: dict[Place, dict[asyncio.Future[None], Stamp]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.waiting = 0

    async def until_changed(self, place: Place, seen: Stamp, look: Look, *, timeout_s: float) -> bool:
        """Return once a look shows something else than `seen`, or something happened in the Space.

        False after the time is up. Raises Unavailable when too many wait already.
        """
        if self.waiting >= self._most:
            raise Unavailable("Too many wait for live playlists here.", retry_after_ms=1000)
        waiting = self._watches.get(place)
        if waiting is None:
            waiting = self._watches[place] = {}
            task = asyncio.create_task(self._keep_looking(place, waiting, look), name="live edge")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        changed = asyncio.get_running_loop().create_future()
        waiting[changed] = seen
        self.waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                await changed
        except TimeoutError:
            return False
        finally:
            self.waiting -= 1
            waiting.pop(changed, None)
        return True

    async def _keep_looking(
        self, place: Place, waiting: dict[asyncio.Future[None], Stamp], look: Look
    ) -> None:
        """Until nobody waits. An error wakes them all: each looks by itself then, and meets it."""
        try:
            with self._bus.listen(space_topic(place[0])) as ear:
                happened = False
                while waiting:
                    now = await look()
                    _wake([one for one, seen in waiting.items() if happened or seen != now])
                    happened = await ear.wait(LOOK_EVERY_S)
        except SpacesError as error:
            log.debug("nobody can look for live parts now: %s", error)
        finally:
            del self._watches[place]
            _wake(list(waiting))


def _wake(waiting: list[asyncio.Future[None]]) -> None:
    for changed in waiting:
        if not changed.done():
            changed.set_result(None)
