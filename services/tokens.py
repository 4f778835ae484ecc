"""Personal access tokens: what an integrator's program shows instead of a password."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from models.access_token import AccessScope, AccessToken
from services import text
from services.bus import person_topic
from services.changes import change, new_id
from services.errors import CapacityReached, Forbidden, InvalidInput, NotFound
from services.house import House
from services.viewers import Viewer

PREFIX = "spt_"  # tells leaked tokens apart from sessions and from other strings
# The last use is kept to the minute: a write a request would cost more than the fact is worth.
_USE_KEPT_EVERY = timedelta(minutes=1)

_BY_SCOPE: dict[tuple[AccessScope, ...], str] = {
    (AccessScope.SPACES_WRITE,): (
        "createSpace updateSpace toggleRecording startSpace endSpace cancelSpace setParticipantRole removeParticipant"
        " invite respondToInvitation setReminder shareSpace purchaseTicket"
    ),
    (AccessScope.SPACES_WRITE, AccessScope.AUDIO_PUBLISH): (
        "joinSpace leaveSpace acknowledgeRecording raiseHand setMuted"
    ),
    (AccessScope.RECORDINGS_WRITE,): (
        "trimRecording shareRecording deleteRecording savePlaybackPosition createClip deleteClip appeal"
    ),
    (AccessScope.RECORDINGS_WRITE, AccessScope.SPACES_WRITE): "deleteShare",
    (AccessScope.WEBHOOKS,): (
        "createWebhook updateWebhook rotateWebhookSecret redeliverWebhook deleteWebhook"
    ),
    (AccessScope.MODERATION,): "reviewRecording setLegalHold openReviewCopy suspendAccount updateRollout",
}
# What each mutation needs, one of these; what is not named needs a sign-in by password.
SCOPES = {name: frozenset(scopes) for scopes, names in _BY_SCOPE.items() for name in names.split()}


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeToken:
    """A new token; its secret is told this once."""

    token: AccessToken
    secret: str


def hash_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def create(
    house: House,
    viewer: Viewer,
    *,
    name: str,
    scopes: Sequence[AccessScope],
    expires_at: datetime | None,
) -> MadeToken:
    """Make a token. Raises InvalidInput, or CapacityReached for an account that has as many as it may."""
    account = viewer.signed_in()
    name = text.line(name, "name", most=100)
    now = house.clock.now()
    if not scopes:
        raise InvalidInput("scopes must name at least one.", path=["scopes"])
    if AccessScope.MODERATION in scopes and not account.is_moderator:
        raise Forbidden("Only moderators can give a token the scope MODERATION.", path=["scopes"])
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("expiresAt must be in the future.", path=["expiresAt"])
    secret = PREFIX + secrets.token_urlsafe(32)
    async with change(house) as made:
        most = house.rules.access_tokens
        if await _good(made.now).filter(account_id=account.id).count() >= most:
            raise CapacityReached(f"An account has at most {most} access tokens. Revoke one first.")
        token = await AccessToken.create(
            id=new_id(),
            account_id=account.id,
            name=name,
            scopes=sorted(set(scopes)),
            secret_hash=hash_of(secret),
            created_at=made.now,
            expires_at=expires_at,
        )
        await made.audit("access_token.created", "access_token", token.id, actor_id=account.id)
    return MadeToken(token=token, secret=secret)


async def revoke(house: House, viewer: Viewer, token_id: UUID) -> None:
    """End one of the viewer's own tokens, at once. Raises NotFound."""
    account = viewer.signed_in()
    async with change(house) as made:
        if not await AccessToken.filter(id=token_id, account_id=account.id).delete():
            raise NotFound(path=["accessTokenId"])
        await made.audit("access_token.revoked", "access_token", token_id, actor_id=account.id)
        made.topics.add(person_topic(account.id))


async def used(house: House, secret: str) -> AccessToken | None:
    """The token with this secret, if it is good now; its use is noted."""
    now = house.clock.now()
    token = await _good(now).get_or_none(secret_hash=hash_of(secret))
    if token is not None and (token.last_used_at is None or token.last_used_at <= now - _USE_KEPT_EVERY):
        await AccessToken.filter(id=token.id).update(last_used_at=now)
    return token


async def is_good(house: House, token_id: UUID) -> bool:
    """Whether a token still stands."""
    return await _good(house.clock.now()).filter(id=token_id).exists()


async def all_of(account_id: UUID) -> list[AccessToken]:
    """The account's tokens, the newest first; expired ones too, until they are revoked."""
    return await AccessToken.filter(account_id=account_id).order_by("-created_at", "id")


def check_read(viewer: Viewer) -> None:
    """Raise Forbidden when the viewer's token may not read."""
    if viewer.scopes is not None and AccessScope.READ not in viewer.scopes:
        raise Forbidden("This access token may not read. Make one with the scope READ.")


def check_mutation(viewer: Viewer, name: str) -> None:
    """Raise Forbidden when the viewer's token may not call this mutation."""
    if viewer.scopes is None:
        return
    needed = SCOPES.get(name, frozenset())
    if not needed:
        raise Forbidden("Access tokens may not do this. Sign in with handle and password.")
    if not needed & viewer.scopes:
        raise Forbidden(f"This needs an access token with the scope {' or '.join(sorted(needed))}.")


def _good(now: datetime) -> QuerySet[AccessToken]:
    return AccessToken.filter(Q(expires_at=None) | Q(expires_at__gt=now))
