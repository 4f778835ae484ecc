"""Who comes in: from bearer token to viewer."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from tortoise.exceptions import OperationalError

from api.graphql.door import Asked, Kind
from schema.context import Context
from services import accounts, deadlines, identities, tokens
from services.bus import person_topic
from services.errors import DATABASE_RETRY_MS, Unavailable
from services.house import House
from services.viewers import Viewer


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

    def check_kind(self, kind: Kind) -> None:
        """Raise Forbidden for a query or subscription by a token that may not read."""
        if kind is not Kind.MUTATION:
            tokens.check_read(self.viewer)

    async def rest(self, seconds: float) -> bool:
        """Wait so long. True when it was cut short, for a session of the person may have ended."""
        if self.viewer.id is None:
            await asyncio.sleep(seconds)
            return False
        with self.house.bus.listen(person_topic(self.viewer.id)) as ear:
            return await ear.wait(seconds)


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
