"""Stripe Checkout behind our interface of a payment provider, by Stripe's own library."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import stripe
import structlog

from services.payments import BadNotice, Checkout, CheckoutState, Order, ProviderUnavailable, Standing

log = structlog.get_logger(__name__)

_TIMEOUT_S = 10.0
_RETRIES = 1
# Refunding what was refunded already, by hand for example, is done.
_REFUNDED = "charge_already_refunded"
_FAILED = "checkout.session.async_payment_failed"
_TOLD = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        _FAILED,
        "checkout.session.expired",
    }
)


class StripeCheckout:
    """Sessions of Stripe Checkout, one a payment: its id is idempotency key and client reference."""

    def __init__(self, *, api_key: str, webhook_secret: str, api_base: str) -> None:
        self._secret = webhook_secret
        self._http = stripe.HTTPXClient(timeout=_TIMEOUT_S)
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base},
            max_network_retries=_RETRIES,
            http_client=self._http,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def open_checkout(self, order: Order, /) -> Checkout:
        """A session that can be paid until it closes. Raises ProviderUnavailable."""
        session = await _asked(
            lambda: self._client.v1.checkout.sessions.create_async(
                {
                    "mode": "payment",
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": order.currency.lower(),
                                "unit_amount": order.amount_minor,
                                "product_data": {"name": order.title},
                            },
                        }
                    ],
                    "client_reference_id": str(order.payment_id),
                    "success_url": order.return_url,
                    "cancel_url": order.return_url,
                    "expires_at": _seconds(order.closes_at),
                },
                {"idempotency_key": f"spaces-checkout-{order.payment_id}"},
            )
        )
        if not session.url:
            raise ProviderUnavailable("the checkout has no address")
        return Checkout(id=session.id, url=session.url)

    async def look(self, checkout_id: str, /) -> Standing:
        """How a session stands. Raises ProviderUnavailable."""
        return _standing(await _asked(lambda: self._client.v1.checkout.sessions.retrieve_async(checkout_id)))

    async def close_checkout(self, checkout_id: str, /) -> Standing:
        """Expire a session; one that was paid meanwhile says so. Raises ProviderUnavailable."""
        try:
            return _standing(
                await _asked(lambda: self._client.v1.checkout.sessions.expire_async(checkout_id))
            )
        except ProviderUnavailable as error:
            if isinstance(error.__cause__, stripe.InvalidRequestError):
                return await self.look(checkout_id)
            raise

    async def refund(self, charge_id: str, /, *, payment_id: UUID) -> None:
        """Give a payment intent's money back, once. Raises ProviderUnavailable."""
        try:
            await _asked(
                lambda: self._client.v1.refunds.create_async(
                    {"payment_intent": charge_id}, {"idempotency_key": f"spaces-refund-{payment_id}"}
                )
            )
        except ProviderUnavailable as error:
            if getattr(error.__cause__, "code", None) != _REFUNDED:
                raise

    def read_notice(self, body: bytes, signature: str, /) -> Standing | None:
        """What a signed event says of a session. Raises BadNotice."""
        try:
            event = stripe.Webhook.construct_event(body, signature, self._secret)
        except (stripe.SignatureVerificationError, ValueError) as error:
            raise BadNotice(str(error)) from error
        if event.type not in _TOLD:
            return None
        try:
            found = _standing(event.data.object)
        except ProviderUnavailable:
            return None  # a checkout of somebody else at the same account
        if event.type == _FAILED:
            return Standing(payment_id=found.payment_id, state=CheckoutState.CLOSED)
        return found if found.state is not CheckoutState.OPEN else None


async def _asked(call: Callable[[], Any]) -> Any:
    try:
        return await call()
    except stripe.StripeError as error:
        if isinstance(
            error, stripe.AuthenticationError | stripe.InvalidRequestError | stripe.PermissionError
        ):
            log.error("Stripe refuses what was asked", error=type(error).__name__, code=error.code)
        raise ProviderUnavailable(type(error).__name__) from error


def _standing(session: Any) -> Standing:
    try:
        payment_id = UUID(session.client_reference_id or "")
    except ValueError as error:
        raise ProviderUnavailable("the checkout names no payment of ours") from error
    if session.status == "complete" and session.payment_status in {"paid", "no_payment_required"}:
        return Standing(payment_id=payment_id, state=CheckoutState.PAID, charge_id=session.payment_intent)
    # A payment that takes days (a bank debit) is complete and unpaid meanwhile: it stays open.
    state = CheckoutState.CLOSED if session.status == "expired" else CheckoutState.OPEN
    return Standing(payment_id=payment_id, state=state)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
