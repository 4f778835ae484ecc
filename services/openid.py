"""Tokens of OpenID Connect providers, read and checked without I/O (RFC 7519, RFC 8725).

Nothing that a token says leads anywhere: its issuer is looked up among those of the settings and its `kid` among
the keys of that issuer. `jku`, `x5u`, `jwk` and `x5c` are not read at all.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

# What a header of 32 kB can carry, by far; a token of a large company's directory has some 8,000.
_MOST_CHARS = 16_384
_MOST_ID_CHARS = 255
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# NumericDate, until the year 9999.
_MOST_SECONDS = 253_402_300_799

PublicKey = RSAKey | ECKey | OKPKey


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What a signature algorithm asks of its key, and joserfc's name of it."""

    key_type: str
    curve: str | None
    name: str


# Asymmetric ones alone: who can check a token could make one otherwise.
ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {
        **{name: Algorithm("RSA", None, name) for name in ("RS256", "RS384", "RS512")},
        **{name: Algorithm("RSA", None, name) for name in ("PS256", "PS384", "PS512")},
        "ES256": Algorithm("EC", "P-256", "ES256"),
        "ES384": Algorithm("EC", "P-384", "ES384"),
        "ES512": Algorithm("EC", "P-521", "ES512"),
        "Ed25519": Algorithm("OKP", "Ed25519", "Ed25519"),
        "EdDSA": Algorithm("OKP", "Ed25519", "Ed25519"),
    }
)


class BadToken(Exception):
    """The token is not good; the text is for the log alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Whose tokens are taken, for whom they must be made, and how signed.

    `types` are the values of `typ`, in lower case; an empty one stands for a token without. `leeway` is for clocks that
    differ.
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: frozenset[str]
    types: frozenset[str]
    leeway: timedelta
    keys_fresh_for: timedelta
    keys_kept_for: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A token as it was shown: of the right form, and nothing of it believed."""

    algorithm: str
    key_id: str | None
    type: str
    is_critical: bool
    issuer: str
    claims: Mapping[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a good token says. `proven_at`: when the person last proved to the provider who they are."""

    issuer: str
    subject: str
    issued_at: datetime
    proven_at: datetime
    expires_at: datetime
    name: str = ""
    handles: tuple[str, ...] = ()


def is_one(token: str) -> bool:
    """Whether a bearer token may be of a provider: sessions and access tokens have no dots."""
    return "." in token


def read(token: str) -> Shown:
    """A token in compact form (RFC 7515, section 3.1). Raises BadToken."""
    if len(token) > _MOST_CHARS or not _COMPACT.fullmatch(token):
        raise BadToken("no compact JWS, or too long")
    head, body, signature = token.split(".")
    header, claims = _object(head), _object(body)
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "")
    issuer = claims.get("iss")
    if not isinstance(algorithm, str) or not isinstance(kind, str) or not isinstance(issuer, str):
        raise BadToken("alg, typ or iss is no text")
    if key_id is not None and not (isinstance(key_id, str) and len(key_id) <= _MOST_ID_CHARS):
        raise BadToken("kid is no text, or too long")
    return Shown(
        algorithm=algorithm,
        key_id=key_id,
        type=kind.lower().removeprefix("application/"),
        is_critical="crit" in header,
        issuer=issuer,
        claims=claims,
        signed=f"{head}.{body}".encode(),
        signature=_decoded(signature),
    )


def check_header(shown: Shown, provider: Provider) -> Algorithm:
    """The algorithm, when the provider may use it and the header asks for nothing unknown. Raises BadToken."""
    if shown.algorithm not in provider.algorithms:
        raise BadToken("this algorithm is not taken")
    if shown.type not in provider.types:
        raise BadToken("this type of token is not taken")
    if shown.is_critical:
        raise BadToken("extensions that must be understood are not")
    return ALGORITHMS[shown.algorithm]


def fits(key: PublicKey, algorithm: Algorithm) -> bool:
    """Whether a key is one of this algorithm."""
    curve = None if isinstance(key, RSAKey) else key.curve_name
    return (key.key_type, curve) == (algorithm.key_type, algorithm.curve)


def check_signature(shown: Shown, keys: Sequence[PublicKey], algorithm: Algorithm) -> None:
    """Raise BadToken unless one of the keys has signed it."""
    how = JWSRegistry.algorithms[algorithm.name]
    try:
        if any(how.verify(shown.signed, shown.signature, key) for key in keys if fits(key, algorithm)):
            return
    except (JoseError, ValueError) as error:
        raise BadToken(f"the signature cannot be checked: {error}") from error
    raise BadToken("the signature does not hold")


def check_claims(shown: Shown, provider: Provider, *, now: datetime) -> Claims:
    """What the token says, if that holds at `now`. Raises BadToken."""
    claims, leeway = shown.claims, provider.leeway
    if claims.get("iss") != provider.issuer:
        raise BadToken("of another issuer")
    if not provider.audiences & _audiences(claims.get("aud")):
        raise BadToken("for another audience")
    if "events" in claims:
        # A logout token or another security event may look like an ID token in all else.
        raise BadToken("a security event is no sign-in")
    subject = claims.get("sub")
    # OpenID Connect Core, section 2: at most 255 ASCII characters.
    if not _is_id(subject):
        raise BadToken("sub is missing, or no text of 1 to 255 ASCII characters")
    issued_at, expires_at = _instant(claims, "iat"), _instant(claims, "exp")
    if expires_at + leeway <= now:
        raise BadToken("expired")
    begins_at = _instant(claims, "nbf") if "nbf" in claims else issued_at
    if max(begins_at, issued_at) - leeway > now:
        raise BadToken("not good yet")
    return Claims(
        issuer=provider.issuer,
        subject=str(subject),
        issued_at=issued_at,
        proven_at=_instant(claims, "auth_time") if "auth_time" in claims else issued_at,
        expires_at=expires_at + leeway,
        name=_text(claims.get("name")),
        handles=(_text(claims.get("preferred_username")), _text(claims.get("email"))),
    )


def _is_id(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return 0 < len(value) <= _MOST_ID_CHARS and value.isascii() and value.isprintable()


def _audiences(value: object) -> frozenset[str]:
    values = value if isinstance(value, list) else [value]
    return frozenset(one for one in values if isinstance(one, str))


def _instant(claims: Mapping[str, Any], name: str) -> datetime:
    seconds = claims.get(name)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _MOST_SECONDS:
        raise BadToken(f"{name} is missing, or no time")
    return datetime.fromtimestamp(seconds, UTC)


def _text(value: object) -> str:
    return value[:_MOST_ID_CHARS] if isinstance(value, str) else ""


def _object(segment: str) -> dict[str, Any]:
    try:
        value = orjson.loads(_decoded(segment))
    except orjson.JSONDecodeError as error:
        raise BadToken("no JSON") from error
    if not isinstance(value, dict):
        raise BadToken("no JSON object")
    return value


def _decoded(segment: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError as error:
        raise BadToken("no base64url") from error
