"""Live routes: playlists that grow or slide, with their parts, behind signed links."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.blocking import LONGEST_WAIT_S, Look, Place, Stamp, Waits, read_directives
from api.indexes import Indexes
from api.media import AUDIO, MediaRoutes, playlist_response, whole
from media.engine import LiveWindow
from media.low_latency import Edge, read_edge, read_part
from media.plain import stat_of
from media.playlist import PLAYLIST, PROGRAMME, Index, edge_of, render, render_live_window
from services import playback
from services.errors import InvalidInput, NotFound
from services.house import House
from services.playback import InMemory, Stored

_EDGES = 64


@dataclass(frozen=True, slots=True)
class _Live:
    """A live Space's newest parts, what says that there are more, and its playlist (`skip`: the changes alone)."""

    edge: Edge
    stamp: Stamp
    render: Callable[[bool], str]


class LiveRoutes:
    """Serves a Space that goes on: from the file of its recording, or from memory."""

    def __init__(self, house: House, indexes: Indexes, recorded: MediaRoutes) -> None:
        self._house = house
        self._indexes = indexes
        self._recorded = recorded
        self._edges: OrderedDict[Path, tuple[Stamp, Edge]] = OrderedDict()
        self._waits = Waits(house.bus, most=house.rules.live_waits)

    def routes(self) -> list[Route]:
        """All of them; the paths are only ever taken from the API's answers and from playlists."""
        return [
            Route("/media/live/{token}/index.m3u8", self.playlist),
            Route("/media/live/{token}/" + PROGRAMME, self.recorded_bytes),
            Route("/media/live/{token}/init-{generation}.mp4", self.init),
            Route("/media/live/{token}/live-{sequence}.m4s", self.fragment),
            Route("/media/live/{token}/part-{sequence}-{number}.m4s", self.part),
        ]

    async def playlist(self, request: Request) -> Response:
        """The growing playlist of a recorded Space, or the window of one that is not; once it has what is asked."""
        wanted = read_directives(request.query_params)
        until_s = _now_s() + LONGEST_WAIT_S
        while True:
            media = await playback.open_live(self._house, request.path_params["token"])
            playback.note_listener(self._house, request.path_params["token"])
            if isinstance(media, Stored) and not media.growing:
                # Who has read it as an EVENT sees it end as one (RFC 8216, section 6.2.1).
                return await self._recorded.playlist(request, media, kind="EVENT")
            live = await self._look_at(media)
            if wanted.fragment is None or live.edge.has(wanted.fragment, wanted.part):
                break
            if live.edge.is_too_far(wanted.fragment, wanted.part):
                raise InvalidInput("This is too far ahead.", path=["_HLS_msn"])
            if not await self._wait(media, live.stamp, until_s=until_s):
                break
        return playlist_response(request, live.render(wanted.skip))

    async def part(self, request: Request) -> Response:
        """A part of a live fragment; the one that comes next is waited for."""
        wanted = _number(request, "sequence"), _number(request, "number")
        until_s = _now_s() + LONGEST_WAIT_S
        while True:
            media = await playback.open_live(self._house, request.path_params["token"])
            if isinstance(media, Stored) and not media.growing:
                raise playback.LinkGone("The Space has ended: play its recording.")
            live = await self._look_at(media)
            if wanted != live.edge.hint:
                return whole(request, await self._bytes(media, *wanted), media_type=AUDIO)
            if not await self._wait(media, live.stamp, until_s=until_s):
                raise NotFound("There is no such part.")

    async def recorded_bytes(self, request: Request) -> Response:
        """Bytes of a live Space that is recorded."""
        media = await playback.open_live(self._house, request.path_params["token"])
        if isinstance(media, InMemory):
            # Recorded once, and deleted since; or never.
            raise playback.LinkGone if media.was_recorded else NotFound
        return await self._recorded.bytes_of(request, media)

    async def init(self, request: Request) -> Response:
        """The init segment of the window."""
        media, generation = await self._window(request), _number(request, "generation")
        data = await playback.live_bytes(self._house, media, generation=generation)
        return whole(request, data, media_type=AUDIO)

    async def fragment(self, request: Request) -> Response:
        """A fragment of the window."""
        media, sequence = await self._window(request), _number(request, "sequence")
        data = await playback.live_bytes(self._house, media, sequence=sequence)
        return whole(request, data, media_type=AUDIO)

    async def _window(self, request: Request) -> InMemory:
        media = await playback.open_live(self._house, request.path_params["token"])
        if isinstance(media, Stored):
            raise NotFound
        return media

    async def _bytes(self, media: Stored | InMemory, sequence: int, number: int) -> bytes:
        if isinstance(media, InMemory):
            return await playback.live_bytes(self._house, media, sequence=sequence, part=number)
        index = await self._indexes.of(media)
        data = await asyncio.to_thread(
            read_part,
            media.directory / PROGRAMME,
            init_bytes=index.init_bytes,
            fragments=index.fragments,
            fragment=sequence,
            number=number,
        )
        if data is None:
            raise NotFound("There is no such part.")
        return data

    async def _look_at(self, media: Stored | InMemory) -> _Live:
        """What of a live Space there is now."""
        if isinstance(media, InMemory):
            window = await playback.live_window(self._house, media)
            # The recording that it may follow under this URL has had no break.
            since = media.first_number - 1
            return _Live(
                edge_of(window), _window_stamp(window), lambda _skip: render_live_window(window, since=since)
            )
        # Before anything is read: what comes meanwhile is then seen as more.
        stamp = await asyncio.to_thread(_stamp, media.directory)
        index = await self._indexes.of(media)
        edge = await self._edge(media.directory, index, stamp=stamp)
        return _Live(edge, stamp, lambda skip: render(index, ended=False, kind="EVENT", edge=edge, skip=skip))

    async def _edge(self, directory: Path, index: Index, *, stamp: Stamp) -> Edge:
        """The newest parts, read again only when there are more: all who wait are answered from one reading."""
        key = (*stamp, len(index.fragments))
        cached = self._edges.get(directory)
        if cached is None or cached[0] != key:
            edge = await asyncio.to_thread(
                read_edge,
                directory / PROGRAMME,
                init_bytes=index.init_bytes,
                fragments=index.fragments,
            )
            cached = self._edges[directory] = (key, edge)
            if len(self._edges) > _EDGES:
                self._edges.popitem(last=False)
        self._edges.move_to_end(directory)
        return cached[1]

    async def _wait(self, media: Stored | InMemory, seen: Stamp, *, until_s: float) -> bool:
        look: Look
        if isinstance(media, InMemory):
            place: Place = (UUID(media.space_id), "memory")
            look = partial(self._look_at_window, media)
        else:
            place, look = (media.space_id, "file"), partial(asyncio.to_thread, _stamp, media.directory)
        return await self._waits.until_changed(place, seen, look, timeout_s=until_s - _now_s())

    async def _look_at_window(self, media: InMemory) -> Stamp:
        return _window_stamp(await playback.live_window(self._house, media))


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _stamp(directory: Path) -> Stamp:
    """The sizes of what a live recording's playlist is made from. Blocks on the disk."""
    try:
        return stat_of(directory / PLAYLIST).st_size, stat_of(directory / PROGRAMME).st_size
    except FileNotFoundError:
        return (0, 0)


def _window_stamp(window: LiveWindow) -> Stamp:
    edge = edge_of(window)
    return window.generation, edge.next_fragment, edge.next_part


def _number(request: Request, name: str) -> int:
    value = request.path_params[name]
    if not value.isascii() or not value.isdigit() or len(value) > 12:
        raise NotFound
    return int(value)
