"""Payments: one a checkout at the provider. They change under the lock of their Space's row."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model
from tortoise.queryset import QuerySet

from models.fields import InstantField


class PaymentState(StrEnum):
    """Where the money is. REFUNDING is owed, and tried until it is REFUNDED."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"
    PAID = "PAID"
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"


class Payment(Model):
    """`next_at` is when the provider is to be asked next, null when there is nothing to do."""

    id = fields.UUIDField(primary_key=True)
    ticket_id: UUID = fields.UUIDField()
    space_id: UUID = fields.UUIDField()
    state = fields.CharEnumField(PaymentState, max_length=9, default=PaymentState.OPEN)
    amount_minor = fields.IntField()
    currency = fields.CharField(max_length=3)
    return_url = fields.CharField(max_length=2000)
    created_at: datetime = InstantField()
    # Until when the provider takes the money.
    closes_at: datetime = InstantField()
    # The provider's names for the checkout and for the money that it took.
    checkout_id: str | None = fields.CharField(max_length=255, null=True)  # type: ignore[assignment]
    checkout_url: str | None = fields.TextField(null=True)
    charge_id: str | None = fields.CharField(max_length=255, null=True)  # type: ignore[assignment]
    attempts = fields.IntField(default=0)
    next_at: datetime | None = InstantField(null=True)

    class Meta:
        table = "payment"
        indexes = (
            Index(fields=("ticket_id",)),
            Index(fields=("space_id", "state")),
            Index(fields=("next_at",)),
        )

    @classmethod
    def due(cls, now: datetime) -> QuerySet["Payment"]:
        """Payments about which the provider is to be asked at `now`, the longest overdue first."""
        return cls.filter(next_at__lte=now).order_by("next_at")
