"""Writing who is present: who has lapsed, who is back, how many listen, and whether anybody is connected at all."""

from datetime import datetime
from uuid import UUID

import structlog

from models.attendance import Attendance
from models.participant import Participant
from models.space import Space, SpaceState
from services import entering
from services.changes import Change, again, change
from services.deadline import NEVER
from services.house import House
from services.presence import Room, Someone, Standing, account_key

log = structlog.get_logger(__name__)

# Rows looked up in one statement.
_BATCH = 500


async def begin(house: House, since: datetime) -> None:
    """After a start: everybody in a live Space has a window to be heard of, and the time since `since` counts."""
    live = await Space.filter(state=SpaceState.LIVE)
    for space in live:
        async for row in Participant.filter(space_id=space.id, left_at=None):
            house.presence.seen(space.id, row.account_id)
        if space.alone_since is None:
            await Space.filter(id=space.id).update(alone_since=since)
        await settle(house, space.id)


async def settle_changed(house: House) -> None:
    """Write every Space of which something was heard since."""
    for space_id in list(house.presence.changed):
        await again(lambda space_id=space_id: settle(house, space_id))  # type: ignore[misc]


async def settle(house: House, space_id: UUID) -> None:
    """Make the rows of one Space say who is present now."""
    house.presence.changed.discard(space_id)
    try:
        async with change(house) as made:
            space = await Space.select_for_update().get_or_none(id=space_id)
            room = house.presence.rooms.get(space_id)
            if space is None or space.state is not SpaceState.LIVE or room is None:
                house.presence.forget_space(space_id)
                return
            lapsed = await _settle(house, made, space, room)
    except BaseException:
        house.presence.changed.add(space_id)
        raise
    for account_id in lapsed:
        await entering.cut_audio(house, space_id, account_id)


async def _settle(house: House, made: Change, space: Space, room: Room) -> list[UUID]:
    await _look_up(house, made, space, room)
    lapsed = await _lapse(house, made, space, room)
    await _count_audience(house, made, space, room)
    _mind_loneliness(house, made, space)
    await space.save()
    room.due_at = _next_silence(house, room)
    return lapsed


async def _look_up(house: House, made: Change, space: Space, room: Room) -> None:
    """What accounts that were heard of are here; who had only fallen silent is in again."""
    unknown = {one.account_id: one for one in room.people.values() if one.account_id and one.standing is None}
    names = list(unknown)
    for start in range(0, len(names), _BATCH):
        rows = Participant.filter(space_id=space.id, account_id__in=names[start : start + _BATCH])
        for row in await rows.select_for_update():
            one = unknown.pop(row.account_id)
            one.standing = Standing.JOINED if row.left_at is None else Standing.OUT
            heard = one.heads(made.now, house.presence.window)
            if one.standing is Standing.OUT and row.has_lapsed and heard:
                await entering.enter(house, made, space, row)
                one.standing = Standing.JOINED
    for one in unknown.values():
        one.standing = Standing.AUDIENCE


async def _lapse(house: House, made: Change, space: Space, room: Room) -> list[UUID]:
    """Who has joined and was not heard of for a window has gone, as of its end."""
    window = house.presence.window
    silent = {
        one.account_id: one
        for one in room.people.values()
        if one.standing is Standing.JOINED
        and one.account_id
        and not one.is_connected
        and one.last_sign() + window <= made.now
    }
    names = list(silent)
    for start in range(0, len(names), _BATCH):
        batch = names[start : start + _BATCH]
        rows = Participant.filter(space_id=space.id, account_id__in=batch, left_at=None)
        for row in await rows.select_for_update():
            row.has_lapsed = True
            await entering.go_out(
                house, made, space, row, at=max(row.joined_at, silent[row.account_id].last_sign() + window)
            )
    for one in silent.values():
        if one.players:
            room.gone_at = max(room.gone_at, max(one.players.values()) + window)
        room.people.pop(account_key(one.account_id), None)  # type: ignore[arg-type]
    return names


async def _count_audience(house: House, made: Change, space: Space, room: Room) -> None:
    """Those present who have not joined: counted now, at the peak, and once each in all."""
    window, grown, audience = house.presence.window, {}, 0
    for key, one in list(room.people.items()):
        for player in [name for name, at in one.players.items() if at + window <= made.now]:
            room.gone_at = max(room.gone_at, one.players.pop(player) + window)
        if one.standing in {Standing.JOINED, Standing.OUT}:
            one.counted = 0
            if one.standing is Standing.OUT and not one.is_connected and not one.players:
                del room.people[key]
            continue
        one.counted = one.heads(made.now, window)
        audience += one.counted
        if one.most is None or one.counted > one.most:
            grown[key] = one
        if not one.counted and not one.is_connected:
            del room.people[key]
    space.total_listener_count += await _newly_attended(space, grown)
    space.participant_count += audience - space.audience_count
    space.audience_count = audience
    space.peak_listener_count = max(space.peak_listener_count, space.participant_count)


async def _newly_attended(space: Space, grown: dict[str, Someone]) -> int:
    """How many of them were never counted in this Space; kept, so that a restart counts nobody twice."""
    new, names = 0, [key for key, one in grown.items() if one.counted]
    for start in range(0, len(names), _BATCH):
        batch = names[start : start + _BATCH]
        known = {row.key: row for row in await Attendance.filter(space_id=space.id, key__in=batch)}
        for key in batch:
            before = known[key].most if key in known else 0
            grown[key].most = max(before, grown[key].counted)
            new += max(0, grown[key].counted - before)
            if key in known and grown[key].counted > before:
                await Attendance.filter(id=known[key].id).update(most=grown[key].counted)
        await Attendance.bulk_create(
            [
                Attendance(space_id=space.id, key=key, most=grown[key].counted)
                for key in batch
                if key not in known
            ]
        )
    return new


def _mind_loneliness(house: House, made: Change, space: Space) -> None:
    if house.presence.is_anyone_connected(space.id):
        space.alone_since = None
    elif space.alone_since is None:
        since = house.presence.alone_since(space.id)
        space.alone_since = max(space.started_at or since, min(since, made.now))
        made.mind(space)


def _next_silence(house: House, room: Room) -> datetime:
    window, soonest = house.presence.window, NEVER
    for one in room.people.values():
        if one.players:
            soonest = min(soonest, min(one.players.values()) + window)
        if one.standing is Standing.JOINED and not one.is_connected:
            soonest = min(soonest, one.last_sign() + window)
    return soonest


async def forget(space: Space) -> None:
    """The Space is over: nobody needs to know any more who was in it without joining."""
    await Attendance.filter(space_id=space.id).delete()
