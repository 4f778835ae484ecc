"""Web Push (RFC 8030) with an encrypted payload (RFC 8291) and our own key (VAPID, RFC 8292)."""

import asyncio
import base64
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from models.push_subscription import PushSubscription
from services.carriers import Carried, Message
from services.outbound import NotAllowed, Outbound, Unreachable

log = structlog.get_logger(__name__)

_TOKEN_FOR = timedelta(hours=12)
_GONE = {404, 410}


class PushCarrier:
    """Hands messages to the push services of browsers. `contact` is a mailto: or https: URI for their operators."""

    def __init__(self, key: EllipticCurvePrivateKey, outbound: Outbound, *, contact: str) -> None:
        self._key = key
        self._outbound = outbound
        self._contact = contact

    @property
    def public_key(self) -> str:
        """The `applicationServerKey` that browsers subscribe with."""
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return base64.urlsafe_b64encode(point).rstrip(b"=").decode()

    async def carry(self, target: PushSubscription, message: Message, *, now: datetime) -> Carried:
        """One message to one browser. GONE when its push service knows it no more."""
        ttl_s = max(0, int(message.valid_for.total_seconds()))
        try:
            body = await asyncio.to_thread(_encrypt, target, _payload(message))
            headers = {
                **self._signed(target.endpoint, now),
                "Content-Encoding": "aes128gcm",
                "Content-Type": "application/octet-stream",
                "TTL": str(ttl_s),
                "Urgency": "high",
                # The same for the same notification: one that waits there is replaced, not doubled.
                "Topic": base64.urlsafe_b64encode(message.id.bytes).rstrip(b"=").decode(),
            }
            answer = await self._outbound.post(target.endpoint, headers=headers, content=body)
        except NotAllowed:
            return Carried.GONE
        except Unreachable as error:
            log.warning("push service not reached", subject=str(target.id), cause=str(error))
            return Carried.LATER
        except ValueError:
            return Carried.GONE  # keys that nothing can be encrypted to
        if answer.status in _GONE:
            return Carried.GONE
        if 200 <= answer.status < 300:
            return Carried.DONE
        log.warning("push service refused", subject=str(target.id), status=answer.status)
        return Carried.LATER if answer.status == 429 or answer.status >= 500 else Carried.GONE

    def _signed(self, endpoint: str, now: datetime) -> dict[str, str]:
        from py_vapid import Vapid02

        parts = urlsplit(endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int((now + _TOKEN_FOR).timestamp()),
            "sub": self._contact,
        }
        signed: dict[str, str] = Vapid02(private_key=self._key).sign(claims)
        return signed


def _payload(message: Message) -> bytes:
    return orjson.dumps(
        {
            "id": str(message.id),
            "kind": message.kind,
            "message": message.text,
            "url": message.url,
            "at": message.at.isoformat(),
        }
    )


def _encrypt(target: PushSubscription, payload: bytes) -> bytes:
    """Raises ValueError for keys that are none."""
    from pywebpush import WebPusher, WebPushException

    try:
        return encrypt(WebPusher, target, payload)
    except WebPushException as error:
        raise ValueError(str(error)) from error


def encrypt(pusher: Any, target: PushSubscription, payload: bytes) -> bytes:
    """The payload for one browser alone."""
    keys = {"p256dh": target.p256dh, "auth": target.auth}
    body: bytes = pusher({"endpoint": target.endpoint, "keys": keys}).encode(payload)["body"]
    return body
