"""Signing up, in and out, and the profile."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID
from weakref import WeakValueDictionary

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from models.access_token import AccessScope
from models.account import Account
from models.lookup import signed_in
from models.search_word import WordKind
from models.session import Session
from models.together import fetch
from services import handles, identities, openid, search, text, tokens, visibility
from services.bus import person_topic
from services.changes import change, new_id
from services.errors import Conflict, Forbidden, NotFound, RateLimited, Unauthenticated
from services.house import House
from services.viewers import Viewer

# Whose turn it is to guess, an account; gone when nobody waits.
_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
_HOUR_S = 3600.0
_TOKEN_PREFIX = "sps_"  # noqa: S105 (tells leaked tokens apart from other strings)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A new session; its token is told this once."""

    account: Account
    token: str
    expires_at: datetime


def _spend(house: House, key: str, limit: int, per_seconds: float) -> None:
    if house.rules.rate_limits and (wait := house.limiter.check(key, limit=limit, per_seconds=per_seconds)):
        raise RateLimited(retry_after_ms=wait)


@cache
def _hasher(memory_mib: int) -> PasswordHasher:
    """With 19 MiB the least that OWASP's password storage cheat sheet asks of Argon2id: 2 passes, 1 lane."""
    return PasswordHasher(time_cost=2, memory_cost=memory_mib * 1024, parallelism=1)


@cache
def _nobodys_hash(hasher: PasswordHasher) -> str:
    """What an unknown handle is checked against, so that it takes as long as a wrong password."""
    return hasher.hash(secrets.token_urlsafe(16))


def _hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def authenticate(house: House, token: str | None, *, address: str) -> Viewer:
    """The viewer behind a bearer token; anonymous without one. Raises Unauthenticated for a bad one."""
    if token is None:
        return Viewer(address=address)
    viewer = await _identified(house, token) if token.isascii() else None
    if viewer is None or viewer.account is None:
        raise Unauthenticated("This token is not valid or has expired. Sign in again.")
    viewer.account.suspension = viewer.account.suspended_at(house.clock.now())
    viewer.address = address
    return viewer


async def _identified(house: House, token: str) -> Viewer | None:
    if openid.is_one(token):
        return await identities.viewer_of(house, token)
    if token.startswith(tokens.PREFIX):
        shown = await tokens.used(house, token)
        if shown is None:
            return None
        account = await Account.get_or_none(id=shown.account_id, deleted_at=None)
        scopes = frozenset(map(AccessScope, shown.scopes))
        return Viewer(account=account, access_token_id=shown.id, scopes=scopes, expires_at=shown.expires_at)
    sessions, accounts = await fetch(signed_in(_hash_token(token)))
    if not sessions or not accounts or sessions[0].expires_at <= house.clock.now():
        return None
    return Viewer(account=accounts[0], session_id=sessions[0].id, expires_at=sessions[0].expires_at)


async def is_open(house: House, session_id: UUID) -> bool:
    """Whether a session still stands."""
    return await Session.exists(id=session_id, expires_at__gt=house.clock.now())


async def _open_session(house: House, account: Account, now: datetime) -> SignedIn:
    token = _TOKEN_PREFIX + secrets.token_urlsafe(32)
    expires_at = now + house.rules.session_for
    await Session.create(
        id=new_id(),
        account_id=account.id,
        token_hash=_hash_token(token),
        created_at=now,
        expires_at=expires_at,
    )
    return SignedIn(account=account, token=token, expires_at=expires_at)


async def sign_up(house: House, viewer: Viewer, *, handle: str, name: str, password: str) -> SignedIn:
    """Create an account and sign it in."""
    handle = text.handle(handle)
    name = text.line(name, "name", most=100)
    text.password(password, "password")
    _spend(house, f"sign-up:{viewer.address}", house.rules.sign_ups_per_hour, _HOUR_S)
    await handles.require_free(handle)
    hashed = await asyncio.to_thread(_hasher(house.rules.password_hash_mib).hash, password.encode())
    async with change(house) as made:
        await handles.require_free(handle)
        account = await Account.create(
            id=new_id(),
            handle=handle,
            handle_key=handle.lower(),
            name=name,
            password_hash=hashed,
            created_at=made.now,
        )
        await search.index(WordKind.ACCOUNT, account.id, handle, name)
        return await _open_session(house, account, made.now)


async def sign_in(house: House, *, handle: str, password: str) -> SignedIn:
    """Open a session. The answer does not tell a wrong password from an unknown handle."""
    key = _guess_key(handle)
    # One guess at an account at a time: else many at once would all come before the first is counted.
    async with _turns.setdefault(key, asyncio.Lock()):
        account = await _guess(house, key, handle=handle, password=password)
    async with change(house) as made:
        # The password may have been changed, or the account deleted, while it was checked.
        if not await Account.exists(id=account.id, password_hash=account.password_hash, deleted_at=None):
            raise Unauthenticated("Handle or password is wrong. Check both and try again.")
        return await _open_session(house, account, made.now)


