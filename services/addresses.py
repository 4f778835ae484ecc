"""Where people want their notifications: browsers that take Web Push, and an e-mail address."""

import base64
import hashlib
from datetime import timedelta
from email.errors import MessageError
from email.headerregistry import Address
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from models.delivery import Channel, Delivery
from models.mail_address import MailAddress
from models.push_subscription import PushSubscription
from services.carriers import Carried
from services.changes import change, new_id
from services.errors import InvalidInput, NotFound, RateLimited, Unavailable
from services.house import House
from services.links import BadLink, Link, LinkKind
from services.mail import MailCarrier
from services.outbound import NotAllowed, check_url
from services.push import PushCarrier
from services.viewers import Viewer

_MOST_SUBSCRIPTIONS = 20
_CONFIRM_WITHIN = timedelta(days=1)
_STOP_FOR = timedelta(days=400)
_ASKED_AN_HOUR = 5
_HOUR_S = 3600.0


class MailIsOff(NotFound):
    """This server sends no e-mail. Use Web Push, or read your notifications over GraphQL."""


def push_key(house: House) -> str:
    """What browsers subscribe with. Raises NotFound where there is no Web Push."""
    return _push(house).public_key


def _push(house: House) -> PushCarrier:
    carrier = house.carriers.get(Channel.PUSH)
    if not isinstance(carrier, PushCarrier):
        raise NotFound("This server sends no Web Push.")
    return carrier


def _mail(house: House) -> MailCarrier:
    carrier = house.carriers.get(Channel.EMAIL)
    if not isinstance(carrier, MailCarrier):
        raise MailIsOff
    return carrier


async def add_push(house: House, viewer: Viewer, *, endpoint: str, p256dh: str, auth: str) -> None:
    """Take a browser's subscription; the same endpoint again replaces it, and takes it from who had it before."""
    account = viewer.signed_in()
    _push(house)
    if len(endpoint) > 1000:
        raise InvalidInput("endpoint must have at most 1000 characters.", path=["endpoint"])
    try:
        check_url(endpoint, allow_private=house.rules.private_push)
    except NotAllowed as error:
        raise InvalidInput(f"endpoint cannot be called: {error}.", path=["endpoint"]) from error
    _check_keys(p256dh, auth)
    name = hashlib.sha256(endpoint.encode()).hexdigest()
    async with change(house) as made:
        await PushSubscription.filter(endpoint_hash=name).delete()
        await PushSubscription.create(
            id=new_id(),
            account_id=account.id,
            endpoint=endpoint,
            endpoint_hash=name,
            p256dh=p256dh,
            auth=auth,
            created_at=made.now,
        )
        mine = PushSubscription.filter(account_id=account.id).order_by("-created_at", "-id")
        too_many = await mine.offset(_MOST_SUBSCRIPTIONS).limit(100).values_list("id", flat=True)
        await PushSubscription.filter(id__in=list(too_many)).delete()


def _check_keys(p256dh: str, auth: str) -> None:
    """Keys as RFC 8291 has them. Raises InvalidInput."""
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), _decoded(p256dh, most=100))
    except ValueError as error:
        raise InvalidInput(
            "p256dh must be a point on P-256 in base64url.", path=["keys", "p256dh"]
        ) from error
    try:
        secret = _decoded(auth, most=40)
    except ValueError:
        secret = b""
    if len(secret) != 16:
        raise InvalidInput("auth must be 16 bytes in base64url.", path=["keys", "auth"])


def _decoded(text: str, *, most: int) -> bytes:
    if len(text) > most or not text.isascii():
        raise ValueError("too long")
    return base64.b64decode(
        text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True
    )


async def remove_push(house: House, viewer: Viewer, *, endpoint: str) -> None:
    """Forget a browser's subscription; one that is not there is as good as forgotten."""
    account = viewer.signed_in()
    name = hashlib.sha256(endpoint.encode(errors="replace")).hexdigest()
    async with change(house):
        await PushSubscription.filter(account_id=account.id, endpoint_hash=name).delete()


