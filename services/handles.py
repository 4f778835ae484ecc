"""Handles: who may have which. One that somebody has, or had before they went, is nobody else's."""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Iterable

from models.account import Account
from services.errors import Conflict

_MOST_CHARS = 30
_LEAST_CHARS = 3
# Where no number up to this makes a name free, chance does.
_MOST_NUMBER = 9
_RESERVED = "deleted"


def spent_key(handle_key: str) -> str:
    """What stands in place of a deleted account's handle."""
    return "-" + hashlib.sha256(b"spent handle " + handle_key.encode()).hexdigest()[:39]


async def require_free(handle: str) -> None:
    """Raise Conflict for a handle that cannot be had."""
    if not await _free([handle]):
        raise Conflict(f"The handle '{handle}' is taken. Choose another.", path=["handle"])


async def free_like(wishes: Iterable[str]) -> str:
    """A handle that is free, as near as can be to the first wish that has something of a handle in it."""
    base = next(filter(None, map(_cleaned, wishes)), "member")
    numbers = [str(number) for number in range(2, _MOST_NUMBER + 1)] + [str(secrets.randbelow(10**9))]
    candidates = [base, *(f"{base[: _MOST_CHARS - len(number) - 1]}_{number}" for number in numbers)]
    free = await _free(candidates)
    # The last one is free but for a chance of one in a thousand million; then the row's constraint says so.
    return free[0] if free else candidates[-1]


async def _free(handles: list[str]) -> list[str]:
    keys = {handle: handle.lower() for handle in handles}
    asked = [*keys.values(), *map(spent_key, keys.values())]
    taken = set(await Account.filter(handle_key__in=asked).values_list("handle_key", flat=True))
    return [handle for handle, key in keys.items() if key != _RESERVED and not {key, spent_key(key)} & taken]


def _cleaned(wish: str) -> str:
    """What of a name at a provider, or of an e-mail address, can be in a handle; empty for too little."""
    plain = unicodedata.normalize("NFKD", wish.partition("@")[0]).encode("ascii", "ignore").decode()
    cleaned = re.sub(r"[^A-Za-z0-9_]+", "_", plain).strip("_")[:_MOST_CHARS].strip("_")
    return cleaned if len(cleaned) >= _LEAST_CHARS else ""
