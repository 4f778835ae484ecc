"""OpenID Connect providers, a part of the settings in api/settings.py."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

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
