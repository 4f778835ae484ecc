"""Telling people: each in their own sequence, of each occasion once, and on from any cursor."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from tortoise.functions import Max

from models.account import Account
from models.appeal import Appeal
from models.delivery import Channel, Delivery
from models.mail_address import MailAddress
from models.notification import Notification, NotificationKind
from models.push_subscription import PushSubscription
from models.recording import Recording
from models.report import Report, ReportState
from models.review_opening import ReviewOpening
from services.bus import POST, notice_topic
from services.changes import Change, new_id
from services.cursors import EventCursor
from services.errors import InvalidInput
from services.house import House
from services.viewers import Viewer

_POLL_S = 15.0
_BATCH = 100
_KIND = NotificationKind
_WORDS = {
    _KIND.INVITED: "You are invited to take part in “{title}” by {host}.",
    _KIND.REMINDER: "“{title}” by {host} starts soon.",
    _KIND.SPACE_STARTED: "“{title}” by {host} is live now.",
    _KIND.TICKET_ISSUED: "Your ticket for “{title}” by {host} is here.",
    _KIND.TICKET_REFUNDED: "Your ticket for “{title}” by {host} is refunded.",
    _KIND.RECORDING_AVAILABLE: "The recording of “{title}” can be played.",
    _KIND.RECORDING_EXPIRING: "The recording of “{title}” expires soon.",
    _KIND.RECORDING_TAKEN_DOWN: "A moderator took the recording of “{title}” down. You can appeal.",
    _KIND.CASE_CLOSED: "The case about the recording of “{title}” is closed.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a notification is about."""

    space_id: UUID | None = None
    recording_id: UUID | None = None
    invitation_id: UUID | None = None


def wording(kind: NotificationKind, *, title: str, host: str) -> str:
    """The sentence that people read, in one line."""
    return " ".join(_WORDS[kind].format(title=title, host=host).split())


async def tell(
    house: House,
    made: Change,
    kind: NotificationKind,
    account_ids: Sequence[UUID],
    *,
    occasion: str,
    about: About,
    tickets: Mapping[UUID, UUID] = MappingProxyType({}),
) -> int:
    """Tell people of an occasion, in the change that it is part of; how many had not heard of it yet.

    `tickets` are theirs, by person, where it is about tickets.
    """
    # Locked, so that each one's sequence has neither holes nor doubles.
    people = (
        await Account.select_for_update().filter(id__in=list(account_ids), deleted_at=None).order_by("id")
    )
    heard = await Notification.filter(account_id__in=[one.id for one in people], occasion=occasion)
    new = [one.id for one in people if one.id not in {row.account_id for row in heard}]
    if not new:
        return 0
    numbers = Notification.filter(account_id__in=new).annotate(last=Max("sequence")).group_by("account_id")
    last: dict[UUID, int] = dict(await numbers.values_list("account_id", "last"))
    rows = [
        Notification(
            id=new_id(),
            account_id=account_id,
            sequence=last.get(account_id, 0) + 1,
            kind=kind,
            occasion=occasion,
            at=made.now,
            space_id=about.space_id,
            recording_id=about.recording_id,
            invitation_id=about.invitation_id,
            ticket_id=tickets.get(account_id),
        )
        for account_id in new
    ]
    await Notification.bulk_create(rows)
    await _send_out(house, made, {row.account_id: row.id for row in rows})
    made.topics.update(notice_topic(account_id) for account_id in new)
    return len(new)


async def _send_out(house: House, made: Change, notification_of: dict[UUID, UUID]) -> None:
    """A delivery to each address of each person."""
    people = list(notification_of)
    targets = [
        (Channel.PUSH, one.account_id, one.id) for one in await PushSubscription.filter(account_id__in=people)
    ] + [
        (Channel.EMAIL, one.account_id, one.id)
        for one in await MailAddress.filter(account_id__in=people, confirmed_at__isnull=False)
    ]
    if not targets:
        return
    await Delivery.bulk_create(
        [
            Delivery(
                id=new_id(),
                notification_id=notification_of[account_id],
                account_id=account_id,
                channel=channel,
                target_id=target_id,
                due_at=made.now,
                lapses_at=made.now + house.rules.notices_lapse_after,
            )
            for channel, account_id, target_id in targets
        ]
    )
    made.topics.add(POST)


