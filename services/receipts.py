"""Purge receipts: signed facts, kept in the database and in a journal beside it, which outlives a restore."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from joserfc.jwk import ECKey

from models.fields import from_ms, to_ms
from services import signing
from services.journals import Journal
from services.signing import BadSignature, Signer

_KIND = "spaces-purge-receipt+jws"
_SCOPE = (
    "this store: programme, tracks, playlists, waveform, journal, clips, caches and spool;"
    " not backups, nor what was downloaded"
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
    """Signs receipts and keeps them in a journal, one a line."""

    def __init__(self, signer: Signer, *, issuer: str, journal: Path) -> None:
        self._signer = signer
        self._issuer = issuer
        self._journal = Journal(journal)

    def sign(self, receipt: Receipt) -> str:
        """The receipt as a compact JWS."""
        facts: dict[str, object] = {
            "iss": self._issuer,
            "scope": _SCOPE,
            "recording_id": str(receipt.recording_id),
            "size_bytes": receipt.size_bytes,
            "sha256": receipt.sha256,
            "purged_at_ms": to_ms(receipt.purged_at),
            "policy_version": receipt.policy_version,
        }
        return self._signer.sign(facts, kind=_KIND)

    def keep(self, document: str) -> None:
        """Append a receipt to the journal, on disk when this returns. Twice is harmless. Blocks."""
        self._journal.append(document)

    def kept(self) -> list[str]:
        """Every line of the journal once, the oldest first; a torn one too. What must stay dead after a restore."""
        return self._journal.lines()

    @property
    def has_journal(self) -> bool:
        """Whether there is a journal."""
        return self._journal.exists

    def verify(self, document: str) -> Receipt:
        """A receipt that this server has signed. Raises BadReceipt."""
        try:
            return _receipt(self._signer.verify(document, kind=_KIND))
        except BadSignature as error:
            raise BadReceipt(str(error)) from error


def facts_of(document: str, keys: Sequence[ECKey]) -> dict[str, Any]:
    """What a receipt says that one of these keys has signed. Raises BadReceipt."""
    try:
        return signing.verify(document, keys, kind=_KIND)
    except BadSignature as error:
        raise BadReceipt(str(error)) from error


def _receipt(facts: dict[str, Any]) -> Receipt:
    return Receipt(
        recording_id=UUID(facts["recording_id"]),
        size_bytes=facts["size_bytes"],
        sha256=facts["sha256"],
        purged_at=from_ms(facts["purged_at_ms"]),
        policy_version=facts["policy_version"],
    )
