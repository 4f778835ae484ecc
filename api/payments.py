"""Where the payment provider tells what was paid."""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services import tickets
from services.changes import again
from services.errors import Forbidden, InvalidInput, NotFound
from services.house import House
from services.payments import BadNotice

_MOST_BYTES = 512 * 1024


class PaymentRoutes:
    """`/payments/stripe`: signed messages, each taken in before it is answered, so that none is lost."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The one of the provider's webhook."""
        return [Route("/payments/stripe", self.notice, methods=["POST"])]

    async def notice(self, request: Request) -> Response:
        """A message of the provider; 403 when it did not sign it, 404 where no provider is set up."""
        provider = self._house.payments
        if provider is None:
            raise NotFound("No payment provider is set up on this server.")
        body = await _read(request)
        try:
            standing = provider.read_notice(body, request.headers.get("stripe-signature", ""))
        except BadNotice as error:
            raise Forbidden("This message is not signed by the payment provider.") from error
        if standing is not None:
            await again(lambda: tickets.settle(self._house, standing))
        return JSONResponse({"received": True})


async def _read(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise InvalidInput(f"A message has at most {_MOST_BYTES} bytes.")
    except ClientDisconnect:
        raise InvalidInput("The message broke off.") from None
    return bytes(body)
