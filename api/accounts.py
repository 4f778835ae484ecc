"""What of an account goes by plain HTTP: its picture, in and out, and the archive of everything about it."""

from uuid import UUID

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from api.graphql.door import bearer_token
from media.archive import zip_chunks
from media.threads import pieces
from services import accounts, avatars, exports
from services.errors import Forbidden, InvalidInput, NotFound
from services.house import House
from services.viewers import Viewer

_PRIVATE = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
# A picture is public, but must vanish with its account: caches ask each time, and are told 304.
_PUBLIC = {"Cache-Control": "public, no-cache", "X-Content-Type-Options": "nosniff"}


class AccountRoutes:
    """`PUT` and `DELETE /account/avatar` with a bearer token; the other paths come from the API's answers."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/account/avatar", self.put_avatar, methods=["PUT"]),
            Route("/account/avatar", self.delete_avatar, methods=["DELETE"]),
            Route("/avatars/{account}/{name}.jpg", self.avatar),
            Route("/exports/{token}/account.zip", self.export),
        ]

    async def put_avatar(self, request: Request) -> Response:
        """Take the picture in the body: JPEG, PNG, WebP or GIF."""
        viewer = await self._viewer(request)
        account = await avatars.put(self._house, viewer, await _read(request))
        return JSONResponse({"avatarUrl": avatars.url(self._house, account)}, headers=_PRIVATE)

    async def delete_avatar(self, request: Request) -> Response:
        """Take the picture away."""
        await avatars.remove(self._house, await self._viewer(request))
        return Response(status_code=204, headers=_PRIVATE)

    async def avatar(self, request: Request) -> Response:
        """Somebody's picture."""
        try:
            account_id = UUID(request.path_params["account"])
        except ValueError:
            raise NotFound from None
        found = await avatars.find(account_id, request.path_params["name"])
        headers = {**_PUBLIC, "ETag": f'"{found.digest}"'}
        known = {
            tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")
        }
        if known & {headers["ETag"], "*"}:
            return Response(status_code=304, headers=headers)
        return Response(found.picture, media_type="image/jpeg", headers=headers)

    async def export(self, request: Request) -> Response:
        """Everything that is kept about a person, in one zip, made while it is sent."""
        found = await exports.open_export(self._house, request.path_params["token"])
        headers = {**_PRIVATE, "Content-Disposition": 'attachment; filename="account.zip"'}
        if request.method == "HEAD":
            return Response(media_type="application/zip", headers=headers)
        data = pieces(zip_chunks(found.entries, at=found.made_at))
        return StreamingResponse(data, 200, headers, "application/zip")

    async def _viewer(self, request: Request) -> Viewer:
        token = bearer_token(request.headers.get("authorization"))
        address = request.client.host if request.client else ""
        viewer = await accounts.authenticate(self._house, token, address=address)
        viewer.signed_in()
        if viewer.scopes is not None:
            raise Forbidden("Access tokens may not do this. Sign in with handle and password.")
        return viewer


async def _read(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > avatars.MOST_BYTES:
                raise InvalidInput(f"A picture has at most {avatars.MOST_BYTES} bytes.")
    except ClientDisconnect:
        raise InvalidInput("The picture broke off.") from None
    return bytes(body)
