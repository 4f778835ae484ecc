"""Notifications on their way out: leased, tried again, and lapsed.

A worker that is killed before it has sent leaves the delivery to whoever comes after its lease. One that is
killed between sending and writing so down sends again: the message then has the same id (`Topic` of Web Push,
`Message-ID` of e-mail), by which the other side knows it.
"""

from datetime import datetime, timedelta
from uuid import UUID

from models.account import Account
from models.delivery import Channel, Delivery
from models.mail_address import MailAddress
from models.notification import Notification, NotificationKind
from models.push_subscription import PushSubscription
from models.space import Space, SpaceState
from models.timeline_item import SHARE_KINDS, TimelineItem
from services.addresses import stop_url
from services.carriers import Carried, Message
from services.changes import change
from services.house import House
from services.notifications import wording

# The last is repeated until the delivery lapses.
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1800, 3600))
_TARGETS: dict[Channel, type[PushSubscription] | type[MailAddress]] = {
    Channel.PUSH: PushSubscription,
    Channel.EMAIL: MailAddress,
}
_NOWHERE = "A Space"


async def deliver(house: House, delivery_id: UUID, owner: str) -> None:
    """One attempt at one delivery that is leased to `owner`."""
    delivery = await Delivery.get_or_none(id=delivery_id, lease_owner=owner)
    now = house.clock.now()
    if delivery is None or delivery.lease_until is None or delivery.lease_until <= now:
        return
    notification = await Notification.get_or_none(id=delivery.notification_id)
    target = await _TARGETS[delivery.channel].get_or_none(id=delivery.target_id)
    carrier = house.carriers.get(delivery.channel)
    space = await Space.get_or_none(id=notification.space_id) if notification else None
    if notification is None or target is None or carrier is None or delivery.lapses_at <= now:
        await _end(house, delivery, owner)
        return
    if not _is_news(notification.kind, space):
        await _end(house, delivery, owner)
        return
    message = await _message(house, delivery, notification, space, now)
    carried = await carrier.carry(target, message, now=now)
    if carried is Carried.LATER:
        await _put_off(house, delivery, owner)
        return
    if carried is Carried.GONE:
        await target.delete()
    await _end(house, delivery, owner)


def _is_news(kind: NotificationKind, space: Space | None) -> bool:
    """Whether it is worth waking somebody for: a word of a start is not once it came or never will."""
    wanted = {
        NotificationKind.REMINDER: SpaceState.SCHEDULED,
        NotificationKind.SPACE_STARTED: SpaceState.LIVE,
    }
    return kind not in wanted or (space is not None and space.state is wanted[kind])


async def _message(
    house: House, delivery: Delivery, notification: Notification, space: Space | None, now: datetime
) -> Message:
    host = await Account.get_or_none(id=space.host_id, deleted_at=None) if space else None
    own = TimelineItem.filter(space_id=space.id).exclude(kind__in=list(SHARE_KINDS)) if space else None
    card = await own.first() if own is not None else None
    return Message(
        id=notification.id,
        kind=notification.kind.value,
        text=wording(
            notification.kind,
            title=space.title if space else _NOWHERE,
            host=host.name if host else "Deleted account",
        ),
        url=house.links.url(f"/cards/{card.id}" if card else "/"),
        at=notification.at,
        valid_for=delivery.lapses_at - now,
        stop_url=stop_url(house, delivery.target_id) if delivery.channel is Channel.EMAIL else "",
    )


async def _end(house: House, delivery: Delivery, owner: str) -> None:
    async with change(house):
        await Delivery.filter(id=delivery.id, lease_owner=owner).delete()


async def _put_off(house: House, delivery: Delivery, owner: str) -> None:
    """Try again later, at the latest when it lapses."""
    async with change(house) as made:
        pause = _PAUSES[min(delivery.attempts, len(_PAUSES) - 1)]
        await Delivery.filter(id=delivery.id, lease_owner=owner).update(
            attempts=delivery.attempts + 1,
            due_at=min(made.now + pause, delivery.lapses_at),
            lease_owner=None,
            lease_until=None,
        )
