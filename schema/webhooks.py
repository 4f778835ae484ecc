"""Webhooks: their deliveries, inputs and payloads."""

from datetime import datetime
from typing import Any

import strawberry

from models.webhook import Webhook as WebhookRow
from models.webhook import WebhookEvent
from models.webhook_delivery import DeliveryState
from models.webhook_delivery import WebhookDelivery as DeliveryRow
from schema.connections import After, Connection, First
from schema.context import Context, Info
from schema.nodes import Node, RowType
from schema.payloads import Payload
from schema.sources import column, computed, newest_first, page_of

_DELIVERIES = newest_first(DeliveryRow, "webhook_id", by="at")
_URL = "An https URL of the open internet, at most 2,000 characters."


def _events(row: WebhookRow, _context: Context) -> list[WebhookEvent]:
    return [WebhookEvent(event) for event in row.events]


@strawberry.type(description="What a webhook is called with: one event.")
class WebhookDelivery(RowType, Node):
    """What a webhook is called with."""

    model = DeliveryRow

    event: WebhookEvent = column("event", "What it tells of.")
    state: DeliveryState = column("state", "How far it is.")
    attempts: int = column("attempts", "How often it was tried since it was last put into the line.")
    last_status_code: int | None = column(
        "last_status_code", "The HTTP status of the last answer; null when nobody answered."
    )
    at: datetime = column("at", "When it was put into the line.")


@strawberry.type(description="Called for events of its owner's Spaces.")
class Webhook(RowType, Node):
    """An address that is called."""

    model = WebhookRow

    url: str = column("url", "Where it is called, by POST.")
    events: list[WebhookEvent] = computed(_events, "What it is called for.")
    created_at: datetime = column("created_at", "When it was made.")

    @strawberry.field(description="What it was called with in the last 30 days, the newest first.")
    async def deliveries(
        root: Any, info: Info, first: First = 20, after: After = strawberry.UNSET
    ) -> Connection[WebhookDelivery]:
        return await page_of(info, _DELIVERIES, root.id, first=first, after=after)


@strawberry.input(description="A new webhook.")
class CreateWebhookInput:
    """A new webhook."""

    url: str = strawberry.field(description=_URL)
    events: list[WebhookEvent] = strawberry.field(description="What to call it for, at least one.")


@strawberry.type(
    description="What createWebhook answers. secret signs the deliveries (Standard Webhooks); shown this once."
)
class CreateWebhookPayload(Payload):
    """What createWebhook answers."""

    webhook: Webhook | None = strawberry.field(description="The new webhook; null on failure.", default=None)
    secret: str | None = strawberry.field(
        description="`whsec_…`, for any library of Standard Webhooks. Shown this once.", default=None
    )


@strawberry.input(description="What to change of a webhook.")
class UpdateWebhookInput:
    """What to change of a webhook."""

    webhook_id: strawberry.ID = strawberry.field(description="Id of one of the viewer's own webhooks.")
    url: str | None = strawberry.field(
        description=f"{_URL} Null or left out: as it is.", default=strawberry.UNSET
    )
    events: list[WebhookEvent] | None = strawberry.field(
        description="What to call it for. Null or left out: as it is.", default=strawberry.UNSET
    )


@strawberry.type(description="What updateWebhook answers.")
class UpdateWebhookPayload(Payload):
    """What updateWebhook answers."""

    webhook: Webhook | None = strawberry.field(
        description="The webhook as it is now; null on failure.", default=None
    )


@strawberry.input(description="The webhook that gets a new secret.")
class RotateWebhookSecretInput:
    """The webhook that gets a new secret."""

    webhook_id: strawberry.ID = strawberry.field(description="Id of one of the viewer's own webhooks.")


@strawberry.type(description="What rotateWebhookSecret answers. secret is shown this once.")
class RotateWebhookSecretPayload(Payload):
    """What rotateWebhookSecret answers."""

    webhook: Webhook | None = strawberry.field(description="The webhook; null on failure.", default=None)
    secret: str | None = strawberry.field(description="The new secret. Shown this once.", default=None)


@strawberry.input(description="The delivery to send again.")
class RedeliverWebhookInput:
    """The delivery to send again."""

    delivery_id: strawberry.ID = strawberry.field(
        description="Id of a delivery of one of the viewer's own webhooks."
    )


@strawberry.type(description="What redeliverWebhook answers.")
class RedeliverWebhookPayload(Payload):
    """What redeliverWebhook answers."""

    delivery: WebhookDelivery | None = strawberry.field(
        description="The delivery as it is now; null on failure.", default=None
    )


@strawberry.input(description="The webhook to delete.")
class DeleteWebhookInput:
    """The webhook to delete."""

    webhook_id: strawberry.ID = strawberry.field(description="Id of one of the viewer's own webhooks.")


@strawberry.type(description="What deleteWebhook answers.")
class DeleteWebhookPayload(Payload):
    """What deleteWebhook answers."""

    deleted_webhook_id: strawberry.ID | None = strawberry.field(
        description="The webhook that is no more; null on failure.", default=None
    )
