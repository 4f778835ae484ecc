"""Media routes: playlists and bytes behind signed links, checked on every request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Protocol

import aiofiles
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from api.indexes import AudioMissing, Indexes
from api.ranges import (
    Span,
    Unsatisfiable,
    entity_tag,
    is_known,
    read_range,
    visible_spans,
    wanted_range,
)
from media.archive import zip_chunks
from media.plain import StoreAway, open_plain, opener
from media.playlist import PROGRAMME, first_fragment_at, render
from media.shelf import Held
from media.threads import in_store_thread, pieces
from services import archives, playback
from services.errors import InvalidInput, NotFound
from services.house import House
from services.links import LinkKind
from services.playback import Stored

HLS = "application/vnd.apple.mpegurl"
AUDIO = "audio/mp4"
_ZIP = "application/zip"
_CHUNK_BYTES = 256 * 1024
_closing: set[asyncio.Task[None]] = set()
# Nothing of it may outlive a deletion, in shared caches or private ones.
PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


class MediaRoutes:
    """Serves what `services.playback` says a link opens."""

    def __init__(self, house: House, indexes: Indexes | None = None, *, handed_below: str = "") -> None:
        self._house = house
        self._indexes = indexes or Indexes()
        self._handed_below = handed_below

    def routes(self) -> list[Route]:
        """All of them; the paths are only ever taken from the API's answers."""
        return [
            Route("/media/recordings/{token}/index.m3u8", self.recorded_playlist),
            Route("/media/recordings/{token}/" + PROGRAMME, self.recorded_bytes),
            Route("/media/downloads/{token}/" + PROGRAMME, self.download),
            Route("/media/archives/{token}/recording.zip", self.archive),
            Route("/media/review/{token}/index.m3u8", self.review_playlist),
            Route("/media/review/{token}/" + PROGRAMME, self.review_bytes),
        ]

    async def recorded_playlist(self, request: Request) -> Response:
        """The playlist of a recording, from where the host lets it start."""
        media = await playback.open_recording(self._house, request.path_params["token"], LinkKind.PLAYBACK)
        return await self.playlist(request, media)

    async def recorded_bytes(self, request: Request) -> Response:
        """Bytes of a recording; the first of a listening count as a play."""
        media = await playback.open_recording(self._house, request.path_params["token"], LinkKind.PLAYBACK)
        response = await self._linked(request, media) or await self.bytes_of(request, media)
        if request.method == "GET" and response.status_code in {200, 206, 307}:
            await playback.count_play(self._house, media)
        return response

    async def download(self, request: Request) -> Response:
        """The whole programme in one piece, for the host."""
        media = await playback.open_recording(self._house, request.path_params["token"], LinkKind.DOWNLOAD)
        response = await self.bytes_of(request, media)
        response.headers["Content-Disposition"] = f'attachment; filename="{media.recording_id}.mp4"'
        return response

    async def archive(self, request: Request) -> Response:
        """Programme, tracks and timeline in one zip, for the host; made while it is sent."""
        found = await archives.open_archive(self._house, request.path_params["token"])
        headers = {**PRIVATE, "Content-Disposition": f'attachment; filename="{found.recording_id}.zip"'}
        if request.method == "HEAD":
            return Response(media_type=_ZIP, headers=headers)
        return StreamingResponse(pieces(zip_chunks(found.entries, at=found.made_at)), 200, headers, _ZIP)

    async def review_playlist(self, request: Request) -> Response:
        """The playlist of a review copy, for the moderator who opened it."""
        media = await playback.open_review(self._house, request.path_params["token"])
        return await self.playlist(request, media)

    async def review_bytes(self, request: Request) -> Response:
        """Bytes of a review copy."""
        media = await playback.open_review(self._house, request.path_params["token"])
        return await self.bytes_of(request, media)

    async def playlist(self, request: Request, media: Stored, *, kind: str | None = None) -> Response:
        """The playlist of what a link has opened."""
        index = await self._indexes.of(media)
        first = first_fragment_at(index, media.start_ms)
        playlist = render(index, first_fragment=first, ended=not media.growing, kind=kind)
        return playlist_response(request, playlist)

    async def _handed(self, media: Stored, span: Span) -> Response | None:
        """To the proxy in front, which reads ranges of the file itself, where all of it may be had."""
        if not self._handed_below or media.growing or span.start:
            return None
        programme = media.files.file(PROGRAMME)
        if await asyncio.to_thread(programme.spooled_bytes) != span.end:
            return None
        place = f"{self._handed_below}/{media.recording_id}/{PROGRAMME}"
        return Response(headers={**PRIVATE, "X-Accel-Redirect": place}, media_type=AUDIO)

    async def _linked(self, request: Request, media: Stored) -> Response | None:
        """To the store itself, where that is allowed and nothing is hidden from this listener."""
        if media.is_sealed or media.growing or media.start_ms or request.method != "GET":
            return None
        if not media.files.shelf.links_for:
            return None
        size = (await self._indexes.of(media)).size_bytes
        link = await in_store_thread(media.files.file(PROGRAMME).link, size_bytes=size)
        return RedirectResponse(link, 307, headers=PRIVATE) if link else None

    async def bytes_of(self, request: Request, media: Stored) -> Response:
        """The bytes, or a range of them, of what a link has opened."""
        index = await self._indexes.of(media)
        size = index.size_bytes
        if not size:
            raise NotFound("There is no audio yet.")
        first = first_fragment_at(index, media.start_ms)
        cut = index.fragments[first].offset if first < len(index.fragments) else size
        spans = visible_spans(index.init_bytes, cut, size)
        if len(spans) == 1 and (handed := await self._handed(media, spans[0])) is not None:
            return handed
        # The file only grows; what was written stays, so these say which bytes there are.
        tag = entity_tag(media.recording_id, cut, size)
        if is_known(request.headers, tag):
            return _not_modified(tag)
        try:
            span = read_range(wanted_range(request.headers, tag), size, spans)
        except Unsatisfiable:
            raise InvalidRange(size) from None
        headers = {**PRIVATE, "Accept-Ranges": "bytes", "ETag": tag}
        if span is None:
            return await stream(request, media.files.file(PROGRAMME), spans, 200, headers)
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{size}"
        return await stream(request, media.files.file(PROGRAMME), [span], 206, headers)


