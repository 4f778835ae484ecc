"""Tickets."""

from typing import Annotated, Any

import strawberry

from schema import ids, payloads
from schema.context import Info
from schema.mutations.arguments import ASKED, given
from schema.payloads import mutation
from schema.tickets import PurchaseTicketInput
from services import tickets


@strawberry.type
class TicketMutations:
    """Tickets."""

    @mutation(
        "Get a ticket. A free one is issued at once; else its seat is held while the buyer pays at checkoutUrl."
        " Asking again is the same ticket."
    )
    async def purchase_ticket(
        root: Any, info: Info, input: Annotated[PurchaseTicketInput, ASKED]
    ) -> payloads.PurchaseTicketPayload:
        made = await tickets.purchase(
            info.context.house,
            info.context.viewer,
            ids.read(input.space_id, "Space", path="spaceId"),
            return_url=given(input.return_url),
        )
        return payloads.PurchaseTicketPayload(ticket=made.ticket, checkout_url=made.checkout_url)  # type: ignore[arg-type]
