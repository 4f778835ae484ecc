"""What is due at the payment provider, at once when woken and with every round of the clockwork."""

import structlog

from models.payment import Payment
from services import cashier
from services.bus import PAYMENTS
from services.house import House

log = structlog.get_logger(__name__)

_BATCH = 50


async def pay(house: House) -> None:
    """Do what is due now. What the provider does not answer waits for its time, and holds up nothing else."""
    while due := await Payment.due(house.clock.now()).limit(_BATCH).values_list("id", flat=True):
        for payment_id in due:
            await cashier.attend(house, payment_id)  # type: ignore[arg-type]


async def pay_when_woken(house: House) -> None:
    """Refund as soon as it is owed. What fails is tried again by the rounds. Runs until it is cancelled."""
    with house.bus.listen(PAYMENTS) as ear:
        while True:
            await ear.wait(None)
            try:
                await pay(house)
            except Exception:
                log.exception("payments wait for the next round")