class InvalidRange(InvalidInput):
    """The range lies outside the bytes that there are."""

    status = 416

    def __init__(self, size: int) -> None:
        super().__init__()
        self.headers = {"Content-Range": f"bytes */{size}"}


def playlist_response(request: Request, playlist: str) -> Response:
    """A playlist that nobody keeps."""
    return whole(request, playlist.encode(), media_type=HLS)


def whole(request: Request, data: bytes, *, media_type: str) -> Response:
    """All of it, or 304 to who has it."""
    tag = entity_tag(data)
    if is_known(request.headers, tag):
        return _not_modified(tag)
    return Response(data, media_type=media_type, headers={**PRIVATE, "ETag": tag})


def _not_modified(tag: str) -> Response:
    return Response(status_code=304, headers={**PRIVATE, "ETag": tag})


async def stream(
    request: Request, programme: Held, spans: list[Span], status: int, headers: dict[str, str]
) -> Response:
    """Stretches of a programme, one after the other. Raises StoreAway, or AudioMissing."""
    headers["Content-Length"] = str(sum(span.end - span.start for span in spans))
    if request.method == "HEAD":
        return Response(status_code=status, media_type=AUDIO, headers=headers)
    if sum(span.end - span.start for span in spans) <= _CHUNK_BYTES:
        # A fragment, as players ask for them: all of it in one go.
        found = await asyncio.to_thread(_read_spooled, programme, spans)
        if found is not None:
            return Response(found, status, headers, AUDIO)
    data = _read(programme, spans)
    if not await asyncio.to_thread(programme.is_spooled):
        data = await begun(data)
    return StreamingResponse(data, status, headers, AUDIO)


def _read_spooled(programme: Held, spans: list[Span]) -> bytes | None:
    """Some stretches, when the spool has all of them. Blocks on the disk.

    The file is opened anew each time: one that stays open would outlive its purge.
    """
    try:
        with open_plain(programme.path) as file:
            parts = []
            for span in spans:
                file.seek(span.start)
                parts.append(file.read(span.end - span.start))
    except FileNotFoundError:
        return None
    found = b"".join(parts)
    return found if len(found) == sum(span.end - span.start for span in spans) else None


async def begun(data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, the first already fetched: once an answer has begun it can say no more that it fails."""
    try:
        first = await anext(data, b"")
    except FileNotFoundError:
        raise AudioMissing from None

    async def all_of_it() -> AsyncIterator[bytes]:
        yield first
        # Some of it is on its way: all that can still be told is that it ends short.
        with suppress(StoreAway, FileNotFoundError):
            async for chunk in data:
                yield chunk

    return all_of_it()


class _Readable(Protocol):
    async def read(self, size: int, /) -> bytes: ...

    async def seek(self, offset: int, /) -> int: ...

    async def close(self) -> None: ...


async def _read(programme: Held, spans: list[Span]) -> AsyncIterator[bytes]:
    """The bytes of some stretches of a file. One that is purged meanwhile ends short, which clients notice.

    The file is closed before the last of it is sent: who has everything may hang up at once.
    """
    held = b""
    # Both by tasks of their own: when a client hangs up, every await here is cancelled, that of a close too.
    opening = asyncio.create_task(_open(programme))
    try:
        file = await asyncio.shield(opening)
        async for chunk in _chunks(file, spans):
            if held:
                yield held
            held = chunk
    except (StoreAway, FileNotFoundError):
        if not held:
            raise
    finally:
        _kept(asyncio.create_task(_close(opening)))
    yield held


async def _open(programme: Held) -> _Readable:
    try:
        return await aiofiles.open(programme.path, "rb", opener=opener)
    except FileNotFoundError:
        return await programme.fetcher()


async def _close(opening: asyncio.Task[_Readable]) -> None:
    with suppress(OSError):
        await (await opening).close()


def _kept(task: asyncio.Task[None]) -> None:
    _closing.add(task)
    task.add_done_callback(_closing.discard)


async def _chunks(file: _Readable, spans: list[Span]) -> AsyncIterator[bytes]:
    for span in spans:
        await file.seek(span.start)
        left = span.end - span.start
        while left:
            chunk = await file.read(min(left, _CHUNK_BYTES))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
