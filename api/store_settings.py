"""The settings of the object store, a part of those in api/settings.py."""

from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings


class StoreSettings(BaseSettings):
    """Where recordings are kept once they are over, and who may read there."""

    store_url: str = Field(
        default="",
        description="s3://bucket or s3://bucket/folder, which keeps recordings once they are over; the data folder is"
        " their spool then. Empty: they stay in the data folder. What a bucket keeps is not moved when it changes.",
    )
    store_endpoint: str = Field(
        default="",
        description="http or https address of a store that speaks S3. Empty: Amazon's, in the region.",
    )
    store_region: str = Field(default="us-east-1", description="Region of the bucket, which signatures name.")
    store_key_id: str = Field(default="", description="Id of the key that may read and write the bucket.")
    store_secret: SecretStr = Field(
        default=SecretStr(""), description="Its secret. Whoever has both hears and destroys everything."
    )
    store_link_s: int = Field(
        default=0,
        ge=0,
        le=60,
        description="Seconds for which players are sent to the store itself for what nobody hides from them, by signed"
        " links. 0: all bytes come through this server. Above: less to carry here, but a deletion, a block and an"
        " expiry take up to so many seconds, and the bucket must allow other origins (CORS). Review copies never are"
        " sent so.",
    )

    x_accel_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9_-]+)*$",
        description="Path below which nginx in front hands out the folder of recordings, for instance /recorded-bytes:"
        " it is told by X-Accel-Redirect which file to send, once this server has said yes. Empty: all bytes come"
        " through this server. Whoever reaches this server past such a proxy hears nothing.",
    )

    @model_validator(mode="after")
    def _store_is_whole(self) -> Self:
        if not self.store_url:
            return self
        parts = urlsplit(self.store_url)
        # A key has no such names in it, and a folder that is read in two ways could not be proven empty.
        odd = {"", ".", ".."} & set(parts.path.strip("/").split("/")) if parts.path.strip("/") else set()
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment or odd:
            raise ValueError(f"SPACES_STORE_URL: expected s3://bucket/folder, got {self.store_url}")
        if not self.store_key_id or not self.store_secret.get_secret_value():
            raise ValueError("SPACES_STORE_URL needs SPACES_STORE_KEY_ID and SPACES_STORE_SECRET")
        return self

    @property
    def store_bucket(self) -> str:
        """The bucket's name."""
        return urlsplit(self.store_url).netloc

    @property
    def store_prefix(self) -> str:
        """The folder in the bucket, ending in a slash, or nothing."""
        folder = urlsplit(self.store_url).path.strip("/")
        return f"{folder}/" if folder else ""

    @property
    def store_address(self) -> str:
        """The endpoint in force."""
        return self.store_endpoint.rstrip("/") or f"https://s3.{self.store_region}.amazonaws.com"

    @property
    def store_links_for(self) -> timedelta:
        """How long a link to the store is good for; zero: none is made."""
        return timedelta(seconds=self.store_link_s)