async def confirm(house: House, account: Account, password: str, *, field: str) -> None:
    """Make sure that it is the person who asks. Raises Forbidden, and RateLimited like a sign-in."""
    key = _guess_key(account.handle)
    async with _turns.setdefault(key, asyncio.Lock()):
        try:
            await _guess(house, key, handle=account.handle, password=password)
        except Unauthenticated as error:
            raise Forbidden("The password is wrong. Check it and try again.", path=[field]) from error


async def change_password(house: House, viewer: Viewer, *, current: str, new: str) -> None:
    """Change the password; every other session of the account ends."""
    account = viewer.signed_in()
    text.password(new, "newPassword")
    if not account.password_hash:
        raise Forbidden("This account signs in at its provider and has no password. Change it there.")
    await confirm(house, account, current, field="currentPassword")
    hashed = await asyncio.to_thread(_hasher(house.rules.password_hash_mib).hash, new.encode())
    async with change(house) as made:
        # Of two changes at once the first one stands: the other was confirmed by a password of before.
        changed = Account.filter(id=account.id, password_hash=account.password_hash)
        if not await changed.update(password_hash=hashed):
            raise Conflict("The password has just been changed. Sign in again.")
        await Session.filter(account_id=account.id).exclude(id=viewer.session_id).delete()
        await made.audit("account.password_changed", "user", account.id, actor_id=account.id)
        made.topics.add(person_topic(account.id))


def _guess_key(handle: str) -> str:
    return f"sign-in:{hashlib.sha256(handle.lower().encode(errors='replace')).hexdigest()}"


async def _guess(house: House, key: str, *, handle: str, password: str) -> Account:
    window = house.rules.failed_sign_ins_within.total_seconds()
    limit = house.rules.failed_sign_ins
    if house.rules.rate_limits and (wait := house.limiter.peek(key, limit=limit, per_seconds=window)):
        raise RateLimited("Too many failed sign-ins for this account. Wait a while.", retry_after_ms=wait)
    handle_key = text.handle_key(handle)
    account = await Account.get_or_none(handle_key=handle_key, deleted_at=None) if handle_key else None
    hasher = _hasher(house.rules.password_hash_mib)
    # An account without a password, of a provider's, takes as long too.
    hashed = (account.password_hash if account else "") or await asyncio.to_thread(_nobodys_hash, hasher)
    if not await asyncio.to_thread(_verify, hasher, hashed, password) or account is None:
        house.limiter.check(key, limit=limit, per_seconds=window)
        raise Unauthenticated("Handle or password is wrong. Check both and try again.")
    return account


def _verify(hasher: PasswordHasher, hashed: str, password: str) -> bool:
    try:
        return hasher.verify(hashed, password.encode(errors="replace"))
    except (VerificationError, InvalidHashError):
        return False


async def sign_out(house: House, viewer: Viewer, *, everywhere: bool) -> None:
    """End this session, or every one of the account. A provider's tokens end all together."""
    account = viewer.signed_in()
    async with change(house) as made:
        if everywhere:
            await Session.filter(account_id=account.id).delete()
        else:
            await Session.filter(id=viewer.session_id).delete()
        if everywhere or viewer.proof is not None:
            await identities.end_tokens(account.id, made.now)
        made.topics.add(person_topic(account.id))


async def update(
    house: House, viewer: Viewer, *, name: str | None, bio: str | None, records: bool | None
) -> Viewer:
    """Change the profile or the default for recording; None stays."""
    account = viewer.signed_in()
    changes: dict[str, object] = {}
    if name is not None:
        changes["name"] = text.line(name, "name", most=100)
    if bio is not None:
        changes["bio"] = text.optional(bio, "bio", most=500)
    if records is not None:
        changes["records_by_default"] = records
    if changes:
        async with change(house):
            await Account.filter(id=account.id).update(**changes)
            if "name" in changes:
                await search.index(WordKind.ACCOUNT, account.id, account.handle, str(changes["name"]))
        await account.refresh_from_db()
    return viewer


async def visible_account(viewer: Viewer, account_id: UUID) -> Account:
    """The account, as far as the viewer may see it. Raises NotFound."""
    account = await Account.filter(await visibility.accounts(viewer), id=account_id).first()
    if account is None:
        raise NotFound(path=["userId"])
    return account


async def promote(house: House, handle: str) -> Account:
    """Make an account a moderator. Raises NotFound."""
    async with change(house) as made:
        handle_key = text.handle_key(handle)
        account = await Account.get_or_none(handle_key=handle_key, deleted_at=None) if handle_key else None
        if account is None:
            raise NotFound(f"No account has the handle '{handle}'.")
        account.is_moderator = True
        await account.save(update_fields=["is_moderator"])
        await made.audit("account.promoted", "user", account.id)
    return account


async def forget_expired_sessions(now: datetime, *, grace: timedelta = timedelta(days=1)) -> None:
    """Drop sessions that expired a while ago."""
    await Session.filter(expires_at__lt=now - grace).delete()
