"""Facts signed as a compact JWS (RFC 7515) with ES256, which every JOSE library knows."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

_ALGORITHM = "ES256"


class BadSignature(Exception):
    """The document is none that one of these keys has signed."""


class Signer:
    """Signs with the newest key; every key still counts. `keys` is asked each time, so that a rotation is seen."""

    def __init__(self, keys: Callable[[], Sequence[ECKey]]) -> None:
        self._keys = keys

    def jwks(self) -> dict[str, object]:
        """The public keys, for /.well-known/jwks.json."""
        return {
            "keys": [{**key.as_dict(private=False), "use": "sig", "alg": _ALGORITHM} for key in self._keys()]
        }

    def sign(self, facts: dict[str, object], *, kind: str) -> str:
        """The facts as a compact JWS whose `typ` is `kind`."""
        key = self._keys()[-1]
        header = {"alg": _ALGORITHM, "typ": kind, "kid": key.kid}
        payload = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
        return jws.serialize_compact(header, payload, key)

    def verify(self, document: str, *, kind: str) -> dict[str, Any]:
        """The facts of a document of this kind. Raises BadSignature."""
        return verify(document, self._keys(), kind=kind)


def verify(document: str, keys: Sequence[ECKey], *, kind: str) -> dict[str, Any]:
    """The facts of a document of this kind, signed by one of these keys. Raises BadSignature."""
    try:
        signed = jws.deserialize_compact(document.strip(), KeySet([*keys]), algorithms=[_ALGORITHM])
        facts = orjson.loads(signed.payload)
    except (JoseError, ValueError) as error:
        raise BadSignature(f"the signature does not hold: {error}") from error
    if signed.headers().get("typ") != kind or not isinstance(facts, dict):
        raise BadSignature(f"expected a document of type {kind}")
    return facts
