"""Purge receipts: facts signed as a compact JWS (RFC 7515) with ES256, which every JOSE library knows."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from models.fields import to_ms

_ALGORITHM = "ES256"
_TYPE = "spaces-purge-receipt+jws"
_SCOPE = (
    "this store: programme, tracks, playlists, waveform and journal; not backups, nor what was downloaded"
)


class BadReceipt(Exception):
    """The document is no receipt that one of these keys has signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was destroyed: bytes, SHA-256 over the sorted digests of the files, when, under which policy."""

    recording_id: UUID
    size_bytes: int
    sha256: str
    purged_at: datetime
    policy_version: int


class ReceiptSigner:
    """Signs with the newest key; every key still counts. Receipts are also appended to a journal file."""

    def __init__(self, keys: Sequence[ECKey], *, issuer: str, journal: Path) -> None:
        self._keys = list(keys)
        self._issuer = issuer
        self._journal = journal

    def jwks(self) -> dict[str, object]:
        """The public keys, for /.well-known/jwks.json."""
        return {
            "keys": [{**key.as_dict(private=False), "use": "sig", "alg": _ALGORITHM} for key in self._keys]
        }

    def sign(self, receipt: Receipt) -> str:
        """The receipt as a compact JWS."""
        key = self._keys[-1]
        header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": key.kid}
        return jws.serialize_compact(header, self._payload(receipt), key, algorithms=[_ALGORITHM])

    def _payload(self, receipt: Receipt) -> bytes:
        facts = {
            **asdict(receipt),
            "recording_id": str(receipt.recording_id),
            "purged_at_ms": to_ms(receipt.purged_at),
        }
        del facts["purged_at"]
        return orjson.dumps({"iss": self._issuer, "scope": _SCOPE, **facts}, option=orjson.OPT_SORT_KEYS)

    def keep(self, document: str) -> None:
        """Append a receipt to the journal, on disk when this returns. Twice is harmless."""
        with self._journal.open("a") as file:
            file.write(document + "\n")
            file.flush()
            os.fdatasync(file.fileno())

    def kept(self) -> list[str]:
        """Every receipt of the journal: what must stay dead after a restore."""
        return self._journal.read_text().split() if self._journal.exists() else []

    def verify(self, document: str) -> dict[str, object]:
        """The facts of a receipt. Raises BadReceipt."""
        return verify_with(self._keys, document)


def verify_with(keys: Sequence[ECKey], document: str) -> dict[str, object]:
    """The facts of a receipt signed by one of these keys. Raises BadReceipt."""
    return verify(document, KeySet([*keys]))


def verify(document: str, keys: KeySet) -> dict[str, object]:
    """The facts of a receipt signed by one of these keys. Raises BadReceipt."""
    try:
        signed = jws.deserialize_compact(document.strip(), keys, algorithms=[_ALGORITHM])
        if signed.headers().get("typ") != _TYPE:
            raise BadReceipt("this JWS is no purge receipt")
        facts: dict[str, object] = orjson.loads(signed.payload)
    except (JoseError, ValueError) as error:
        raise BadReceipt(f"the signature does not hold: {error}") from error
    return facts
