"""Who comes in: from bearer token to viewer."""

import asyncio
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tortoise.exceptions import OperationalError

from api.graphql.door import Asked, Kind
from schema.context import Context
from services import accounts, deadlines, identities, tokens
from services.bus import person_topic
from services.errors import DATABASE_RETRY_MS, Forbidden, Unavailable
from services.house import House
from services.viewers import Viewer

_SOONEST_S = 0.1


@dataclass(frozen=True, slots=True)
class HouseVisit:
    """One visitor, for a request or a socket."""

    house: House
    viewer: Viewer

    @property
    def person(self) -> str:
        """The key that limits count by."""
        return f"account:{self.viewer.id}" if self.viewer.id else f"address:{self.viewer.address}"

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody is signed in."""
        return self.viewer.id is None

    def operation_context(self, asked: Asked) -> Context:
        """A fresh context: nothing that one operation read is seen by another."""
        return Context(self.house, self.viewer, refusal=asked.refusal, refused=asked.refused)

    async def still_welcome(self) -> bool:
        """Whether the session or access token stands. While the database is away nobody is sent off."""
        await deadlines.settle(self.house)
        session_id, token_id = self.viewer.session_id, self.viewer.access_token_id
        try:
            if self.viewer.proof is not None:
                return await identities.is_good(self.house, self.viewer.proof)
            if token_id is not None:
                return await tokens.is_good(self.house, token_id)
            return session_id is None or await accounts.is_open(self.house, session_id)
        except OperationalError:
            return True

    def may_call(self, mutations: Iterable[str]) -> bool:
        """Whether the scopes of the token, if it is one, open these mutations."""
        try:
            for name in mutations:
                tokens.check_mutation(self.viewer, name)
        except Forbidden:
            return False
        return True

    def check_kind(self, kind: Kind) -> None:
        """Raise Forbidden for a query or subscription by a token that may not read."""
        if kind is not Kind.MUTATION:
            tokens.check_read(self.viewer)

    async def rest(self, seconds: float) -> bool:
        """Wait so long. True when it was cut short, for what the person has shown may have ended."""
        if self.viewer.id is None:
            await asyncio.sleep(seconds)
            return False
        left_s = self._left_s()
        with self.house.bus.listen(person_topic(self.viewer.id)) as ear:
            return await ear.wait(min(seconds, left_s)) or left_s <= seconds

    def _left_s(self) -> float:
        """Until what was shown ends by itself."""
        expires_at = self.viewer.expires_at
        if expires_at is None:
            return math.inf
        # Not in no time: one that has expired may be let stay while the database is away.
        return max((expires_at - self.house.clock.now()).total_seconds(), _SOONEST_S)


@dataclass(frozen=True, slots=True)
class HouseDoor:
    """Lets visitors in by their session's token."""

    house: House

    async def enter(
        self,
        *,
        token: str | None,
        address: str,
        headers: Mapping[str, str],  # noqa: ARG002 (nothing but the token says who asks)
    ) -> HouseVisit:
        """The visit of who shows `token`. Raises Unauthenticated, or Unavailable while the database is away."""
        await deadlines.settle(self.house)
        try:
            return HouseVisit(self.house, await accounts.authenticate(self.house, token, address=address))
        except OperationalError as error:
            raise Unavailable(retry_after_ms=DATABASE_RETRY_MS) from error
