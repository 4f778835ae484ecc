"""Who is present in live Spaces: media connections, subscriptions, playlists.

Rows say who has joined; this says of whom something was heard, and since when not. It is kept in memory, bounded
by the number of those present, and written by `services.attendance`, in the one process that keeps the rooms. What the
other API processes hear reaches it by `services.fronts`.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

from services.bus import Ear
from services.clock import Clock
from services.deadline import NEVER

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
# As many as a live link can carry.
_ORIGIN_BYTES = 6


class Standing(Enum):
    """What an account that is heard of is in a Space."""

    JOINED = 1
    AUDIENCE = 2
    OUT = 3


def account_key(account_id: UUID) -> str:
    """What an account is counted by."""
    return account_id.hex


@dataclass(slots=True)
class Someone:
    """An account, or everybody without one at one address."""

    account_id: UUID | None
    since: datetime
    subscriptions: int = 0
    # By id: whether it publishes.
    sessions: dict[str, bool] = field(default_factory=dict)
    players: dict[bytes, datetime] = field(default_factory=dict)
    standing: Standing | None = None
    counted: int = 0
    most: int | None = None

    @property
    def is_connected(self) -> bool:
        """Whether a connection stands, which is lost and not forgotten."""
        return self.subscriptions > 0 or bool(self.sessions)

    def heads(self, now: datetime, window: timedelta) -> int:
        """How many are present. At one address a subscription and a player may be one person: the larger number."""
        playing = sum(at + window > now for at in self.players.values())
        if self.account_id is not None:
            return min(1, self.subscriptions + len(self.sessions) + playing)
        return max(self.subscriptions, playing)

    def last_sign(self) -> datetime:
        """When something was last heard."""
        return max(self.since, max(self.players.values(), default=_LONG_AGO))


@dataclass(slots=True)
class Room:
    """One Space's. `due_at`: no later than when somebody's silence next tells."""

    people: dict[str, Someone] = field(default_factory=dict)
    due_at: datetime = NEVER
    gone_at: datetime = _LONG_AGO


class Presence:
    """Rooms, and which of them have changed since they were last written."""

    def __init__(self, clock: Clock, *, window: timedelta, key: bytes) -> None:
        self._clock = clock
        self.key = key
        self.window = window
        self.rooms: dict[UUID, Room] = {}
        self.changed: set[UUID] = set()
        self.ear = Ear()

    def origin(self, space_id: UUID, address: str) -> str:
        """A name for an address within one Space, which nobody can trace back without the key."""
        told = space_id.bytes + address.encode(errors="replace")
        return hmac.new(self.key, b"spaces origin\0" + told, hashlib.sha256).digest()[:_ORIGIN_BYTES].hex()

    def _touch(self, space_id: UUID) -> None:
        self.changed.add(space_id)
        self.ear.wake()

    def _someone(self, space_id: UUID, key: str, account_id: UUID | None) -> Someone:
        room = self.rooms.setdefault(space_id, Room())
        found = room.people.get(key)
        if found is None:
            found = room.people[key] = Someone(account_id=account_id, since=self._clock.now())
            self._touch(space_id)
        return found

    def _of(self, space_id: UUID, account_id: UUID | None, origin: str) -> Someone:
        key = account_key(account_id) if account_id is not None else origin
        return self._someone(space_id, key, account_id)

    def _expect_silence(self, space_id: UUID, at: datetime) -> None:
        room = self.rooms.get(space_id)
        if room is not None:
            room.due_at = min(room.due_at, at + self.window)

    @contextmanager
    def subscribed(self, space_id: UUID, *, account_id: UUID | None, address: str) -> Iterator[None]:
        """Present for as long as the block lasts."""
        origin = self.origin(space_id, address) if account_id is None else ""
        self.follows(space_id, account_id, origin)
        try:
            yield
        finally:
            self.follows_no_more(space_id, account_id, origin)

    def follows(self, space_id: UUID, account_id: UUID | None, origin: str) -> None:
        """A subscription has begun."""
        self._of(space_id, account_id, origin).subscriptions += 1
        self._touch(space_id)

    def follows_no_more(self, space_id: UUID, account_id: UUID | None, origin: str) -> None:
        """A subscription has ended."""
        found = self._of(space_id, account_id, origin)
        found.subscriptions = max(0, found.subscriptions - 1)
        self._lost(space_id, found)

    def fetched(self, space_id: UUID, *, account_id: UUID | None, origin: str, player: bytes) -> None:
        """A live playlist was fetched."""
        found = self._of(space_id, account_id, origin)
        now = self._clock.now()
        if player not in found.players or found.players[player] + self.window <= now:
            self._touch(space_id)
        found.players[player] = now
        self._expect_silence(space_id, now)

    def connected(self, space_id: UUID, account_id: UUID, session_id: str, *, publishes: bool) -> None:
        """A media session is up."""
        self._of(space_id, account_id, "").sessions[session_id] = publishes
        self._touch(space_id)

    def disconnected(self, space_id: UUID, account_id: UUID, session_id: str) -> bool:
        """A media session is gone. Whether it was the one in which the person published."""
        found = self._of(space_id, account_id, "")
        publishes = found.sessions.pop(session_id, False)
        self._lost(space_id, found)
        return publishes and not any(found.sessions.values())

    def lose_media(self, *, only: Collection[UUID] | None = None) -> None:
        """Every media session is gone, or those of some Spaces."""
        for space_id, room in self.rooms.items():
            if only is not None and space_id not in only:
                continue
            for found in room.people.values():
                if found.sessions:
                    found.sessions.clear()
                    self._lost(space_id, found)

    def _lost(self, space_id: UUID, found: Someone) -> None:
        now = self._clock.now()
        found.since = now
        self.rooms[space_id].gone_at = now
        self._expect_silence(space_id, now)
        self._touch(space_id)

    def seen(self, space_id: UUID, account_id: UUID) -> None:
        """A person has joined or done something: a sign, though no connection, and in the rows already."""
        people = self.rooms.setdefault(space_id, Room()).people
        found = people.setdefault(
            account_key(account_id), Someone(account_id=account_id, since=self._clock.now())
        )
        found.since = self._clock.now()
        # Looked up again at the next writing: the change that this belongs to may yet fail.
        found.standing = None
        self._expect_silence(space_id, found.since)

    def opened(self, space_id: UUID, *, host_id: UUID) -> None:
        """A Space was launched: who waited for it is in it from now on."""
        self.seen(space_id, host_id)
        self._touch(space_id)

    async def publishes_by_another(
        self, space_id: UUID, account_id: UUID, session_ids: Collection[str]
    ) -> bool:
        """Whether a person is heard by a session that is none of these."""
        room = self.rooms.get(space_id)
        found = room.people.get(account_key(account_id)) if room else None
        sessions = found.sessions if found else {}
        return any(publishes and one not in session_ids for one, publishes in sessions.items())

    async def takes_from_audience(self, space_id: UUID, account_id: UUID) -> bool:
        """Whether this account is counted as audience; from here on it is not."""
        room = self.rooms.get(space_id)
        found = room.people.get(account_key(account_id)) if room else None
        if found is None or not found.counted:
            return False
        found.counted, found.standing = 0, None
        self._touch(space_id)
        return True

    def forget_account(self, space_id: UUID, account_id: UUID) -> None:
        """Went out: what stays open of theirs is looked at anew."""
        room = self.rooms.get(space_id)
        found = room.people.get(account_key(account_id)) if room else None
        if found is not None:
            found.standing = None
            self._touch(space_id)

    def is_anyone_connected(self, space_id: UUID) -> bool:
        """Whether a connection stands, or a playlist was fetched within the window."""
        now, room = self._clock.now(), self.rooms.get(space_id)
        return room is not None and any(
            one.heads(now, self.window) for one in room.people.values() if one.standing is not Standing.OUT
        )

    def alone_since(self, space_id: UUID) -> datetime:
        """When the last connection was lost or the last playlist was a window old; long ago for never."""
        room = self.rooms.get(space_id)
        return room.gone_at if room else _LONG_AGO

    @property
    def due_at(self) -> datetime:
        """No later than when somebody's silence next tells."""
        return min((room.due_at for room in self.rooms.values()), default=NEVER)

    def due(self, now: datetime) -> list[UUID]:
        """Spaces in which somebody may have been silent for too long."""
        return [space_id for space_id, room in self.rooms.items() if room.due_at <= now]

    def forget_space(self, space_id: UUID) -> None:
        """The Space is not live: only open subscriptions are kept, for when it is."""
        self.changed.discard(space_id)
        room = self.rooms.get(space_id)
        if room is None:
            return
        room.people = {key: one for key, one in room.people.items() if one.subscriptions}
        room.due_at, room.gone_at = NEVER, _LONG_AGO
        for one in room.people.values():
            one.players.clear()
            one.sessions.clear()
            one.counted, one.most, one.standing = 0, None, None
        if not room.people:
            del self.rooms[space_id]
