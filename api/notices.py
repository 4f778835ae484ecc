"""Where people say how they want to be notified: Web Push subscriptions and an e-mail address.

The GraphQL contract has no words for these: a push subscription is what `PushManager.subscribe()` makes, and it
is sent here as it is.
"""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.graphql.door import bearer_token
from api.pages import page
from services import accounts, addresses, tokens
from services.errors import InvalidInput, SpacesError
from services.house import House
from services.links import LinkKind
from services.viewers import Viewer

_MOST_BYTES = 8 * 1024
_NO_STORE = {"Cache-Control": "no-store"}
_PUSH_METHODS = ["GET", "POST", "DELETE"]


class TooLarge(InvalidInput):
    """The body is larger than 8 kB."""

    status = 413


class NoticeRoutes:
    """`/notifications/push` and `/notifications/email`."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._site = house.links.url("/")

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/notifications/push", self.push, methods=_PUSH_METHODS),
            Route("/notifications/email", self.email, methods=["GET", "PUT", "DELETE"]),
            Route("/notifications/email/confirm/{token}", self.confirm, methods=["GET", "POST"]),
            Route("/notifications/email/stop/{token}", self.stop, methods=["GET", "POST"]),
        ]

    async def push(self, request: Request) -> Response:
        """GET: the key to subscribe with. POST: a subscription. DELETE: its endpoint, which is then forgotten."""
        if request.method in {"GET", "HEAD"}:
            return JSONResponse({"publicKey": addresses.push_key(self._house)})
        viewer = await self._viewer(request)
        viewer.signed_in()
        body = await _json(request)
        endpoint = _text(body, "endpoint")
        if request.method == "DELETE":
            await addresses.remove_push(self._house, viewer, endpoint=endpoint)
            return Response(status_code=204)
        keys = body.get("keys")
        if not isinstance(keys, dict):
            raise InvalidInput("keys must be an object with p256dh and auth.", path=["keys"])
        await addresses.add_push(
            self._house, viewer, endpoint=endpoint, p256dh=_text(keys, "p256dh"), auth=_text(keys, "auth")
        )
        return Response(status_code=201)

    async def email(self, request: Request) -> Response:
        """GET: the address, and whether it is confirmed. PUT: another one. DELETE: none."""
        viewer = await self._viewer(request)
        viewer.signed_in()
        if request.method == "DELETE":
            await addresses.remove_mail(self._house, viewer)
            return Response(status_code=204)
        if request.method == "PUT":
            body = await _json(request)
            found = await addresses.set_mail(self._house, viewer, address=_text(body, "address"))
        else:
            kept = await addresses.mail_of(self._house, viewer)
            if kept is None:
                return JSONResponse({"address": None, "confirmed": False}, headers=_NO_STORE)
            found = kept
        status = 200 if found.confirmed_at is not None or request.method != "PUT" else 202
        answer = {"address": found.address, "confirmed": found.confirmed_at is not None}
        return JSONResponse(answer, status, headers=_NO_STORE)

    async def confirm(self, request: Request) -> Response:
        """A page with a button, so that a program that follows links confirms nothing; its POST confirms."""
        token = request.path_params["token"]
        return await self._answer(
            request,
            LinkKind.MAIL_CONFIRM,
            lambda: addresses.confirm_mail(self._house, token),
            ask="Send notifications to this address",
            done="From now on notifications come by e-mail.",
        )

    async def stop(self, request: Request) -> Response:
        """The same for the end of them; mail programs POST by themselves (RFC 8058)."""
        token = request.path_params["token"]
        return await self._answer(
            request,
            LinkKind.MAIL_STOP,
            lambda: addresses.stop_mail(self._house, token),
            ask="Send no more notifications to this address",
            done="There will be no more e-mail.",
        )

    async def _answer(self, request: Request, kind: LinkKind, act: Any, *, ask: str, done: str) -> Response:
        try:
            if request.method == "POST":
                await act()
            else:
                await addresses.behind_link(self._house, request.path_params["token"], kind)
        except SpacesError as error:
            return page(self._site, "notice.html", error.status, said=error.message, ask=None)
        if request.method == "POST":
            return page(self._site, "notice.html", 200, said=done, ask=None)
        return page(self._site, "notice.html", 200, said=None, ask=ask)

    async def _viewer(self, request: Request) -> Viewer:
        token = bearer_token(request.headers.get("authorization"))
        address = request.client.host if request.client else ""
        viewer = await accounts.authenticate(self._house, token, address=address)
        tokens.check_read(viewer)
        if request.method not in {"GET", "HEAD"}:
            # A program's token gives nobody's news away: this needs a sign-in by password.
            tokens.check_mutation(viewer, "setNotificationAddress")
        return viewer


async def _json(request: Request) -> dict[str, Any]:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MOST_BYTES:
            raise TooLarge
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput("Send a JSON object.") from error
    if not isinstance(body, dict):
        raise InvalidInput("Send a JSON object.")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a string.", path=[name])
    return value