async def of_recording(
    house: House, made: Change, kind: NotificationKind, recording: Recording, account_ids: Sequence[UUID]
) -> None:
    """Tell people of a recording."""
    about = About(space_id=recording.space_id, recording_id=recording.id)
    times = f":{made.now.timestamp()}" if kind is _KIND.CASE_CLOSED else ""
    occasion = f"{kind.value}:{recording.id}{times}"
    await tell(house, made, kind, account_ids, occasion=occasion, about=about)


async def of_tickets(
    house: House, made: Change, kind: NotificationKind, space_id: UUID, tickets: Mapping[UUID, UUID]
) -> None:
    """Tell holders of their tickets for one Space, each of theirs once; `tickets` by person."""
    await tell(
        house,
        made,
        kind,
        sorted(tickets),
        occasion=f"{kind.value}:{space_id}",
        about=About(space_id=space_id),
        tickets=tickets,
    )


async def case_closed(house: House, made: Change, recording: Recording) -> None:
    """Before a case's rows are closed: tell who reported, and the host who appealed or was looked into."""
    reporters = Report.filter(subject_id=recording.id, state=ReportState.OPEN)
    told: set[UUID] = set(await reporters.values_list("reporter_id", flat=True))  # type: ignore[arg-type]
    appealed = await Appeal.exists(recording_id=recording.id, closed_at=None)
    if appealed or await ReviewOpening.exists(recording_id=recording.id, disclosed_at=None):
        told.add(recording.host_id)
    if told:
        await of_recording(house, made, _KIND.CASE_CLOSED, recording, sorted(told))


def cursor_of(row: Notification) -> str:
    """The place of a notification in its person's sequence."""
    return EventCursor(stream=row.account_id, sequence=row.sequence, at=row.at).pack()


def _place(house: House, account_id: UUID, after: str) -> int:
    now, kept = house.clock.now(), house.rules.events_kept
    return EventCursor.read(after, stream=account_id, now=now, kept=kept).sequence


async def newest_first(
    house: House, account_id: UUID, *, most: int, after: str | None
) -> Sequence[Notification]:
    """A person's notifications before a cursor, at most `most`."""
    rows = Notification.filter(account_id=account_id)
    if after is not None:
        rows = rows.filter(sequence__lt=_place(house, account_id, after))
    return await rows.order_by("-sequence").limit(most)


async def follow(house: House, viewer: Viewer, after: str | None) -> AsyncIterator[Notification]:
    """The viewer's notifications as they come, or all since a cursor. Raises Unauthenticated."""
    account_id = viewer.signed_in().id
    with house.bus.listen(notice_topic(account_id)) as ear:
        mine = Notification.filter(account_id=account_id)
        newest = await mine.order_by("-sequence").first()
        last = newest.sequence if newest else 0
        sequence = last if after is None else _place(house, account_id, after)
        if sequence > last:
            raise InvalidInput("This cursor lies ahead of the last notification.", path=["after"])
        while True:
            found = await mine.filter(sequence__gt=sequence).order_by("sequence").limit(_BATCH)
            for row in found:
                sequence = row.sequence
                yield row
            if not found:
                await ear.wait(_POLL_S)


async def forget_old(before: datetime) -> None:
    """Drop notifications whose cursors have expired, but never the last one: the next counts on from it."""
    old = Notification.filter(at__lt=before)
    newest = (
        await Notification.filter(account_id__in=await old.distinct().values_list("account_id", flat=True))
        .annotate(last=Max("sequence"))
        .group_by("account_id")
        .values_list("account_id", "last")
    )
    for account_id, last in newest:
        await old.filter(account_id=account_id, sequence__lt=last).delete()
