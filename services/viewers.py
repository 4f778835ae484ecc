"""Who asks: an account with its session, or nobody in particular."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from models.access_token import AccessScope
from models.account import Account, Suspension
from models.lookup import blocks_of
from models.together import Part, fetch
from services import suspension
from services.errors import AccountSuspended, Forbidden, Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A provider's token that was good. `proven_at`: when the person last told the provider who they are."""

    identity_id: UUID
    issued_at: datetime
    proven_at: datetime
    expires_at: datetime


@dataclass(slots=True, kw_only=True)
class Viewer:
    """The one who asks, for the length of one operation. `account` is None for anonymous.

    Who comes by an access token may do what its `scopes` say; by a session or a provider's token, everything.
    """

    account: Account | None = None
    session_id: UUID | None = None
    access_token_id: UUID | None = None
    scopes: frozenset[AccessScope] | None = None
    proof: Proof | None = None
    # When what was shown ends by itself; None: never.
    expires_at: datetime | None = None
    address: str = ""
    # The mutation that is carried out.
    doing: str | None = None
    _hidden: frozenset[UUID] | None = field(default=None)

    @property
    def id(self) -> UUID | None:
        """The account's id; None for anonymous."""
        return self.account.id if self.account else None

    @property
    def is_signed_in(self) -> bool:
        """Whether there is an account."""
        return self.account is not None

    def is_account(self, account_id: UUID) -> bool:
        """Whether it is this account that asks."""
        return self.account is not None and self.account.id == account_id

    @property
    def is_moderator(self) -> bool:
        """Whether the account moderates this server, and may do so here."""
        if self.scopes is not None and AccessScope.MODERATION not in self.scopes:
            return False
        return bool(self.account and self.account.is_moderator)

    def afresh(self) -> "Viewer":
        """The same one, with nothing read or done so far."""
        return replace(self, _hidden=None, doing=None)

    def signed_in(self) -> Account:
        """The account. Raises Unauthenticated, or AccountSuspended unless it may do this all the same."""
        if self.account is None:
            raise Unauthenticated
        if self.account.suspension is Suspension.ACCOUNT and self.doing not in suspension.MUTATIONS:
            raise AccountSuspended
        return self.account

    def moderator(self) -> Account:
        """The account of a moderator. Raises Unauthenticated or Forbidden."""
        account = self.signed_in()
        if not self.is_moderator:
            raise Forbidden("Only moderators can do this.")
        return account

    async def hidden(self) -> frozenset[UUID]:
        """The people this viewer must not see: blocked by them or having blocked them."""
        if blocks := self.blocks():
            self.hide(*await fetch(blocks))
        return self._hidden or frozenset()

    def blocks(self) -> list[Part]:
        """What is to be read and given to `hide`, for whoever reads more at once; nothing when it has been read."""
        return [blocks_of(self.account.id)] if self.account is not None and self._hidden is None else []

    def hide(self, rows: Iterable[Any]) -> None:
        """Take the blocks that were read."""
        concerned = frozenset(one for row in rows for one in (row.blocker_id, row.blocked_id))
        self._hidden = concerned - {self.id}
