"""What a payment provider must be able to do. It is asked outside of transactions, and may be asked twice."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class CheckoutState(StrEnum):
    """What a provider says of a checkout."""

    OPEN = "OPEN"
    PAID = "PAID"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody is to pay for, until when, and where they go afterwards."""

    payment_id: UUID
    title: str
    amount_minor: int
    currency: str
    closes_at: datetime
    return_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """Where the buyer pays; `id` is the provider's."""

    id: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a checkout stands. `charge_id` is the provider's name for the money, once it is PAID."""

    payment_id: UUID
    state: CheckoutState
    charge_id: str | None = None


class ProviderUnavailable(Exception):
    """The provider does not answer, or not as agreed. What was asked for may have happened all the same."""


class BadNotice(Exception):
    """A message that the provider did not sign."""


class PaymentProvider(Protocol):
    """Checkouts and refunds. Asking for the same payment again is asking once. Raises ProviderUnavailable."""

    async def open_checkout(self, order: Order, /) -> Checkout:
        """A page on which the order can be paid until it closes."""

    async def look(self, checkout_id: str, /) -> Standing:
        """How a checkout stands now."""

    async def close_checkout(self, checkout_id: str, /) -> Standing:
        """Let nobody pay any more. PAID when somebody was quicker."""

    async def refund(self, charge_id: str, /, *, payment_id: UUID) -> None:
        """Give the money back, all of it, once."""

    async def aclose(self) -> None:
        """Close the connections."""

    def read_notice(self, body: bytes, signature: str, /) -> Standing | None:
        """What a signed message says of a checkout; None for any other. Raises BadNotice."""
