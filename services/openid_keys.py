"""The keys of OpenID Connect providers: discovered, fetched, kept, and fetched again when they rotate."""

import asyncio
import ssl
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpcore
import orjson
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from services.errors import Unavailable
from services.limits import RateLimiter
from services.openid import (
    Algorithm,
    BadToken,
    Claims,
    Provider,
    PublicKey,
    Shown,
    check_claims,
    check_header,
    check_signature,
    fits,
    read,
)

log = structlog.get_logger(__name__)

_DISCOVERY = "/.well-known/openid-configuration"
_TIMEOUT_S = 5.0
_MOST_BYTES = 256 * 1024
_MOST_KEYS = 100
# Below 2,048 bits RSA is no longer safe (RFC 7518, section 3.3); checking 8,192 takes a millisecond.
_RSA_BITS = range(2048, 8193)
_KINDS: Mapping[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_PUBLIC_PARTS = ("kty", "crv", "n", "e", "x", "y")
# Whatever tokens say, a provider is asked no more often than this.
_FETCHES_A_MINUTE = 6
_RETRY_MS = 10_000


class ProviderSilent(Exception):
    """The provider does not answer, or not with what OpenID Connect has it answer."""


class Keys:
    """The keys of one provider.

    They are fetched with the first token, again once they are older than `keys_fresh_for`, and when a token names one
    that is not among them; at most 6 times a minute. While the provider is away those known go on for `keys_kept_for`.
    """

    def __init__(self, provider: Provider, *, monotonic: Callable[[], float]) -> None:
        self._provider = provider
        self._monotonic = monotonic
        self._fresh_for_s = provider.keys_fresh_for.total_seconds()
        self._kept_for_s = provider.keys_kept_for.total_seconds()
        self._limiter = RateLimiter(monotonic=monotonic, max_keys=1)
        self._keys: Sequence[tuple[Mapping[str, Any], PublicKey]] = ()
        self._fetched_at_s: float | None = None
        self._is_silent = False
        self._fetching: asyncio.Task[None] | None = None

    async def candidates(self, shown: Shown, algorithm: Algorithm) -> list[PublicKey]:
        """The keys that may have signed a token. Raises BadToken, or Unavailable when nobody can know."""
        age_s = self._age_s()
        if age_s is None or age_s > self._kept_for_s:
            await self._refresh()
            if (age_s := self._age_s()) is None or age_s > self._kept_for_s:
                raise Unavailable(
                    "The sign-in provider cannot be reached. Try again later.", retry_after_ms=_RETRY_MS
                )
        elif age_s > self._fresh_for_s:
            self._begin_refresh()
        found = self._matching(shown, algorithm)
        if not found:
            await self._refresh()
            found = self._matching(shown, algorithm)
        if not found and self._is_silent:
            # It may be a new key: to call its token bad would sign people out over an outage.
            raise Unavailable(
                "The sign-in provider cannot be reached. Try again later.", retry_after_ms=_RETRY_MS
            )
        if not found or (shown.key_id is None and len(found) > 1):
            raise BadToken("no key of the provider, or more than one, may have signed it")
        return found

    async def aclose(self) -> None:
        """Stop asking."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _age_s(self) -> float | None:
        return None if self._fetched_at_s is None else self._monotonic() - self._fetched_at_s

    def _matching(self, shown: Shown, algorithm: Algorithm) -> list[PublicKey]:
        return [
            key
            for facts, key in self._keys
            if shown.key_id in (None, facts.get("kid"))
            and facts.get("alg", shown.algorithm) == shown.algorithm
            and fits(key, algorithm)
        ]

    async def _refresh(self) -> None:
        """Fetch the keys, unless that was done too often; all who wait for it share one fetch."""
        if (task := self._begin_refresh()) is not None:
            # Shielded: one who gives up must not take the others' answer away.
            await asyncio.shield(task)

    def _begin_refresh(self) -> asyncio.Task[None] | None:
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._limiter.check("fetch", limit=_FETCHES_A_MINUTE, per_seconds=60) is not None:
            return None
        self._fetching = asyncio.create_task(self._fetch(), name="openid keys")
        return self._fetching

    async def _fetch(self) -> None:
        """Never raises: whoever waits looks at what is known then."""
        try:
            async with asyncio.timeout(2 * _TIMEOUT_S):
                self._keys = await fetch_keys(self._provider.issuer)
        except (ProviderSilent, TimeoutError) as error:
            self._is_silent = True
            log.warning("a sign-in provider is silent", issuer=self._provider.issuer, reason=str(error))
        except Exception:
            self._is_silent = True
            log.exception("the keys of a sign-in provider could not be read", issuer=self._provider.issuer)
        else:
            self._is_silent = False
            self._fetched_at_s = self._monotonic()


class Providers:
    """The OpenID Connect providers of this server, and the keys of each."""

    def __init__(self, providers: Iterable[Provider], *, monotonic: Callable[[], float]) -> None:
        self._known = {one.issuer: (one, Keys(one, monotonic=monotonic)) for one in providers}

    async def claims_of(self, token: str, *, now: datetime) -> Claims:
        """What a token says that is good at `now`. Raises BadToken, or Unavailable while nobody can know."""
        shown = read(token)
        if shown.issuer not in self._known:
            raise BadToken("of an unknown issuer")
        provider, keys = self._known[shown.issuer]
        algorithm = check_header(shown, provider)
        # Before the signature, so that an old token brings nobody to ask the provider.
        claims = check_claims(shown, provider, now=now)
        check_signature(shown, await keys.candidates(shown, algorithm), algorithm)
        return claims

    async def aclose(self) -> None:
        """Stop asking them."""
        for _, keys in self._known.values():
            await keys.aclose()


async def fetch_keys(issuer: str) -> list[tuple[Mapping[str, Any], PublicKey]]:
    """The provider's keys for signatures, each after what its JWK says. Raises ProviderSilent."""
    found = await _fetch_json(issuer.rstrip("/") + _DISCOVERY)
    if found.get("issuer") != issuer:
        raise ProviderSilent("its discovery document names another issuer")
    address = found.get("jwks_uri")
    if not isinstance(address, str) or not _may_be_asked(address, issuer):
        raise ProviderSilent("its discovery document names no jwks_uri that can be asked")
    listed = (await _fetch_json(address)).get("keys")
    if not isinstance(listed, list):
        raise ProviderSilent("its key set has no keys")
    read = [(one, _key(one)) for one in listed[:_MOST_KEYS] if isinstance(one, dict)]
    return [(facts, key) for facts, key in read if key is not None]


def _may_be_asked(address: str, issuer: str) -> bool:
    try:
        scheme = urlsplit(address).scheme
    except ValueError:
        return False
    return address.isascii() and (scheme == "https" or (scheme == "http" and issuer.startswith("http:")))


def _key(facts: Mapping[str, Any]) -> PublicKey | None:
    """The public key of a JWK; None for one that is not for signatures or not safe."""
    kind = _KINDS.get(str(facts.get("kty")))
    operations = facts.get("key_ops", ["verify"])
    is_for_us = facts.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    if kind is None or not is_for_us:
        return None
    try:
        # What should not be there, a private part, is not read.
        parts = {name: facts[name] for name in _PUBLIC_PARTS if name in facts}
        if kind is RSAKey and _bits(str(parts.get("n"))) not in _RSA_BITS:
            return None
        return kind.import_key(parts)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        log.warning("a key of a sign-in provider cannot be read", reason=type(error).__name__)
        return None


def _bits(modulus: str) -> int:
    return int.from_bytes(urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))).bit_length()


async def _fetch_json(address: str) -> dict[str, Any]:
    """The JSON object at an address of the settings, or one that its provider names. Raises ProviderSilent.

    Redirects are not followed. The address may be private: the operator has chosen the provider.
    """
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), _TIMEOUT_S)
    context = ssl.create_default_context() if address.startswith("https:") else None
    try:
        async with (
            httpcore.AsyncConnectionPool(ssl_context=context) as pool,
            pool.stream(
                "GET", address, headers=[("Accept", "application/json")], extensions={"timeout": timeouts}
            ) as response,
        ):
            if response.status != 200:
                raise ProviderSilent(f"it answered {response.status}")
            body = bytearray()
            async for chunk in response.aiter_stream():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise ProviderSilent("it answered too much")
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise ProviderSilent(type(error).__name__) from error
    except (OSError, UnicodeError, httpcore.UnsupportedProtocol) as error:
        raise ProviderSilent(type(error).__name__) from error
    return _object(bytes(body))


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProviderSilent("it answered no JSON") from error
    if not isinstance(value, dict):
        raise ProviderSilent("it answered no JSON object")
    return value
