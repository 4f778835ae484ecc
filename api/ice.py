"""STUN and TURN servers as the settings name them."""

from pydantic import BaseModel, ConfigDict, Field


class IceLink(BaseModel):
    """A STUN or TURN server that clients are told of."""

    model_config = ConfigDict(frozen=True)

    url: str = Field(pattern=r"^(stuns?|turns?):[^\s<>\"]{1,250}$")
    username: str = Field(default="", pattern=r"^[^\"\\\x00-\x1f]{0,250}$")
    credential: str = Field(default="", pattern=r"^[^\"\\\x00-\x1f]{0,250}$")

    @property
    def header(self) -> str:
        """As a Link header has it (RFC 9725 section 4.4)."""
        signed = f'; username="{self.username}"; credential="{self.credential}"; credential-type="password"'
        return f'<{self.url}>; rel="ice-server"' + (signed if self.username else "")
