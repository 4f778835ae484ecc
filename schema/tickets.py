"""Tickets."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from models.space import Space as SpaceRow
from models.ticket import Ticket as TicketRow
from models.ticket import TicketStatus
from schema.context import Context
from schema.nodes import Node, RowType
from schema.sources import column, computed, relation

if TYPE_CHECKING:
    from schema.spaces import Space


@strawberry.type(description="In the currency's smallest unit (ISO 4217).")
class Money:
    """In the currency's smallest unit."""

    amount_minor: int = strawberry.field(description="So many of the smallest unit; 0 is free.")
    currency: str = strawberry.field(description="ISO 4217, such as USD.")


@strawberry.type(description="What a ticket costs, and how many there are.")
class Ticketing:
    """What a ticket costs, and how many there are."""

    price: Money = strawberry.field(description="Of one ticket.")
    capacity: int = strawberry.field(description="How many there are.")
    sold: int = strawberry.field(description="How many have a holder now; seats that are held come on top.")


def ticketing_of(row: SpaceRow, _context: Context) -> Ticketing | None:
    """The terms of a Space's tickets; None when it needs none."""
    if row.ticket_capacity is None:
        return None
    price = Money(amount_minor=row.ticket_price_minor, currency=row.ticket_currency)
    return Ticketing(price=price, capacity=row.ticket_capacity, sold=row.tickets_sold)


def _status(row: TicketRow, context: Context) -> TicketStatus:
    return row.status_at(context.now)


@strawberry.type(description="The right of one person to enter a Space and to play its recording.")
class Ticket(RowType, Node):
    """The right of one person to enter a Space and to play its recording."""

    model = TicketRow

    space: Annotated["Space", strawberry.lazy("schema.spaces")] = relation(
        SpaceRow, "The Space it is for.", key="space_id"
    )
    status: TicketStatus = computed(_status, "Where it is, as of now.")
    created_at: datetime = column("created_at", "When it was asked for, the last time.")


@strawberry.input(description="The terms of a Space's tickets.")
class TicketingInput:
    """The terms of a Space's tickets."""

    price_minor: int = strawberry.field(
        description="In the currency's smallest unit: 0 (free), or 1 to 999 of the currency: 100 to 99900 cents."
    )
    currency: str = strawberry.field(description="ISO 4217.", default="USD")
    capacity: int = strawberry.field(description="How many tickets there are, 1 to 1,000,000.")


@strawberry.input(description="For which Space a ticket is wanted.")
class PurchaseTicketInput:
    """For which Space a ticket is wanted."""

    space_id: strawberry.ID = strawberry.field(description="Id of a ticketed Space.")
    return_url: str | None = strawberry.field(
        description="Where the provider sends the buyer afterwards, paid or not; left out: this server's page.",
        default=strawberry.UNSET,
    )
