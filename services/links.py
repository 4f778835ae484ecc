"""Signed links: what they open, for whom and until when, in 76 characters that need no lookup."""

import base64
import binascii
import hmac
import secrets
import struct
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from models.fields import from_ms, to_ms

_NOBODY = UUID(int=0)
_MAC_BYTES = 16
# The version of UUIDs that are nobody's account; accounts have version 4.
_ANONYMOUS = 8
_LAYOUT = struct.Struct(">B16s16sQ")
_TOKEN_CHARS = (_LAYOUT.size + _MAC_BYTES) * 4 // 3 + 2


class LinkKind(IntEnum):
    """What a link opens. The number is part of the signature and never changes its meaning."""

    PLAYBACK = 1
    DOWNLOAD = 2
    LIVE = 3
    PUBLISH = 4
    ARCHIVE = 5
    REVIEW = 6
    CLIP = 10
    FEED = 11
    MAIL_CONFIRM = 12
    MAIL_STOP = 13
    EXPORT = 20
    EXPORT_WITH_RECORDINGS = 21


class BadLink(Exception):
    """The link was never good: its signature or form is wrong."""


class Link(NamedTuple):
    """`subject_id` is the recording; the Space for LIVE and PUBLISH, the clip for CLIP. `viewer_id` None: anonymous.

    `anonymous_id` tells one anonymous listener from another, where that matters.
    """

    kind: LinkKind
    subject_id: UUID
    viewer_id: UUID | None
    expires_at: datetime
    anonymous_id: UUID | None = None


def anonymous_id(origin: str) -> UUID:
    """A new id for somebody without an account; `origin` is 12 hexadecimal digits that name their address."""
    told = bytearray(bytes.fromhex(origin) + secrets.token_bytes(10))
    told[6] = _ANONYMOUS << 4 | told[6] & 0x0F
    told[8] = 0x80 | told[8] & 0x3F
    return UUID(bytes=bytes(told))


def origin_of(anonymous: UUID) -> str:
    """The digits of the address behind an `anonymous_id`."""
    return anonymous.bytes[:6].hex()


class LinkSigner:
    """Signs and reads links with HMAC-SHA-256, cut to 128 bits."""

    def __init__(self, key: bytes, public_url: str) -> None:
        # With the key and the prefix worked in already.
        self._macs = hmac.new(key, b"spaces link\0", "sha256")
        self._public_url = public_url.rstrip("/")

    def url(self, path: str) -> str:
        """An absolute URL under the public address."""
        return f"{self._public_url}{path}"

    def sign(self, link: Link) -> str:
        """The token of a link, safe in a path."""
        body = _LAYOUT.pack(
            link.kind,
            link.subject_id.bytes,
            (link.viewer_id or link.anonymous_id or _NOBODY).bytes,
            to_ms(link.expires_at),
        )
        return base64.urlsafe_b64encode(body + self._mac(body)).rstrip(b"=").decode()

    def read(self, token: str, *kinds: LinkKind) -> Link:
        """The link behind a token, expired or not. Raises BadLink for anything that was not signed here."""
        if len(token) > _TOKEN_CHARS:
            raise BadLink
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadLink from error
        body, mac = raw[: _LAYOUT.size], raw[_LAYOUT.size :]
        if not hmac.compare_digest(mac, self._mac(body)) or self._canonical(raw) != token:
            raise BadLink
        kind, subject, viewer, expires_ms = _LAYOUT.unpack(body)
        if kind not in kinds:
            raise BadLink
        viewer_id = UUID(bytes=viewer)
        is_account = viewer_id != _NOBODY and viewer_id.version != _ANONYMOUS
        return Link(
            kind=LinkKind(kind),
            subject_id=UUID(bytes=subject),
            viewer_id=viewer_id if is_account else None,
            anonymous_id=None if is_account or viewer_id == _NOBODY else viewer_id,
            expires_at=from_ms(expires_ms),
        )

    def _mac(self, body: bytes) -> bytes:
        mac = self._macs.copy()
        mac.update(body)
        return mac.digest()[:_MAC_BYTES]

    @staticmethod
    def _canonical(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
