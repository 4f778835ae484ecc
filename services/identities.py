"""Accounts of people who sign in at an OpenID Connect provider: made at their first token."""

import hashlib
import unicodedata
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from tortoise.expressions import Q, Subquery

from models.account import Account
from models.identity import Identity
from models.search_word import WordKind
from models.together import fetch, part_of
from services import handles, search
from services.changes import again, change, new_id
from services.errors import Forbidden
from services.house import House
from services.openid import BadToken, Claims
from services.viewers import Proof, Viewer

log = structlog.get_logger(__name__)

_MOST_NAME_CHARS = 100


def _key(claims: Claims) -> str:
    return hashlib.sha256(f"{claims.issuer}\0{claims.subject}".encode()).hexdigest()


async def viewer_of(house: House, token: str) -> Viewer | None:
    """Who shows a provider's token; None for one that is not good. Raises Unavailable while nobody can know."""
    if house.providers is None:
        return None
    try:
        claims = await house.providers.claims_of(token, now=house.clock.now())
    except BadToken as error:
        log.debug("a token was refused", reason=str(error))
        return None
    known = Identity.filter(key=_key(claims))
    whose = Account.filter(id__in=Subquery(known.values("account_id")), deleted_at=None)
    identities, accounts = await fetch([part_of(known), part_of(whose)])
    if not identities:
        identity, account = await again(lambda: _enrol(house, claims))
    elif accounts and not _is_over(identities[0], claims.issued_at):
        identity, account = identities[0], accounts[0]
    else:
        return None
    proof = Proof(
        identity_id=identity.id,
        issued_at=claims.issued_at,
        proven_at=claims.proven_at,
        expires_at=claims.expires_at,
    )
    return Viewer(account=account, proof=proof, expires_at=claims.expires_at)


def _is_over(identity: Identity, issued_at: datetime) -> bool:
    return identity.signed_out_at is not None and issued_at < identity.signed_out_at


async def _enrol(house: House, claims: Claims) -> tuple[Identity, Account]:
    """Make the account. The provider vouches for the person: there is no limit an address, and no password."""
    async with change(house) as made:
        if (known := await Identity.get_or_none(key=_key(claims))) is not None:
            return known, await Account.get(id=known.account_id)
        handle = await handles.free_like(claims.handles)
        account = await Account.create(
            id=new_id(),
            handle=handle,
            handle_key=handle.lower(),
            name=_name(claims) or handle,
            password_hash="",
            created_at=made.now,
        )
        identity = await Identity.create(
            id=new_id(),
            account_id=account.id,
            key=_key(claims),
            issuer=claims.issuer,
            subject=claims.subject,
            created_at=made.now,
        )
        await search.index(WordKind.ACCOUNT, account.id, handle, account.name)
        await made.audit("account.made_by_provider", "user", account.id, actor_id=account.id)
    return identity, account


def _name(claims: Claims) -> str:
    shown = "".join(char for char in claims.name if unicodedata.category(char) not in {"Cc", "Cs"})
    return shown.strip()[:_MOST_NAME_CHARS].strip()


async def is_good(house: House, proof: Proof) -> bool:
    """Whether a token that was good still is."""
    if proof.expires_at <= house.clock.now():
        return False
    in_force = Q(signed_out_at=None) | Q(signed_out_at__lte=proof.issued_at)
    return await Identity.filter(in_force, id=proof.identity_id).exists()


async def end_tokens(account_id: UUID, now: datetime) -> None:
    """What was issued to the account until now is good no more. Call within a change."""
    await Identity.filter(account_id=account_id).update(signed_out_at=now)


async def forget(account_id: UUID, now: datetime) -> None:
    """Who a deleted account was at its provider. The hash stays, so that its tokens open nothing again."""
    await Identity.filter(account_id=account_id).update(issuer="", subject="", signed_out_at=now)


def confirm(house: House, viewer: Viewer, *, within: timedelta, field: str) -> None:
    """Make sure that it is the person who asks, where there is no password to tell. Raises Forbidden."""
    proof = viewer.proof
    if proof is None or proof.proven_at + within <= house.clock.now():
        minutes = within // timedelta(minutes=1)
        raise Forbidden(
            "This account signs in at its provider and has no password. Sign in there anew, and send the new token"
            f" within {minutes} minutes.",
            path=[field],
        )
