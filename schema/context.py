"""What resolvers have at hand for one operation."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import strawberry

from models.account import Account
from schema.rows import Rows
from services.errors import SpacesError
from services.house import House
from services.viewers import Viewer


@dataclass(slots=True)
class Context:
    """Who asks, the services' house, and the rows read so far. `now` stands still while one answer is made.

    `refusal` is what every mutation answers instead of being carried out; `refused` gathers what mutations refused.
    `done` keeps what each mutation of the operation came to, by its name in the answer.
    """

    house: House
    viewer: Viewer
    refusal: SpacesError | None = None
    refused: list[SpacesError] = field(default_factory=list)
    done: dict[str | int, Any] = field(default_factory=dict)
    now: datetime = field(init=False)
    rows: Rows = field(init=False)

    def __post_init__(self) -> None:
        self.refresh()

    async def renew(self) -> None:
        """Read the account anew: a socket lives longer than what was read when it opened."""
        if self.viewer.account is not None:
            self.viewer.account = await Account.get(id=self.viewer.account.id)
            self.viewer.account.suspension = self.viewer.account.suspended_at(self.house.clock.now())

    async def seen_accounts(self, ids: set[UUID]) -> set[UUID]:
        """Whom of some people the viewer sees: read with all else that the answer asks for."""
        people = await asyncio.gather(*(self.rows.by_id(Account, one) for one in ids))
        return {one.id for one in people if one is not None}

    def let_go(self) -> None:
        """Nothing more is asked: what was read need not wait for the garbage collector."""
        self.rows.let_go()

    def refresh(self) -> None:
        """Forget what was read: before and after a mutation, and before each event of a subscription."""
        self.viewer = self.viewer.afresh()
        self.now = self.house.clock.now()
        self.rows = Rows(self.viewer)


Info: TypeAlias = strawberry.Info[Context, None]
