"""Mutations that may be sent again: same `Idempotency-Key` and same request, same answer."""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from typing import Protocol
from weakref import WeakValueDictionary

import structlog
from starlette.datastructures import Headers

from api.graphql.documents import Prepared
from api.graphql.execute import Answer
from api.graphql.json import encode
from services.errors import ErrorCode, InvalidInput, SpacesError

log = structlog.get_logger(__name__)

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# What a retry may find otherwise: such an answer is not kept.
_PASSING = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.UNAVAILABLE, ErrorCode.PAYMENT_UNAVAILABLE})


class AnswerStore(Protocol):
    """Where answers are kept. `claim` raises SpacesError when the request may not go on."""

    async def claim(self, person: str, key: str, fingerprint: str) -> bytes | None:
        """The answer given before, or None when this request is the first."""

    async def keep(self, person: str, key: str, answer: bytes) -> None:
        """Remember the answer of the request that claimed the key."""

    async def release(self, person: str, key: str) -> None:
        """Forget the claim."""


def key_of(headers: Headers) -> str | None:
    """The request's key. Raises InvalidInput for one that is none."""
    key = headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput(f"`{HEADER}` is 1 to 255 visible ASCII characters. Use a random UUID.")
    return key


class Replays:
    """Runs a mutation once for each key, and repeats its answer."""

    def __init__(self, store: AnswerStore) -> None:
        self._store = store
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def once(
        self,
        prepared: Prepared,
        run: Callable[[SpacesError | None], Awaitable[Answer]],
        *,
        person: str,
        key: str,
    ) -> Answer:
        """The answer of `run`, or that of the first request with this key.

        `run` takes the error with which to refuse instead.
        """
        async with self._turns.setdefault((person, key), asyncio.Lock()):
            try:
                kept = await self._store.claim(person, key, _fingerprint(prepared))
            except SpacesError as refusal:
                return await run(refusal)
            if kept is not None:
                return Answer(**json.loads(kept), is_replay=True)
            answer = await run(None)
            try:
                await self._settle(answer, person, key)
            except Exception:
                # What was done is done, and its answer must not be lost over this.
                log.exception("an answer could not be kept")
            return answer

    async def _settle(self, answer: Answer, person: str, key: str) -> None:
        if _did_nothing(answer):
            await self._store.release(person, key)
        else:
            await self._store.keep(person, key, encode({"data": answer.data, "errors": answer.errors}))


def _fingerprint(prepared: Prepared) -> str:
    request = prepared.request
    facts = [prepared.document.id, request.operation_name, request.variables]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _did_nothing(answer: Answer) -> bool:
    """Whether every field was refused for a reason that may pass."""
    passing = sum(refusal.code in _PASSING for refusal in answer.refused)
    return not answer.was_begun or answer.data is None or passing == len(answer.data) > 0
