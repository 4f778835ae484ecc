"""OpenID Connect providers as the settings name them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.clock import Clock
from services.openid import Provider
from services.openid_keys import Providers

Audience = Annotated[str, StringConstraints(min_length=1, max_length=255)]
AlgorithmName = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"
]


class OpenIdProvider(BaseModel):
    """A provider whose tokens sign people in.

    `types` are the values of `typ`, an empty one for tokens without. The leeway is for clocks that differ: with more,
    expired tokens are good longer. Keys older than `keys_minutes` are fetched anew, so that one that is withdrawn
    counts no longer; while the provider is away they go on for `keys_kept_hours`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(pattern=r"^https?://[\x21-\x22\x24-\x3e\x40-\x7e]{1,240}$")
    audiences: tuple[Audience, ...] = Field(min_length=1)
    algorithms: tuple[AlgorithmName, ...] = Field(default=("RS256", "PS256", "ES256", "EdDSA"), min_length=1)
    types: tuple[str, ...] = Field(default=("at+jwt", "JWT", ""), min_length=1)
    leeway_s: int = Field(default=30, ge=0, le=300)
    keys_minutes: int = Field(default=10, ge=1)
    keys_kept_hours: int = Field(default=24, ge=1)


def providers_for(named: Sequence[OpenIdProvider], *, clock: Clock) -> Providers | None:
    """The providers, or None where nobody signs in at one. They are not asked before the first token."""
    if not named:
        return None
    return Providers(
        [
            Provider(
                issuer=one.issuer,
                audiences=frozenset(one.audiences),
                algorithms=frozenset(one.algorithms),
                types=frozenset(kind.lower().removeprefix("application/") for kind in one.types),
                leeway=timedelta(seconds=one.leeway_s),
                keys_fresh_for=timedelta(minutes=one.keys_minutes),
                keys_kept_for=timedelta(hours=one.keys_kept_hours),
            )
            for one in named
        ],
        monotonic=clock.monotonic,
    )
