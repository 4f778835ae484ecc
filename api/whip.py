"""WHIP (RFC 9725): where hosts, co-hosts and speakers publish audio."""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.graphql.door import bearer_token
from services import ingest
from services.errors import InvalidInput, NotFound
from services.house import House

_SDP = "application/sdp"
_MOST_SDP_BYTES = 64 * 1024


class SdpTooLarge(InvalidInput):
    """The SDP offer is larger than 64 kB. Send one with a single audio track."""

    status = 413


class NotSdp(InvalidInput):
    """Send the SDP offer with Content-Type: application/sdp."""

    status = 415


class WhipRoutes:
    """POST an offer, DELETE the session."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The endpoint and its sessions."""
        return [
            Route("/media/whip/{space}", self.endpoint, methods=["POST", "OPTIONS"]),
            Route("/media/whip/{space}/{session}", self.session, methods=["DELETE", "OPTIONS"]),
        ]

    async def endpoint(self, request: Request) -> Response:
        """Answer an offer: 201 with the session's Location."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Accept-Post": _SDP, "Allow": "OPTIONS, POST"})
        space_id = _space(request)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _SDP:
            raise NotSdp
        offer = await _body(request)
        token = bearer_token(request.headers.get("authorization"))
        answer = await ingest.publish(self._house, token, space_id, offer)
        return Response(
            answer.sdp,
            201,
            headers={
                "Location": self._house.links.url(f"/media/whip/{space_id}/{answer.session_id}"),
                "ETag": f'"{answer.session_id}"',
            },
            media_type=_SDP,
        )

    async def session(self, request: Request) -> Response:
        """End a session."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": "DELETE, OPTIONS"})
        token = bearer_token(request.headers.get("authorization"))
        await ingest.unpublish(self._house, token, _space(request), request.path_params["session"])
        return Response(status_code=200)


def _space(request: Request) -> UUID:
    try:
        return UUID(request.path_params["space"])
    except ValueError:
        raise NotFound from None


async def _body(request: Request) -> str:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MOST_SDP_BYTES:
            raise SdpTooLarge
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("The SDP offer is not UTF-8 text.") from error
