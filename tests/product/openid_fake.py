"""An OpenID Connect provider of the tests' own: a real server that discovers, rotates, fails and signs."""

import asyncio
import base64
import contextlib
import hmac
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import uvicorn
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.product.town import MovableClock, free_port

AUDIENCE = "https://spaces.example"
Key = RSAKey | ECKey | OKPKey


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
    """A signed token, whatever its header says: joserfc would refuse to make some of them."""
    how = jws.JWSRegistry.algorithms["Ed25519" if header["alg"] == "EdDSA" else header["alg"]]
    signed = f"{_b64(orjson.dumps(header))}.{_b64(orjson.dumps(claims))}"
    return f"{signed}.{_b64(how.sign(signed.encode(), key))}"


@dataclass
class OpenIdFake:
    """One provider. `status` other than 200 is what it answers to everything; `hangs` is that it does not."""

    issuer: str
    clock: MovableClock
    keys: list[Key] = field(default_factory=lambda: [new_key("first")])
    asked: Counter[str] = field(default_factory=Counter)
    status: int = 200
    discovery: dict[str, Any] = field(default_factory=dict)
    more_keys: list[Any] = field(default_factory=list)

    def rotate(self, *, keep: bool = False) -> None:
        """Sign with a new key from now on."""
        self.keys = [*(self.keys if keep else []), new_key(secrets.token_hex(4))]

    def claims(self, subject: str, **changes: Any) -> dict[str, Any]:
        """What a token of a person says now; a claim that is changed to None is left out."""
        now = int(self.clock.now().timestamp())
        claims = {"iss": self.issuer, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 600}
        claims |= {"preferred_username": subject, **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, subject: str, *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token as the provider makes it, but for what is changed."""
        key = self.keys[-1]
        said = {"alg": _ALGORITHM[key.key_type], "kid": key.kid, "typ": "at+jwt", **(header or {})}
        said = {name: value for name, value in said.items() if value is not None}
        return compact(said, self.claims(subject, **changes), key)

    async def sign_in(self, subject: str, **claims: Any) -> str:
        """Fetch a token as an application does, over the network."""
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{self.issuer}/token", json={"subject": subject, "claims": claims})
        return str(answer.json()["access_token"])

    async def serve(self, request: Request) -> Response:
        """One answer."""
        path = request.url.path.removeprefix("/one").removeprefix("/two")
        self.asked[path] += 1
        if self.status != 200:
            return Response(status_code=self.status, headers={"Location": f"{self.issuer}/jwks"})
        if path == "/token":
            wish = await request.json()
            return JSONResponse({"access_token": self.token(wish["subject"], **wish["claims"])})
        if path == "/jwks":
            public = [{**key.as_dict(private=False), "use": "sig"} for key in self.keys]
            return JSONResponse({"keys": [*self.more_keys, *public]})
        found = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", **self.discovery}
        return JSONResponse(found)


_ALGORITHM = {"EC": "ES256", "RSA": "RS256", "OKP": "EdDSA"}


def new_key(kid: str, kind: str = "EC") -> Key:
    """A private key of a provider."""
    if kind == "RSA":
        return RSAKey.generate_key(2048, {"kid": kid})
    if kind == "OKP":
        return OKPKey.generate_key("Ed25519", {"kid": kid})
    return ECKey.generate_key("P-256", {"kid": kid})


@contextlib.asynccontextmanager
async def openid_fakes(clock: MovableClock) -> AsyncIterator[tuple[OpenIdFake, OpenIdFake]]:
    """Two providers on a free port."""
    port = free_port()
    one, two = (OpenIdFake(f"http://127.0.0.1:{port}/{name}", clock) for name in ("one", "two"))
    paths = ("/.well-known/openid-configuration", "/jwks", "/token")
    routes = [
        Route(f"/{name}{path}", fake.serve, methods=["GET", "POST"])
        for name, fake in (("one", one), ("two", two))
        for path in paths
    ]
    app = Starlette(routes=routes)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield one, two
    finally:
        server.should_exit = True
        await task


def public_pem(key: Key) -> bytes:
    """The public key as a file has it, which a careless library takes for a shared secret."""
    assert isinstance(key, RSAKey)
    return key.as_pem(private=False)


def forgeries(fake: OpenIdFake, other: OpenIdFake) -> dict[str, str]:
    """Tokens that must not be taken, each with one fault, by name."""
    rsa = next(key for key in fake.keys if key.key_type == "RSA")
    mine = new_key(str(fake.keys[-1].kid))
    now = int(fake.clock.now().timestamp())
    good = fake.token("mallory")
    head, body, signature = good.split(".")
    header = {"alg": "ES256", "kid": fake.keys[-1].kid, "typ": "at+jwt"}
    claims = fake.claims("mallory")
    unsigned = f"{_b64(orjson.dumps({**header, 'alg': 'none'}))}.{body}."
    jwk = mine.as_dict(private=False)

    def forged(**changes: Any) -> str:
        return compact({**header, **changes}, claims, mine)

    def swapped(secret: bytes, **changes: Any) -> str:
        said = {**header, "kid": rsa.kid, "alg": "HS256", **changes}
        signed = f"{_b64(orjson.dumps(said))}.{body}"
        # By hand: joserfc takes no public key for a secret.
        return f"{signed}.{_b64(hmac.digest(secret, signed.encode(), 'sha256'))}"

    return {
        "alg none": unsigned,
        "alg none with a signature": f"{unsigned}{signature}",
        "alg nOnE": f"{_b64(orjson.dumps({**header, 'alg': 'nOnE'}))}.{body}.{signature}",
        "HS with the RS key as secret": swapped(public_pem(rsa)),
        "HS with the RS modulus as secret": swapped(orjson.dumps(rsa.as_dict(private=False))),
        "an algorithm not on the list": compact({**header, "alg": "RS512", "kid": rsa.kid}, claims, rsa),
        "a key of another type": compact({**header, "kid": rsa.kid}, claims, fake.keys[-1]),
        "a wrong key": forged(),
        "the key of another provider": compact({**header, "kid": other.keys[-1].kid}, claims, other.keys[-1]),
        "an unknown kid": forged(kid="nobody"),
        "a kid that climbs": forged(kid="../../../../etc/passwd"),
        "a kid that is an address": forged(kid=f"{fake.issuer}/evil"),
        "a kid that is SQL": forged(kid="x' UNION SELECT 'secret"),
        "a kid that is a number": forged(kid=1),
        "a kid of 300 characters": forged(kid="k" * 300),
        "a jku": forged(jku=f"{fake.issuer}/evil"),
        "an x5u": forged(x5u=f"{fake.issuer}/evil"),
        "a jwk": forged(jwk=jwk, kid=None),
        "an x5c": forged(x5c=["MIIB"]),
        "a critical extension": fake.token("mallory", header={"crit": ["exp"]}),
        "a type of its own": fake.token("mallory", header={"typ": "logout+jwt"}),
        "a DPoP proof": fake.token("mallory", header={"typ": "dpop+jwt"}),
        "a type that is a number": fake.token("mallory", header={"typ": 1}),
        "a logout": fake.token("mallory", events={"http://schemas.openid.net/event/backchannel-logout": {}}),
        "another audience": fake.token("mallory", aud="https://other.example"),
        "many other audiences": fake.token("mallory", aud=["a", "b"]),
        "no audience": fake.token("mallory", aud=None),
        "an audience that is an object": fake.token("mallory", aud={AUDIENCE: 1}),
        "another issuer": fake.token("mallory", iss="https://other.example"),
        "the issuer with a slash": fake.token("mallory", iss=f"{fake.issuer}/"),
        "the other provider's name": fake.token("mallory", iss=other.issuer),
        "no issuer": fake.token("mallory", iss=None),
        "no subject": fake.token("mallory", sub=None),
        "an empty subject": fake.token(""),
        "a subject with a NUL": fake.token("mal\0lory"),
        "a subject of 256 characters": fake.token("m" * 256),
        "expired": fake.token("mallory", exp=now - 31),
        "no expiry": fake.token("mallory", exp=None),
        "an expiry that is text": fake.token("mallory", exp=str(now + 600)),
        "an expiry that is true": fake.token("mallory", exp=True),
        "an expiry without end": fake.token("mallory", exp=10**18),
        "not good yet": fake.token("mallory", nbf=now + 45),
        "issued tomorrow": fake.token("mallory", iat=now + 45),
        "no time of issue": fake.token("mallory", iat=None),
        "truncated": good[:-1],
        "truncated by half": good[: len(good) // 2],
        "without its signature": f"{head}.{body}.",
        "without its claims": f"{head}..{signature}",
        "changed in its claims": f"{head}.{_b64(orjson.dumps({**claims, 'sub': 'root'}))}.{signature}",
        "with a fourth part": f"{good}.{signature}",
        "encrypted": f"{head}.{body}.{signature}.{signature}.{signature}",
        "claims that are a list": f"{head}.{_b64(b'[1]')}.{signature}",
        "claims of 10,000 levels": f"{head}.{_b64(b'[' * 10_000)}.{signature}",
        "too long": fake.token("mallory", padding="x" * 13_000),
        "dots": "..",
        "one dot": "a.b",
        "garbage": "garbage",
        "garbage in parts": "ab.cd.ef",
    }
