"""The answers of requests that carry an `Idempotency-Key`, so that a retry gets what the first try was told."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from tortoise.exceptions import IntegrityError, OperationalError
from tortoise.transactions import in_transaction

from models.idempotency_key import IdempotencyKey
from services.errors import Conflict, IdempotencyMismatch, Unavailable
from services.house import House

# A request that has not answered for so long was cut off with its process; its retry begins afresh.
_GIVEN_UP_AFTER = timedelta(seconds=60)
_NONCE_BYTES = 12


def _under_way() -> Conflict:
    return Conflict(
        "The first request with this Idempotency-Key is still under way. Try again after `retryAfterMs`.",
        retry_after_ms=1_000,
    )


@dataclass(frozen=True, slots=True)
class KeptAnswers:
    """The answers kept, each for 24 hours and for the person who asked.

    An answer may hold a session's token, so it is sealed with the key itself, of which only a hash is kept: who
    reads the database reads no answer.
    """

    house: House

    async def claim(self, person: str, key: str, fingerprint: str) -> bytes | None:
        """The answer given before; None when this request is the first, which must then `keep` or `release`.

        Raises IdempotencyMismatch for another request, Conflict while the first is under way, and Unavailable.
        """
        try:
            async with in_transaction():
                row = await self._claimed(_id(person, key), fingerprint)
        except IntegrityError:
            raise _under_way() from None
        except OperationalError:
            raise Unavailable(retry_after_ms=1_000) from None
        return None if row is None or row.answer is None else _opened(row.answer, person, key)

    async def _claimed(self, row_id: str, fingerprint: str) -> IdempotencyKey | None:
        now = self.house.clock.now()
        row = await IdempotencyKey.select_for_update().get_or_none(id=row_id)
        if row is not None and row.expires_at > now:
            if row.fingerprint != fingerprint:
                raise IdempotencyMismatch
            if row.answer is not None:
                return row
            if row.claimed_at > now - _GIVEN_UP_AFTER:
                raise _under_way()
        await IdempotencyKey.filter(id=row_id).delete()
        await IdempotencyKey.create(
            id=row_id,
            fingerprint=fingerprint,
            claimed_at=now,
            expires_at=now + self.house.rules.answers_kept,
        )
        return None

    async def keep(self, person: str, key: str, answer: bytes) -> None:
        """Remember the answer of the request that claimed the key."""
        await IdempotencyKey.filter(id=_id(person, key)).update(answer=_sealed(answer, person, key))

    async def release(self, person: str, key: str) -> None:
        """Forget the claim: nothing was done, and a retry may do it."""
        await IdempotencyKey.filter(id=_id(person, key), answer=None).delete()


async def forget_old_answers(house: House) -> None:
    """Drop the answers whose time is over."""
    await IdempotencyKey.filter(expires_at__lte=house.clock.now()).delete()


def _id(person: str, key: str) -> str:
    return hashlib.sha256(f"{person}\0{key}".encode()).hexdigest()


def _cipher(person: str, key: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=person.encode()).derive(key.encode()))


def _sealed(answer: bytes, person: str, key: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(person, key).encrypt(nonce, answer, None)


def _opened(sealed: bytes, person: str, key: str) -> bytes | None:
    try:
        return _cipher(person, key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
    except InvalidTag:
        raise Conflict("The answer kept for this Idempotency-Key cannot be read. Use a new key.") from None
