"""The bucket that the settings name."""

from typing import TYPE_CHECKING

from api.settings import Settings
from services.clock import SystemClock

# Not loaded where recordings stay on the disk.
if TYPE_CHECKING:
    from media.bucket import Bucket


def open_bucket(settings: Settings) -> "Bucket | None":
    """Where recordings are kept once they are over; None: in the data folder. Raises OSError for a missing secret."""
    if not settings.store_url:
        return None
    from media.bucket import Bucket
    from media.s3_requests import BucketAddress

    address = BucketAddress(
        bucket=settings.store_bucket,
        prefix=settings.store_prefix,
        endpoint=settings.store_address,
        region=settings.store_region,
        key_id=settings.store_key_id,
        secret=settings.store_key(),
    )
    # A signature is of the time that the store has, whatever the house goes by.
    return Bucket(address, now=SystemClock().now)


def ask_bucket(settings: Settings) -> tuple[str, str]:
    """What is wrong with the bucket, or nothing; and what is to be known of it. Changes nothing there."""
    try:
        bucket = open_bucket(settings)
        assert bucket is not None
        next(bucket.kept(""), None)
        versions = bucket.keeps_versions()
    except OSError as error:
        return f"{error}. Look at the settings that begin with SPACES_STORE, and at what the key may do.", ""
    kept = "keeps versions, which purges remove too" if versions else "keeps no versions"
    return "", f"{settings.store_url} answers, and {kept}"
