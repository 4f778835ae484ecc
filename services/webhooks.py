"""Webhooks of integrators: where they are called, for what, and the secrets that sign it."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from models.account import Account
from models.fields import to_ms
from models.webhook import Webhook, WebhookEvent
from models.webhook_delivery import DeliveryState, WebhookDelivery
from services.bus import HOOKS
from services.changes import Change, change, new_id
from services.errors import CapacityReached, Conflict, InvalidInput, NotFound
from services.house import House
from services.outbound import NotAllowed, Unreachable
from services.outbox import line_up
from services.viewers import Viewer

PREFIX = "whsec_"  # as Standard Webhooks has it
LONGEST_URL = 2000
_SECRET_BYTES = 32
# The newest and those that it replaced within the overlap.
_MOST_SECRETS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeWebhook:
    """A webhook with a new secret, which is told this once."""

    webhook: Webhook
    secret: str


async def all_of(account_id: UUID) -> list[Webhook]:
    """The account's webhooks, the newest first."""
    return await Webhook.filter(account_id=account_id).order_by("-created_at", "id")


async def create(house: House, viewer: Viewer, *, url: str, events: Sequence[WebhookEvent]) -> MadeWebhook:
    """Call an address for events of the viewer's Spaces. Raises InvalidInput or CapacityReached."""
    account = viewer.signed_in()
    wanted = _events(events)
    await _check(house, url)
    secret = _new_secret()
    async with change(house) as made:
        await Account.select_for_update().get(id=account.id)
        most = house.rules.webhooks
        if await Webhook.filter(account_id=account.id).count() >= most:
            raise CapacityReached(f"An account has at most {most} webhooks. Delete one first.")
        webhook_id = new_id()
        webhook = await Webhook.create(
            id=webhook_id,
            account_id=account.id,
            url=url,
            events=wanted,
            secrets=[{"sealed": house.seals.seal(secret, place=place_of(webhook_id))}],
            created_at=made.now,
        )
        await made.audit("webhook.created", "webhook", webhook.id, actor_id=account.id)
    return MadeWebhook(webhook=webhook, secret=secret)


async def update(
    house: House,
    viewer: Viewer,
    webhook_id: UUID,
    *,
    url: str | None,
    events: Sequence[WebhookEvent] | None,
) -> Webhook:
    """Change it, and call it again if it was said to be gone. What still waits goes to the new address."""
    viewer.signed_in()
    wanted = None if events is None else _events(events)
    if url is not None:
        await _owned_once(viewer, webhook_id)
        await _check(house, url)
    async with change(house) as made:
        webhook = await _owned(viewer, webhook_id)
        webhook.url = webhook.url if url is None else url
        webhook.events = webhook.events if wanted is None else wanted
        webhook.disabled_at = None
        await webhook.save(update_fields=["url", "events", "disabled_at"])
        await made.audit("webhook.changed", "webhook", webhook.id, actor_id=viewer.id)
    return webhook


async def rotate(house: House, viewer: Viewer, webhook_id: UUID) -> MadeWebhook:
    """A new secret. For the overlap deliveries are signed with the one before it too."""
    viewer.signed_in()
    secret = _new_secret()
    async with change(house) as made:
        webhook = await _owned(viewer, webhook_id)
        until = to_ms(made.now + house.rules.webhook_overlap)
        current, *older = webhook.secrets
        newest: dict[str, str | int] = {"sealed": house.seals.seal(secret, place=place_of(webhook.id))}
        kept = [one for one in older if int(one["until"]) > to_ms(made.now)]
        webhook.secrets = [newest, {**current, "until": until}, *kept][:_MOST_SECRETS]
        await webhook.save(update_fields=["secrets"])
        await made.audit("webhook.secret_rotated", "webhook", webhook.id, actor_id=viewer.id)
    return MadeWebhook(webhook=webhook, secret=secret)


async def delete(house: House, viewer: Viewer, webhook_id: UUID) -> None:
    """Call it no more; what waits for it goes with it. Raises NotFound."""
    viewer.signed_in()
    async with change(house) as made:
        webhook = await _owned(viewer, webhook_id)
        await webhook.delete()
        await WebhookDelivery.filter(webhook_id=webhook.id).delete()
        await made.audit("webhook.deleted", "webhook", webhook.id, actor_id=viewer.id)


async def forget_all(account_id: UUID) -> None:
    """Nothing leaves the house for an account any more."""
    await Webhook.filter(account_id=account_id).delete()
    await WebhookDelivery.filter(account_id=account_id).delete()


async def redeliver(house: House, viewer: Viewer, delivery_id: UUID) -> WebhookDelivery:
    """Try a delivery again, as the same message, for as long as a new one. One that waits for its time is tried now."""
    account = viewer.signed_in()
    async with change(house) as made:
        seen = await WebhookDelivery.get_or_none(id=delivery_id, account_id=account.id)
        if seen is None:
            raise NotFound(path=["deliveryId"])
        await made.space(seen.space_id)
        delivery = await WebhookDelivery.select_for_update().get_or_none(id=delivery_id)
        webhook = await Webhook.get_or_none(id=seen.webhook_id)
        if delivery is None or webhook is None:
            raise NotFound(path=["deliveryId"])
        if webhook.disabled_at is not None:
            raise Conflict("The receiver has answered 410 Gone. Call updateWebhook first.")
        await _again(house, made, delivery)
    return delivery


async def _again(house: House, made: Change, delivery: WebhookDelivery) -> None:
    if delivery.state is not DeliveryState.PENDING:
        delivery.state, delivery.attempts = DeliveryState.PENDING, 0
        delivery.lapses_at = made.now + house.rules.webhook_retry_for
    delivery.due_at = made.now
    await delivery.save(update_fields=["state", "attempts", "lapses_at", "due_at"])
    await line_up(delivery.webhook_id, delivery.space_id, made.now)
    made.topics.add(HOOKS)


def place_of(webhook_id: UUID) -> str:
    """For which place a webhook's secrets are sealed."""
    return f"webhook:{webhook_id}"


def _new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _events(events: Sequence[WebhookEvent]) -> list[str]:
    if not events:
        raise InvalidInput("events must name at least one.", path=["events"])
    return [event.value for event in WebhookEvent if event in events]


async def _check(house: House, url: str) -> None:
    if len(url) > LONGEST_URL:
        raise InvalidInput(f"url must have at most {LONGEST_URL} characters, got {len(url)}.", path=["url"])
    try:
        await house.outbound.check(url)
    except (NotAllowed, Unreachable) as error:
        raise InvalidInput(f"url cannot be called: {error}.", path=["url"]) from error


async def _owned_once(viewer: Viewer, webhook_id: UUID) -> None:
    """Before a name is looked up for somebody."""
    if not await Webhook.exists(id=webhook_id, account_id=viewer.id):
        raise NotFound(path=["webhookId"])


async def _owned(viewer: Viewer, webhook_id: UUID) -> Webhook:
    """The viewer's own webhook, locked. Raises NotFound."""
    webhook = await Webhook.select_for_update().get_or_none(id=webhook_id, account_id=viewer.id)
    if webhook is None:
        raise NotFound(path=["webhookId"])
    return webhook
