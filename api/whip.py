"""WHIP (RFC 9725) and WHEP: where hosts, co-hosts and speakers publish audio, and where they hear each other.

Both speak the same HTTP: POST an offer, PATCH candidates after it, DELETE the session. The entity tag of a
session names its ICE credentials, as RFC 9725 section 4.3.1 has it. ICE is not restarted here: a client whose
network changed POSTs a new offer, which takes over once it is connected.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.graphql.door import bearer_token
from api.ice import IceLink
from media.engine import PublishAnswer
from media.trickle import MAX_FRAGMENT_BYTES, FragmentRefused, ice_ufrag, parse_fragment
from services import ingest
from services.errors import InvalidInput, NotFound
from services.house import House

_SDP = "application/sdp"
_FRAGMENT = "application/trickle-ice-sdpfrag"
# Ids of sessions that a client has lost, parted by commas.
_RESUMES = "spaces-resumes"
_MOST_SDP_BYTES = 64 * 1024
_ENDPOINT = "OPTIONS, POST"
_SESSION = "DELETE, OPTIONS, PATCH"


class SdpTooLarge(InvalidInput):
    """The SDP is larger than 64 kB (a fragment: 16 kB). Send one with a single audio track."""

    status = 413


class NotSdp(InvalidInput):
    """Send the SDP offer with Content-Type: application/sdp."""

    status = 415


class NotAFragment(InvalidInput):
    """Send the candidates with Content-Type: application/trickle-ice-sdpfrag."""

    status = 415


class IfMatchNeeded(InvalidInput):
    """Send the session's ETag as If-Match, so that it is clear which ICE session is meant."""

    status = 428


class IfMatchWrong(InvalidInput):
    """If-Match is not the session's ETag. Take the one that the POST answered."""

    status = 412


class NoRestart(InvalidInput):
    """ICE is not restarted here. POST a new offer; it takes over from this session once it is connected."""

    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class _Protocol:
    """WHIP or WHEP: its part of the path, and what opens and ends a session."""

    name: str
    open: Callable[[House, str | None, UUID, str, Sequence[str]], Awaitable[PublishAnswer]]
    end: Callable[[House, str | None, UUID, str], Awaitable[None]]


_WHIP = _Protocol(name="whip", open=ingest.publish, end=ingest.unpublish)
_WHEP = _Protocol(name="whep", open=ingest.listen, end=ingest.unlisten)


class WhipRoutes:
    """The endpoints of both protocols and their sessions."""

    def __init__(self, house: House, *, ice_links: Sequence[IceLink] = ()) -> None:
        self._house = house
        self._ice_links = [link.header for link in ice_links]

    def routes(self) -> list[Route]:
        """All of them."""
        return [*self._routes(_WHIP), *self._routes(_WHEP)]

    def _routes(self, protocol: _Protocol) -> list[Route]:
        async def post(request: Request) -> Response:
            return await self._post(request, protocol)

        async def delete(request: Request) -> Response:
            return await self._delete(request, protocol)

        endpoint = f"/media/{protocol.name}/{{space}}"
        session = endpoint + "/{session}"
        return [
            Route(endpoint, _by_method(POST=post, OPTIONS=_endpoint_options), methods=["POST", "OPTIONS"]),
            Route(
                session,
                _by_method(DELETE=delete, PATCH=self._patch, OPTIONS=_session_options),
                methods=["DELETE", "OPTIONS", "PATCH"],
            ),
        ]

    async def _post(self, request: Request, protocol: _Protocol) -> Response:
        """Answer an offer: 201 with the session's Location and ETag."""
        space_id = _space(request)
        if _media_type(request) != _SDP:
            raise NotSdp
        offer = await _body(request, most_bytes=_MOST_SDP_BYTES)
        answer = await protocol.open(self._house, _token(request), space_id, offer, _resumed(request))
        path = f"/media/{protocol.name}/{space_id}/{answer.session_id}"
        headers = {
            "Location": self._house.links.url(path),
            "ETag": _tag(answer.session_id, ice_ufrag(offer)),
            "Accept-Patch": _FRAGMENT,
            "Cache-Control": "no-store",
        }
        response = Response(answer.sdp, 201, headers=headers, media_type=_SDP)
        for link in self._ice_links:
            response.headers.append("Link", link)
        return response

    async def _patch(self, request: Request) -> Response:
        """Take candidates in: 204."""
        if _media_type(request) != _FRAGMENT:
            raise NotAFragment
        session_id = request.path_params["session"]
        text = await _body(request, most_bytes=MAX_FRAGMENT_BYTES)
        await ingest.expect_session(self._house, _token(request), _space(request), session_id)
        wanted = request.headers.get("if-match")
        if wanted is None:
            raise IfMatchNeeded
        try:
            fragment = parse_fragment(text)
        except FragmentRefused as error:
            raise InvalidInput(f"The SDP fragment cannot be read: {error}.") from error
        if wanted.strip() == "*":
            raise NoRestart
        if wanted.strip().rpartition(".")[0] != _tag(session_id, None).rpartition(".")[0]:
            raise IfMatchWrong
        if fragment.ufrag is not None and wanted.strip() != _tag(session_id, fragment.ufrag):
            raise NoRestart
        return Response(status_code=204)

    async def _delete(self, request: Request, protocol: _Protocol) -> Response:
        """End a session."""
        await protocol.end(self._house, _token(request), _space(request), request.path_params["session"])
        return Response(status_code=200)


async def _endpoint_options(_request: Request) -> Response:
    headers = {"Accept-Post": _SDP, "Allow": _ENDPOINT}
    return Response(status_code=204, headers=headers)


async def _session_options(_request: Request) -> Response:
    return Response(status_code=204, headers={"Allow": _SESSION, "Accept-Patch": _FRAGMENT})


def _by_method(
    **handlers: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        return await handlers[request.method](request)

    return handle


def _tag(session_id: str, ufrag: str | None) -> str:
    """The session's entity tag: which session, and which ICE credentials of it."""
    return f'"{session_id}.{sha256((ufrag or "").encode()).hexdigest()[:16]}"'


def _resumed(request: Request) -> list[str]:
    """The sessions that an offer goes on with."""
    named = request.headers.get(_RESUMES, "").split(",")
    return [one.strip() for one in named if one.strip()]


def _token(request: Request) -> str | None:
    return bearer_token(request.headers.get("authorization"))


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _space(request: Request) -> UUID:
    try:
        return UUID(request.path_params["space"])
    except ValueError:
        raise NotFound from None


async def _body(request: Request, *, most_bytes: int) -> str:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most_bytes:
            raise SdpTooLarge
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("The SDP is not UTF-8 text.") from error
