"""Secrets that must be read again, sealed with a key of the data folder: who reads the database alone reads none."""

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class SealBroken(Exception):
    """It was sealed with another key, or for another place."""


class Sealer:
    """Seals text for one place, so that nobody can move it to another. The key has 32 bytes (AES-256-GCM)."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, text: str, *, place: str) -> str:
        """The text, sealed, in base64."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), place.encode())).decode()

    def open(self, sealed: str, *, place: str) -> str:
        """What was sealed. Raises SealBroken."""
        try:
            data = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken("the key of the data folder does not open it") from error
