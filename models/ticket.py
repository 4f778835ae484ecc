"""Tickets: one a person and Space, however often they tried."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.expressions import Q
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField


class TicketStatus(StrEnum):
    """Where a ticket is between being wanted and being of no use any more."""

    PENDING = "PENDING"
    ISSUED = "ISSUED"
    REFUNDED = "REFUNDED"
    CANCELED = "CANCELED"


class Ticket(Model):
    """A PENDING ticket holds its seat until `held_until`. `payment_id` is the payment it waits for or was paid by."""

    id = fields.UUIDField(primary_key=True)
    space_id: UUID = fields.UUIDField()
    account_id: UUID = fields.UUIDField()
    status = fields.CharEnumField(TicketStatus, max_length=8)
    # Whether 'Record Space' was on when it was asked for.
    recording_promised = fields.BooleanField(default=False)
    payment_id: UUID | None = fields.UUIDField(null=True)
    created_at: datetime = InstantField()
    held_until: datetime | None = InstantField(null=True)

    class Meta:
        table = "ticket"
        unique_together = (("space_id", "account_id"),)
        indexes = (
            Index(fields=("space_id", "status")),
            Index(fields=("account_id", "created_at", "id")),
        )

    def status_at(self, now: datetime) -> TicketStatus:
        """The status as it is at `now`: a seat that was not paid in time is free again, whoever has looked."""
        lapsed = self.held_until is not None and self.held_until <= now
        return TicketStatus.CANCELED if self.status is TicketStatus.PENDING and lapsed else self.status

    @staticmethod
    def seated(now: datetime) -> Q:
        """Tickets that take a seat at `now`: sold, or held."""
        return Q(status=TicketStatus.ISSUED) | Q(status=TicketStatus.PENDING, held_until__gt=now)
