"""Who may record, and why."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from models.account import Account, Suspension
from models.dialect import Lock, alone
from models.rollout import Rollout, RolloutAllowed, RolloutStage
from models.space import Platform
from services import text
from services.changes import change
from services.errors import InvalidInput, RecordingNotRolledOut
from services.house import House
from services.viewers import Viewer

_ROW = "recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligibility:
    """The answer with its reason and rule, in words."""

    allowed: bool
    reason: str


def bucket(account_id: UUID) -> int:
    """A number from 0 to 99 that stays with the account: it is in at every percentage above it."""
    return int.from_bytes(hashlib.sha256(b"rollout" + account_id.bytes).digest()[:8], "big") % 100


async def current() -> Rollout:
    """The rollout in force."""
    found = await Rollout.get_or_none(id=_ROW)
    return found or Rollout(
        id=_ROW, stage=RolloutStage.EVERYONE, platforms=[p.value for p in Platform], percentage=0
    )


async def eligibility(account: Account, platform: Platform, now: datetime) -> Eligibility:
    """Whether the account may record from the platform."""
    if account.suspended_at(now) is not Suspension.NONE:
        return Eligibility(allowed=False, reason="suspended: a moderator has taken the right to record")
    rollout = await current()
    listed = await RolloutAllowed.exists(account_id=account.id)
    return _decide(rollout, account.id, platform, listed=listed)


def _decide(rollout: Rollout, account_id: UUID, platform: Platform, *, listed: bool) -> Eligibility:
    """The rule, pure."""
    if rollout.stage is RolloutStage.EVERYONE:
        return Eligibility(
            allowed=True, reason="everyone: recording is open to every account on every platform"
        )
    if rollout.stage is RolloutStage.OFF:
        return Eligibility(allowed=False, reason="off: recording is switched off on this server")
    if platform.value not in rollout.platforms:
        return Eligibility(allowed=False, reason=f"platform: recording is not open on {platform.value} yet")
    if listed:
        return Eligibility(allowed=True, reason="allow-list: the account is on the list")
    if bucket(account_id) < rollout.percentage:
        return Eligibility(
            allowed=True, reason=f"percentage: the account is among the first {rollout.percentage} %"
        )
    return Eligibility(
        allowed=False, reason=f"percentage: the account is not among the first {rollout.percentage} % yet"
    )


async def require(account: Account, platform: Platform, now: datetime, *, field: str) -> None:
    """Raise RecordingNotRolledOut, with the reason, unless the account may record. `field` asked for it."""
    answer = await eligibility(account, platform, now)
    if not answer.allowed:
        raise RecordingNotRolledOut(
            f"Recording is not open to this account ({answer.reason}). Go on with `{field}: false`.",
            path=[field],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a moderator wants changed; None stays."""

    stage: RolloutStage | None = None
    platforms: list[Platform] | None = None
    percentage: int | None = None
    allow_handles: tuple[str, ...] = ()
    remove_handles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The rollout as wished, and how many accounts' answers (from any listed platform) change with it."""

    rollout: Rollout
    gaining: int
    losing: int


async def update(house: House, viewer: Viewer, wish: Wish, *, dry_run: bool) -> Outcome:
    """Change the rollout, or with `dry_run` only count. A running recording is never stopped by it."""
    actor = viewer.moderator()
    if wish.percentage is not None and not 0 <= wish.percentage <= 100:
        raise InvalidInput(f"percentage must be 0 to 100, got {wish.percentage}.", path=["percentage"])
    async with change(house) as made:
        await alone(Lock.ROLLOUT)
        before = await current()
        allowed = {row.account_id for row in await RolloutAllowed.all()}
        after = Rollout(
            id=_ROW,
            stage=wish.stage or before.stage,
            platforms=before.platforms
            if wish.platforms is None
            else sorted({p.value for p in wish.platforms}),
            percentage=before.percentage if wish.percentage is None else wish.percentage,
        )
        add = await _accounts(wish.allow_handles, "allowHandles")
        remove = await _accounts(wish.remove_handles, "removeHandles")
        outcome = await _count(before, after, allowed, (allowed | add) - remove)
        if not dry_run:
            await Rollout.update_or_create(
                id=_ROW,
                defaults={"stage": after.stage, "platforms": after.platforms, "percentage": after.percentage},
            )
            await RolloutAllowed.bulk_create(
                [RolloutAllowed(account_id=one) for one in add - allowed - remove]
            )
            await RolloutAllowed.filter(account_id__in=list(remove)).delete()
            facts = f"{after.stage.value} {after.percentage}% {','.join(after.platforms)} +{len(add)} -{len(remove)}"
            await made.audit("rollout.updated", "rollout", actor.id, actor_id=actor.id, outcome=facts[:200])
    return outcome


async def _accounts(handles: tuple[str, ...], field: str) -> set[UUID]:
    keys = {text.handle(handle, field).lower() for handle in handles}
    found = await Account.filter(handle_key__in=list(keys), deleted_at=None) if keys else []
    if missing := keys - {account.handle_key for account in found}:
        raise InvalidInput(f"No account has the handle '{min(missing)}'.", path=[field])
    return {account.id for account in found}


async def _count(
    before: Rollout, after: Rollout, listed_before: set[UUID], listed_after: set[UUID]
) -> Outcome:
    gaining = losing = 0
    for account in await Account.filter(deleted_at=None).only("id"):
        account_id = account.id
        had = any(
            _decide(before, account_id, p, listed=account_id in listed_before).allowed for p in Platform
        )
        has = any(_decide(after, account_id, p, listed=account_id in listed_after).allowed for p in Platform)
        gaining += has and not had
        losing += had and not has
    return Outcome(rollout=after, gaining=gaining, losing=losing)


async def refusal_at_launch(host: Account, now: datetime) -> str | None:
    """Why what was toggled while it was allowed is not recorded after all; None: it is."""
    if host.suspended_at(now) is not Suspension.NONE:
        return "A moderator has taken the right to record from this account."
    if (await current()).stage is RolloutStage.OFF:
        return "Recording is switched off on this server."
    return None
