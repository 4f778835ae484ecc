"""Tickets: seats held, paid, issued and refunded. Never more than the Space holds.

Everything here happens under the lock of the Space's row. The provider is asked between two transactions,
and its answers may come late, twice, or in the wrong order: `settle` takes them as they come.
"""

from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from tortoise.expressions import Subquery

from models.account import Account
from models.notification import NotificationKind
from models.participant import Participant
from models.payment import Payment, PaymentState
from models.recording import Recording, RecordingStatus
from models.space import Space, SpaceState
from models.ticket import Ticket, TicketStatus
from services import money, notifications, visibility
from services.bus import PAYMENTS
from services.changes import Change, change, new_id
from services.errors import AlreadyEnded, Conflict, Forbidden, InvalidInput, PaymentUnavailable, SoldOut
from services.house import House
from services.payments import CheckoutState, Order, ProviderUnavailable, Standing
from services.viewers import Viewer
from services.visibility import locked_space

log = structlog.get_logger(__name__)

_MOST_TICKETS = 1_000_000
_RETRY_AFTER_MS = 30_000
# The provider's page closes before the seat is free again, so that a payment in the last second is heard of.
_SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A ticket, and where to pay for it; None when nothing is to be paid any more."""

    ticket: Ticket
    checkout_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTicketing:
    """How many may enter, and for what. A price of 0 is free."""

    price_minor: int
    currency: str
    capacity: int


def terms(house: House, wish: NewTicketing | None) -> dict[str, Any]:
    """The columns of a Space that is ticketed so, none for one that is not. Raises InvalidInput."""
    if wish is None:
        return {}
    if not 1 <= wish.capacity <= _MOST_TICKETS:
        raise InvalidInput(
            f"capacity must be 1 to {_MOST_TICKETS}, got {wish.capacity}.", path=["ticketing", "capacity"]
        )
    money.price(wish.price_minor, wish.currency)
    if wish.price_minor and house.payments is None:
        raise InvalidInput(
            "This server takes no payments, so tickets can only be free: set the price to 0. Those who run the"
            " server can change that by SPACES_STRIPE_SECRET_KEY.",
            path=["ticketing", "priceMinor"],
        )
    return {
        "ticket_capacity": wish.capacity,
        "ticket_price_minor": wish.price_minor,
        "ticket_currency": wish.currency,
    }


async def purchase(house: House, viewer: Viewer, space_id: UUID, *, return_url: str | None) -> Purchase:
    """Hold a seat, or take it when it is free. Asking again is the same ticket and the same checkout."""
    back = _return_url(house, return_url)
    async with change(house) as made:
        space, before = await _to_buy(made, viewer, space_id)
        ticket, payment = await _reserve(house, made, viewer, space, copy(before), return_url=back)
    if payment is None or payment.checkout_url is not None:
        return Purchase(ticket=ticket, checkout_url=payment.checkout_url if payment else None)
    return await _open_checkout(house, space, payment, before)


def _return_url(house: House, wanted: str | None) -> str:
    if wanted is None:
        return house.links.url("/")
    try:
        parts = urlsplit(wanted)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and wanted.isprintable()
    except ValueError:
        good = False
    if not good or len(wanted) > 2000 or " " in wanted:
        raise InvalidInput("returnUrl must be an http or https address.", path=["returnUrl"])
    return wanted


async def _to_buy(made: Change, viewer: Viewer, space_id: UUID) -> tuple[Space, Ticket | None]:
    """The Space, locked, and the ticket for it that the viewer has had so far."""
    account = viewer.signed_in()
    space = await locked_space(made, viewer, space_id)
    await _may_buy(space, account, made.now)
    return space, await Ticket.get_or_none(space_id=space.id, account_id=account.id)


async def _reserve(
    house: House, made: Change, viewer: Viewer, space: Space, found: Ticket | None, *, return_url: str
) -> tuple[Ticket, Payment | None]:
    if found is not None:
        status = found.status_at(made.now)
        if status is TicketStatus.ISSUED:
            return found, None
        if status is TicketStatus.PENDING:
            return found, await Payment.get(id=found.payment_id)
    if not await _has_seat(space, made.now):
        raise SoldOut
    ticket = found or Ticket(id=new_id(), space_id=space.id, account_id=viewer.signed_in().id)
    ticket.recording_promised, ticket.created_at = space.recording_enabled, made.now
    payment = await _order(house, space, ticket, made.now, return_url) if space.ticket_price_minor else None
    ticket.payment_id = payment.id if payment else None
    ticket.held_until = made.now + house.rules.ticket_hold if payment else None
    ticket.status = TicketStatus.PENDING if payment else TicketStatus.ISSUED
    await ticket.save(force_create=found is None)
    await _count(space)
    if payment is None:
        await _tell_issued(house, made, ticket)
    return ticket, payment


async def _tell_issued(house: House, made: Change, ticket: Ticket) -> None:
    kind = NotificationKind.TICKET_ISSUED
    await notifications.of_tickets(house, made, kind, ticket.space_id, {ticket.account_id: ticket.id})


async def _may_buy(space: Space, account: Account, now: datetime) -> None:
    if not space.is_ticketed:
        raise Conflict("This Space needs no ticket. Join it with joinSpace.")
    if space.host_id == account.id:
        raise Conflict("You host this Space and need no ticket.")
    if await Participant.exists(space_id=space.id, account_id=account.id, removed_at__isnull=False):
        raise Forbidden("You were removed from this Space and cannot come back into it.")
    if not await _is_on_sale(space, now):
        raise AlreadyEnded("The Space is over, and there is no recording of it to play. No ticket is sold.")


async def _is_on_sale(space: Space, now: datetime) -> bool:
    """Until its end; afterwards while its recording can be played, which needs a ticket too."""
    if space.state in {SpaceState.SCHEDULED, SpaceState.LIVE}:
        return True
    recording = await Recording.get_or_none(space_id=space.id)
    if space.state is SpaceState.CANCELED or recording is None:
        return False
    return recording.status is RecordingStatus.FINALIZING or visibility.is_playable(recording, now)


async def _has_seat(space: Space, now: datetime) -> bool:
    seated = await Ticket.filter(Ticket.seated(now), space_id=space.id).count()
    return seated < (space.ticket_capacity or 0)


async def _count(space: Space) -> None:
    """Write how many are sold. Counted, not added up: it is right whatever came before."""
    space.tickets_sold = await Ticket.filter(space_id=space.id, status=TicketStatus.ISSUED).count()
    await Space.filter(id=space.id).update(tickets_sold=space.tickets_sold)


async def _order(house: House, space: Space, ticket: Ticket, now: datetime, return_url: str) -> Payment:
    if house.payments is None:
        raise PaymentUnavailable("No payment provider is set up on this server. Ask those who run it.")
    return await Payment.create(
        id=new_id(),
        ticket_id=ticket.id,
        space_id=space.id,
        amount_minor=space.ticket_price_minor,
        currency=space.ticket_currency,
        return_url=return_url,
        created_at=now,
        closes_at=now + house.rules.ticket_hold - _SLACK,
        next_at=now + house.rules.ticket_hold,
    )


async def _open_checkout(house: House, space: Space, payment: Payment, before: Ticket | None) -> Purchase:
    """Ask the provider for a page to pay on. When it does not answer, the ticket is again as it was `before`."""
    order = Order(
        payment_id=payment.id,
        title=space.title,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        closes_at=payment.closes_at,
        return_url=payment.return_url,
    )
    try:
        if house.payments is None:
            raise ProviderUnavailable("no payment provider is set up")
        opened = await house.payments.open_checkout(order)
    except ProviderUnavailable as error:
        log.warning("checkout could not be opened", payment=str(payment.id), error=str(error))
        await _take_back(house, payment, before)
        raise PaymentUnavailable(retry_after_ms=_RETRY_AFTER_MS) from error
    async with change(house) as made:
        await made.space(space.id)
        payment = await Payment.get(id=payment.id)
        ticket = await Ticket.get_or_none(id=payment.ticket_id, payment_id=payment.id)
        payment.checkout_id, payment.checkout_url = opened.id, opened.url
        is_off = ticket is None or ticket.status is TicketStatus.CANCELED
        if is_off and payment.state in {PaymentState.OPEN, PaymentState.CLOSED}:
            # Nobody is told of the page, and the next round closes it.
            payment.state, payment.next_at = PaymentState.OPEN, made.now
        await payment.save()
        if ticket is not None and is_off:
            await _restore(ticket, before)
    if ticket is None or is_off:
        raise Conflict("The purchase was called off meanwhile. Nothing was charged.")
    return Purchase(ticket=ticket, checkout_url=opened.url)


async def _take_back(house: House, payment: Payment, before: Ticket | None) -> None:
    """A purchase that failed. Its payment stays, closed: should a page have been made and paid, the money goes back."""
    async with change(house) as made:
        await made.space(payment.space_id)
        payment = await Payment.get(id=payment.id)
        if payment.state is not PaymentState.OPEN or payment.checkout_id is not None:
            return  # the same purchase, asked for at the same time, got through
        payment.state, payment.next_at = PaymentState.CLOSED, None
        await payment.save()
        ticket = await Ticket.get_or_none(id=payment.ticket_id, payment_id=payment.id)
        if ticket is not None and ticket.status in {TicketStatus.PENDING, TicketStatus.CANCELED}:
            await _restore(ticket, before)


async def _restore(ticket: Ticket, before: Ticket | None) -> None:
    """The ticket as it was before a purchase that failed; none, when there was none."""
    if before is None or before.payment_id == ticket.payment_id:
        await ticket.delete()
    else:
        await before.save(force_update=True)


async def settle(house: House, standing: Standing) -> None:
    """Take in how a checkout stands, however often and however late it is told."""
    known = await Payment.get_or_none(id=standing.payment_id)
    if known is None:
        log.warning("a payment that is none of ours", payment=str(standing.payment_id))
        return
    async with change(house) as made:
        space = await made.space(known.space_id)
        payment, ticket = await Payment.get(id=known.id), await Ticket.get_or_none(id=known.ticket_id)
        if standing.state is CheckoutState.PAID and payment.state in {PaymentState.OPEN, PaymentState.CLOSED}:
            payment.charge_id = standing.charge_id
            await _take_paid(house, made, space, payment, ticket)
        elif standing.state is CheckoutState.CLOSED and payment.state is PaymentState.OPEN:
            payment.state, payment.next_at = PaymentState.CLOSED, None
            await payment.save()
            mine = Ticket.filter(id=known.ticket_id, payment_id=payment.id, status=TicketStatus.PENDING)
            await mine.update(status=TicketStatus.CANCELED)


async def _take_paid(
    house: House, made: Change, space: Space, payment: Payment, ticket: Ticket | None
) -> None:
    """Money came in: the ticket is issued if there is a seat for it, else the money goes back."""
    if ticket is None:
        _owe(made, payment)
        await payment.save()
        return
    held = ticket.status_at(made.now) is TicketStatus.PENDING
    is_wanted = ticket.status is not TicketStatus.ISSUED and await _is_on_sale(space, made.now)
    is_wanted = is_wanted and await Account.exists(id=ticket.account_id, deleted_at=None)
    if is_wanted and (held or await _has_seat(space, made.now)):
        payment.state, payment.next_at, payment.attempts = PaymentState.PAID, None, 0
        if ticket.payment_id != payment.id:
            await Payment.filter(id=ticket.payment_id, state=PaymentState.OPEN).update(next_at=made.now)
        ticket.status, ticket.payment_id, ticket.held_until = TicketStatus.ISSUED, payment.id, None
        await ticket.save()
        await _count(space)
        await _tell_issued(house, made, ticket)
    else:
        _owe(made, payment)
        if ticket.status is TicketStatus.PENDING and ticket.payment_id == payment.id:
            ticket.status = TicketStatus.CANCELED
            await ticket.save()
    await payment.save()


def _owe(made: Change, payment: Payment) -> None:
    payment.state, payment.next_at, payment.attempts = PaymentState.REFUNDING, made.now, 0
    made.topics.add(PAYMENTS)


async def refund_all(house: House, made: Change, space: Space, *, promised: bool = False) -> None:
    """Take the tickets of a locked Space back and owe what was paid; with `promised` those of its recording.

    A ticket that was paid is CANCELED until its money is on the way, then REFUNDED.
    """
    if not space.is_ticketed:
        return
    of_space = Ticket.filter(space_id=space.id)
    wanted = of_space.filter(recording_promised=True) if promised else of_space
    payments = Payment.filter(ticket_id__in=Subquery(wanted.values("id")))
    await payments.filter(state=PaymentState.PAID).update(
        state=PaymentState.REFUNDING, next_at=made.now, attempts=0
    )
    await payments.filter(state=PaymentState.OPEN).update(next_at=made.now)
    made.topics.add(PAYMENTS)
    free = wanted.filter(status=TicketStatus.ISSUED, payment_id=None)
    holders: dict[UUID, UUID] = dict(await free.values_list("account_id", "id"))
    await notifications.of_tickets(house, made, NotificationKind.TICKET_REFUNDED, space.id, holders)
    await free.update(status=TicketStatus.REFUNDED)
    await wanted.filter(status__in=[TicketStatus.ISSUED, TicketStatus.PENDING]).update(
        status=TicketStatus.CANCELED
    )
    await _count(space)


async def give_up(house: House, account_id: UUID) -> None:
    """The seats of somebody who goes for good are free again; who wants money back cancels nothing this way."""
    for ticket_id, space_id in await Ticket.filter(
        account_id=account_id, status__in=[TicketStatus.ISSUED, TicketStatus.PENDING]
    ).values_list("id", "space_id"):
        async with change(house) as made:
            space = await made.space(space_id)
            await Ticket.filter(id=ticket_id).update(status=TicketStatus.CANCELED)
            await Payment.filter(ticket_id=ticket_id, state=PaymentState.OPEN).update(next_at=made.now)
            await _count(space)


async def is_sold(space_id: UUID, now: datetime) -> bool:
    """Whether anybody has, or is about to pay for, a ticket."""
    return await Ticket.filter(Ticket.seated(now), space_id=space_id).exists()
