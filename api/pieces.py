"""Pieces of recordings: clips, and recordings as one file for players that take no playlist."""

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api.indexes import Indexes
from api.media import AUDIO, PRIVATE, InvalidRange, begun, playlist_response, stream
from api.ranges import Span, Unsatisfiable, read_range
from media.playlist import PROGRAMME, Index, first_fragment_at, render
from media.splice import Splice
from media.threads import pieces
from services import playback
from services.errors import NotFound
from services.house import House
from services.links import LinkKind
from services.playback import Stored

_SLICES = {"Accept-Ranges": "bytes", **PRIVATE}


def _fragments(index: Index, media: Stored) -> tuple[int, int]:
    """The first fragment of a stretch, and the one behind its last. Raises NotFound for an empty one."""
    first = first_fragment_at(index, media.start_ms)
    last = len(index.fragments)
    if media.end_ms is not None:
        last = min(last, first_fragment_at(index, media.end_ms - 1) + 1)
    if first >= last:
        raise NotFound("There is no audio here.")
    return first, last


class PieceRoutes:
    """Serves stretches of recordings; what a link opens, `services.playback` says."""

    def __init__(self, house: House, indexes: Indexes) -> None:
        self._house = house
        self._indexes = indexes

    def routes(self) -> list[Route]:
        """All of them; the paths are only ever taken from the API's answers, pages and feeds."""
        return [
            Route("/media/recordings/{token}/recording.m4a", self.recording),
            Route("/media/feeds/{token}/recording.m4a", self.feed),
            Route("/media/clips/{token}/index.m3u8", self.clip_playlist),
            Route("/media/clips/{token}/" + PROGRAMME, self.clip_bytes),
            Route("/media/clips/{token}/clip.m4a", self.clip),
        ]

    async def recording(self, request: Request) -> Response:
        """A recording in one file, from where the host lets it start."""
        token = request.path_params["token"]
        return await self._played(
            request, await playback.open_recording(self._house, token, LinkKind.PLAYBACK)
        )

    async def feed(self, request: Request) -> Response:
        """The same for a podcast app, by the link of a feed."""
        address = request.client.host if request.client else ""
        client = f"{address} {request.headers.get('user-agent', '')}"
        media = await playback.open_feed(self._house, request.path_params["token"], client=client)
        return await self._played(request, media)

    async def _played(self, request: Request, media: Stored) -> Response:
        response = await self._one_file(request, media)
        if request.method == "GET":
            await playback.count_play(self._house, media)
        return response

    async def clip(self, request: Request) -> Response:
        """A clip in one file."""
        media = await playback.open_clip(self._house, request.path_params["token"])
        return await self._one_file(request, media)

    async def clip_playlist(self, request: Request) -> Response:
        """A clip's own playlist over the recording's bytes."""
        media = await playback.open_clip(self._house, request.path_params["token"])
        index = await self._indexes.of(media)
        first, last = _fragments(index, media)
        shown = replace(index, fragments=index.fragments[:last])
        return playlist_response(request, render(shown, first_fragment=first, ended=True))

    async def clip_bytes(self, request: Request) -> Response:
        """Bytes of the recording that a clip's playlist names, and no others."""
        media = await playback.open_clip(self._house, request.path_params["token"])
        index = await self._indexes.of(media)
        first, last = _fragments(index, media)
        end = index.fragments[last - 1].offset + index.fragments[last - 1].length
        spans = [Span(0, index.init_bytes), Span(index.fragments[first].offset, end)]
        span = _asked(request, end, spans)
        if span is None:
            return await stream(request, media.files.file(PROGRAMME), spans, 200, dict(_SLICES))
        headers = {**_SLICES, "Content-Range": f"bytes {span.start}-{span.end - 1}/{end}"}
        return await stream(request, media.files.file(PROGRAMME), [span], 206, headers)

    async def _one_file(self, request: Request, media: Stored) -> Response:
        index = await self._indexes.of(media)
        first, last = _fragments(index, media)
        splice = Splice(index, first=first, last=last)
        size = splice.size_bytes
        span = _asked(request, size, [Span(0, size)])
        headers = dict(_SLICES)
        if span is not None:
            headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{size}"
        status, span = (200, Span(0, size)) if span is None else (206, span)
        headers["Content-Length"] = str(span.end - span.start)
        if request.method == "HEAD":
            return Response(status_code=status, media_type=AUDIO, headers=headers)
        data = await begun(pieces(splice.read(media.files.file(PROGRAMME), span.start, span.end)))
        return StreamingResponse(data, status, headers, AUDIO)


def _asked(request: Request, size: int, spans: list[Span]) -> Span | None:
    try:
        return read_range(request.headers.get("range"), size, spans)
    except Unsatisfiable:
        raise InvalidRange(size) from None
