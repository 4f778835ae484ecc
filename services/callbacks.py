"""Calling webhooks: leased, signed, in the order of each Space, and tried again until it works or has lapsed.

A worker that is killed leaves its deliveries to whoever comes after its lease. One that is killed between calling and
writing so down calls again: with the same `webhook-id`, by which the other side knows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

import structlog
from standardwebhooks import Webhook as Signature

from models.account import Account, Suspension
from models.fields import to_ms
from models.webhook import Webhook
from models.webhook_delivery import DeliveryState, WebhookDelivery
from services import leases
from services.bus import HOOKS
from services.changes import Change, again, change
from services.house import House
from services.outbound import Answer, NotAllowed, Unreachable
from services.outbox import line_up
from services.seals import SealBroken
from services.webhooks import place_of

log = structlog.get_logger(__name__)

# Before the second, third … attempt; the last is repeated until the delivery lapses.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14400))
_GONE = 410
# So many due deliveries are looked at to find some that may be sent now.
_LOOKED_AT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What came of an attempt: the state it leads to, and how long the other side wants us to wait."""

    state: DeliveryState
    status: int | None = None
    wait: timedelta = timedelta(0)
    was_tried: bool = True


_NOT_SENT = _Outcome(state=DeliveryState.FAILED, was_tried=False)


async def claim(
    house: House, owner: str, *, most: int, busy: Mapping[UUID, int], most_each: int
) -> list[tuple[UUID, UUID]]:
    """Lease what is due to one worker, so that no webhook has more than `most_each` calls at once: ids and webhooks."""
    full = [webhook_id for webhook_id, calls in busy.items() if calls >= most_each]
    due = leases.due(house, WebhookDelivery)
    if full:
        due = due.exclude(webhook_id__in=full)
    counts, picked = dict(busy), dict[UUID, UUID]()
    for delivery_id, webhook_id in await due.limit(_LOOKED_AT).values_list("id", "webhook_id"):
        if len(picked) < most and counts.get(webhook_id, 0) < most_each:
            counts[webhook_id] = counts.get(webhook_id, 0) + 1
            picked[delivery_id] = webhook_id
    taken = await leases.take(house, WebhookDelivery, owner, list(picked))
    return [(one, picked[one]) for one in taken]


async def call(house: House, delivery_id: UUID, owner: str) -> None:
    """One attempt at one delivery that is leased to `owner`."""
    delivery = await WebhookDelivery.get_or_none(
        id=delivery_id, lease_owner=owner, state=DeliveryState.PENDING
    )
    now = house.clock.now()
    if delivery is None or delivery.lease_until is None or delivery.lease_until <= now:
        return
    webhook = await Webhook.get_or_none(id=delivery.webhook_id)
    if webhook is None:
        await delivery.delete()
        return
    if webhook.disabled_at is not None or not await _may_call(webhook, now):
        outcome = _NOT_SENT
    else:
        outcome = await _post(house, webhook, delivery, now)

    async def write_down() -> None:
        async with change(house) as made:
            await _conclude(house, made, delivery, owner, outcome)

    await again(write_down)


async def _may_call(webhook: Webhook, now: datetime) -> bool:
    """Nothing is sent for who is suspended or gone."""
    owner = await Account.get_or_none(id=webhook.account_id, deleted_at=None)
    return owner is not None and owner.suspended_at(now) is not Suspension.ACCOUNT


async def _post(house: House, webhook: Webhook, delivery: WebhookDelivery, now: datetime) -> _Outcome:
    later = DeliveryState.PENDING
    try:
        headers = _headers(house, webhook, delivery, now)
        answer = await house.outbound.post(webhook.url, headers=headers, content=delivery.body.encode())
    except (NotAllowed, Unreachable, SealBroken) as error:
        log.warning("webhook not reached", subject=str(delivery.id), cause=f"{type(error).__name__}: {error}")
        return _Outcome(state=later)
    if 200 <= answer.status < 300:
        return _Outcome(state=DeliveryState.DELIVERED, status=answer.status)
    if answer.status == _GONE:
        return _Outcome(state=DeliveryState.FAILED, status=answer.status)
    return _Outcome(state=later, status=answer.status, wait=_wanted_wait(answer, now))


def _headers(house: House, webhook: Webhook, delivery: WebhookDelivery, now: datetime) -> dict[str, str]:
    """As Standard Webhooks has them, signed with every secret that is good now."""
    good = [one for one in webhook.secrets if "until" not in one or int(one["until"]) > to_ms(now)]
    keys = [house.seals.open(str(one["sealed"]), place=place_of(webhook.id)) for one in good]
    signatures = [Signature(key).sign(str(delivery.id), now, delivery.body) for key in keys]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Spaces-Webhooks",
        "webhook-id": str(delivery.id),
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _wanted_wait(answer: Answer, now: datetime) -> timedelta:
    """What `Retry-After` asks for (RFC 9110 section 10.2.3), at most the longest pause."""
    told = answer.headers.get("retry-after", "").strip()
    try:
        if told.isascii() and told.isdecimal():
            wait = timedelta(seconds=int(told[:9]))
        else:
            at = parsedate_to_datetime(told)
            wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return timedelta(0)
    return min(max(wait, timedelta(0)), PAUSES[-1])


def pause(attempts: int, *, chance: float) -> timedelta:
    """Before the next attempt after so many that failed. `chance`, 0 to 1, makes it 25 % shorter to 25 % longer."""
    return PAUSES[min(attempts, len(PAUSES)) - 1] * (0.75 + chance / 2)


async def _conclude(
    house: House, made: Change, delivery: WebhookDelivery, owner: str, outcome: _Outcome
) -> None:
    """Write down what came of it, and let the next of the line be due: the Space is locked, so nobody else does."""
    await made.space(delivery.space_id)
    row = await WebhookDelivery.select_for_update().get_or_none(
        id=delivery.id, lease_owner=owner, state=DeliveryState.PENDING
    )
    if row is None:
        return
    row.attempts += outcome.was_tried
    row.last_status_code = outcome.status if outcome.was_tried else row.last_status_code
    row.lease_owner = row.lease_until = None
    row.state, row.due_at = outcome.state, None
    if row.state is DeliveryState.PENDING:
        wait = max(pause(row.attempts, chance=house.chance()), outcome.wait)
        row.due_at = min(made.now + wait, row.lapses_at)
        if made.now >= row.lapses_at:
            row.state, row.due_at = DeliveryState.FAILED, None
    await row.save(
        update_fields=["attempts", "last_status_code", "lease_owner", "lease_until", "state", "due_at"]
    )
    if outcome.status == _GONE:
        await _disable(made, row.webhook_id)
    await line_up(row.webhook_id, row.space_id, made.now)
    made.topics.add(HOOKS)


async def _disable(made: Change, webhook_id: UUID) -> None:
    """410 Gone: nothing is sent any more, until the owner changes the webhook. What waits ends, each at its turn."""
    await Webhook.filter(id=webhook_id, disabled_at=None).update(disabled_at=made.now)
    waiting = WebhookDelivery.filter(webhook_id=webhook_id, state=DeliveryState.PENDING)
    await waiting.filter(due_at__gt=made.now).update(due_at=made.now)


async def forget_old(house: House) -> None:
    """Drop the deliveries whose time in the list is over."""
    await WebhookDelivery.filter(at__lte=house.clock.now() - house.rules.webhook_deliveries_kept).delete()
