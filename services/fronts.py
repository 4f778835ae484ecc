"""What API processes beside the one that keeps the rooms must tell it, so that all count alike.

A front hears people and tells of them; `Guests` are those of one front, taken into the presence of the keeper. When a
front is gone, however it went, its guests are gone from that moment.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any
from uuid import UUID

from services.clock import Clock
from services.presence import Presence

# A message: what, then its arguments, as JSON has them.
Message = Sequence[Any]
Tell = Callable[[Message], None]
Ask = Callable[[Message], Awaitable[Any]]


class TellingPresence(Presence):
    """A front's: nothing is kept, all is told. Its rooms stay empty, so nothing becomes due here."""

    def __init__(self, clock: Clock, *, like: Presence, tell: Tell, ask: Ask) -> None:
        """`like` has the window and the key."""
        super().__init__(clock, window=like.window, key=like.key)
        self._tell = tell
        self._ask = ask

    def follows(self, space_id: UUID, account_id: UUID | None, origin: str) -> None:
        self._tell(["follows", space_id.hex, _hex(account_id), origin])

    def follows_no_more(self, space_id: UUID, account_id: UUID | None, origin: str) -> None:
        self._tell(["follows_no_more", space_id.hex, _hex(account_id), origin])

    def fetched(self, space_id: UUID, *, account_id: UUID | None, origin: str, player: bytes) -> None:
        self._tell(["fetched", space_id.hex, _hex(account_id), origin, player.hex()])

    def seen(self, space_id: UUID, account_id: UUID) -> None:
        self._tell(["seen", space_id.hex, account_id.hex])

    def opened(self, space_id: UUID, *, host_id: UUID) -> None:
        self._tell(["opened", space_id.hex, host_id.hex])

    def forget_account(self, space_id: UUID, account_id: UUID) -> None:
        self._tell(["forget_account", space_id.hex, account_id.hex])

    def forget_space(self, space_id: UUID) -> None:
        self._tell(["forget_space", space_id.hex])

    async def takes_from_audience(self, space_id: UUID, account_id: UUID) -> bool:
        return bool(await self._ask(["takes_from_audience", space_id.hex, account_id.hex]))

    async def publishes_by_another(
        self, space_id: UUID, account_id: UUID, session_ids: Collection[str]
    ) -> bool:
        return bool(await self._ask(["publishes_by_another", space_id.hex, account_id.hex, *session_ids]))


def _hex(account_id: UUID | None) -> str | None:
    return account_id.hex if account_id is not None else None


class Guests:
    """Those who are present through one front."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._following: Counter[tuple[UUID, UUID | None, str]] = Counter()

    def hear(self, message: Message) -> bool:
        """Take a message in; whether it is one about presence. Raises ValueError or TypeError for nonsense."""
        presence = self._presence
        match message:
            case ["follows", space, account, origin]:
                who = UUID(space), _id(account), origin
                self._following[who] += 1
                presence.follows(*who)
            case ["follows_no_more", space, account, origin]:
                self._end(UUID(space), _id(account), origin)
            case ["fetched", space, account, origin, player]:
                player = bytes.fromhex(player)
                presence.fetched(UUID(space), account_id=_id(account), origin=origin, player=player)
            case ["seen", space, account]:
                presence.seen(UUID(space), UUID(account))
            case ["opened", space, host]:
                presence.opened(UUID(space), host_id=UUID(host))
            case ["forget_account", space, account]:
                presence.forget_account(UUID(space), UUID(account))
            case ["forget_space", space]:
                presence.forget_space(UUID(space))
            case _:
                return False
        return True

    async def answer(self, message: Message) -> bool:
        """What is asked within a change. Raises ValueError when it makes no sense."""
        match message:
            case ["takes_from_audience", space, account]:
                return await self._presence.takes_from_audience(UUID(space), UUID(account))
            case ["publishes_by_another", space, account, *session_ids]:
                return await self._presence.publishes_by_another(UUID(space), UUID(account), session_ids)
        raise ValueError(f"expected a question, got {message[:1]}")

    def _end(self, space_id: UUID, account_id: UUID | None, origin: str) -> None:
        who = space_id, account_id, origin
        if not self._following[who]:
            return
        self._following[who] -= 1
        if not self._following[who]:
            del self._following[who]
        self._presence.follows_no_more(*who)

    def gone(self) -> None:
        """The front is gone, and with it every subscription that it carried."""
        for who, times in self._following.items():
            for _ in range(times):
                self._presence.follows_no_more(*who)
        self._following.clear()


def _id(account: str | None) -> UUID | None:
    return UUID(account) if account is not None else None
