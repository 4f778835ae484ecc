"""What is owed to and asked of the payment provider, tried until it is done."""

from datetime import timedelta
from uuid import UUID

import structlog

from models.notification import NotificationKind
from models.payment import Payment, PaymentState
from models.ticket import Ticket, TicketStatus
from services import notifications, tickets
from services.changes import change
from services.house import House
from services.payments import CheckoutState, PaymentProvider, ProviderUnavailable, Standing

log = structlog.get_logger(__name__)

_CLAIM_FOR = timedelta(minutes=2)
_FIRST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE = timedelta(hours=1)


async def attend(house: House, payment_id: UUID) -> None:
    """Do what is due about one payment. Another worker that comes at the same time does nothing."""
    now = house.clock.now()
    claimed = await Payment.filter(id=payment_id, next_at__lte=now).update(next_at=now + _CLAIM_FOR)
    if not claimed:
        return
    payment = await Payment.get(id=payment_id)
    try:
        if house.payments is None:
            raise ProviderUnavailable("no payment provider is set up")
        await _attend(house, house.payments, payment)
    except ProviderUnavailable as error:
        attempts = payment.attempts + 1
        pause = min(_FIRST_PAUSE * 2 ** min(attempts - 1, 20), _LONGEST_PAUSE)
        log.warning("payment waits", payment=str(payment_id), attempts=attempts, error=str(error))
        await Payment.filter(id=payment_id).update(attempts=attempts, next_at=house.clock.now() + pause)


async def _attend(house: House, provider: PaymentProvider, payment: Payment) -> None:
    if payment.state is PaymentState.REFUNDING:
        await provider.refund(payment.charge_id or "", payment_id=payment.id)
        await _refunded(house, payment)
    elif payment.state is PaymentState.OPEN:
        found = await _closed(provider, payment)
        if found.state is CheckoutState.OPEN:
            raise ProviderUnavailable("the payment is under way")
        await tickets.settle(house, found)
    else:
        await Payment.filter(id=payment.id, state=payment.state).update(next_at=None)


async def _closed(provider: PaymentProvider, payment: Payment) -> Standing:
    """How a checkout whose time is up stands: paid, without our having heard of it, or closed now."""
    if payment.checkout_id is None:
        return Standing(payment_id=payment.id, state=CheckoutState.CLOSED)
    found = await provider.look(payment.checkout_id)
    if found.state is CheckoutState.OPEN:
        found = await provider.close_checkout(payment.checkout_id)
    return found


async def _refunded(house: House, payment: Payment) -> None:
    async with change(house) as made:
        await made.space(payment.space_id)
        await Payment.filter(id=payment.id).update(state=PaymentState.REFUNDED, next_at=None)
        ticket = await Ticket.get_or_none(id=payment.ticket_id, payment_id=payment.id)
        if ticket is not None and ticket.status is TicketStatus.CANCELED:
            ticket.status = TicketStatus.REFUNDED
            await ticket.save()
            kind, mine = NotificationKind.TICKET_REFUNDED, {ticket.account_id: ticket.id}
            await notifications.of_tickets(house, made, kind, ticket.space_id, mine)
        await made.audit("payment.refunded", "ticket", payment.ticket_id)