async def mail_of(house: House, viewer: Viewer) -> MailAddress | None:
    """The viewer's address. Raises MailIsOff."""
    _mail(house)
    return await MailAddress.get_or_none(account_id=viewer.signed_in().id)


async def set_mail(house: House, viewer: Viewer, *, address: str) -> MailAddress:
    """Ask the owner of an address; nothing else is sent to it before they confirm it."""
    account = viewer.signed_in()
    carrier = _mail(house)
    checked = _address(address)
    if house.rules.rate_limits:
        key = f"mail:{account.id}"
        if wait := house.limiter.check(key, limit=_ASKED_AN_HOUR, per_seconds=_HOUR_S):
            raise RateLimited(retry_after_ms=wait)
    async with change(house) as made:
        found = await MailAddress.get_or_none(account_id=account.id)
        if found is not None and found.address == checked and found.confirmed_at is not None:
            return found
        if found is not None:
            await found.delete()
        kept = await MailAddress.create(
            id=new_id(), account_id=account.id, address=checked, created_at=made.now
        )
    now = house.clock.now()
    url = _mail_url(house, LinkKind.MAIL_CONFIRM, kept.id, _CONFIRM_WITHIN)
    if await carrier.ask(kept, url=url, now=now) is not Carried.DONE:
        raise Unavailable("The mail server did not take the mail. Try again shortly.", retry_after_ms=60_000)
    return kept


def _address(text: str) -> str:
    try:
        if len(text) > 254 or not text.isascii() or not text.isprintable():
            raise ValueError(text)
        found = Address(addr_spec=text)
        if not found.domain or "@" in found.username:
            raise ValueError(text)
    except (ValueError, IndexError, MessageError) as error:
        raise InvalidInput("address must be an e-mail address.", path=["address"]) from error
    return found.addr_spec


def _mail_url(house: House, kind: LinkKind, address_id: UUID, valid_for: timedelta) -> str:
    link = Link(kind=kind, subject_id=address_id, viewer_id=None, expires_at=house.clock.now() + valid_for)
    name = "confirm" if kind is LinkKind.MAIL_CONFIRM else "stop"
    return house.links.url(f"/notifications/email/{name}/{house.links.sign(link)}")


def stop_url(house: House, address_id: UUID) -> str:
    """Where the reader of a mail ends them, without signing in."""
    return _mail_url(house, LinkKind.MAIL_STOP, address_id, _STOP_FOR)


async def behind_link(house: House, token: str, kind: LinkKind) -> MailAddress:
    """The address that a link in a mail is about. Raises NotFound."""
    try:
        link = house.links.read(token, kind)
    except BadLink as error:
        raise NotFound from error
    found = await MailAddress.get_or_none(id=link.subject_id)
    if found is None or link.expires_at <= house.clock.now():
        raise NotFound("This link is good no more.")
    return found


async def confirm_mail(house: House, token: str) -> None:
    """The owner of an address wants mail."""
    found = await behind_link(house, token, LinkKind.MAIL_CONFIRM)
    async with change(house) as made:
        await MailAddress.filter(id=found.id, confirmed_at=None).update(confirmed_at=made.now)


async def stop_mail(house: House, token: str) -> None:
    """The owner of an address wants no more of it."""
    found = await behind_link(house, token, LinkKind.MAIL_STOP)
    async with change(house):
        await MailAddress.filter(id=found.id).delete()


async def remove_mail(house: House, viewer: Viewer) -> None:
    """Forget the viewer's address."""
    account = viewer.signed_in()
    async with change(house):
        await MailAddress.filter(account_id=account.id).delete()


async def forget(account_id: UUID) -> None:
    """Nothing leaves the house for this account any more: for an account's deletion, within its change."""
    await Delivery.filter(account_id=account_id).delete()
    await PushSubscription.filter(account_id=account_id).delete()
    await MailAddress.filter(account_id=account_id).delete()
