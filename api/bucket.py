"""The bucket that the settings name."""

from typing import TYPE_CHECKING

from api.keys import write_once
from api.settings import Settings
from services.clock import SystemClock

# Not loaded where recordings stay on the disk.
if TYPE_CHECKING:
    from media.bucket import Bucket


# In the data folder: which bucket has recordings of this installation.
MARK = "store"


class StoreElsewhere(Exception):
    """The settings name another store than the one that has this installation's recordings.

    Without it they cannot be played, and a purge would prove nothing.
    """

    def __init__(self, settings: Settings, known: str) -> None:
        wanted = settings.store_url or "none"
        super().__init__(
            f"Recordings of this installation are in {known}, and SPACES_STORE_URL names {wanted}. Set it to {known};"
            f" or, once everything has been brought over, remove {settings.data_dir.absolute() / MARK}."
        )


def expect_same_store(settings: Settings) -> None:
    """Raises StoreElsewhere."""
    try:
        known = (settings.data_dir.absolute() / MARK).read_text().strip()
    except FileNotFoundError:
        return
    if known != settings.store_url:
        raise StoreElsewhere(settings, known)


def remembered_bucket(settings: Settings) -> "Bucket | None":
    """The bucket, which is remembered in the data folder once it has answered. Raises StoreElsewhere and StoreAway.

    One that is remembered need not be there: it is waited for.
    """
    expect_same_store(settings)
    bucket = open_bucket(settings)
    if bucket is not None and not (settings.data_dir.absolute() / MARK).exists():
        next(bucket.kept(""), None)
        write_once(settings.data_dir.absolute() / MARK, f"{settings.store_url}\n".encode())
        # Another process may have been quicker, with another store.
        expect_same_store(settings)
    return bucket


def open_bucket(settings: Settings) -> "Bucket | None":
    """Where recordings are kept once they are over; None: in the data folder."""
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
        secret=settings.store_secret.get_secret_value(),
    )
    # A signature is of the time that the store has, whatever the house goes by.
    return Bucket(address, now=SystemClock().now)


def ask_bucket(settings: Settings) -> tuple[str, str]:
    """What is wrong with the bucket, or nothing; and what is to be known of it, if there is one. Changes nothing."""
    try:
        expect_same_store(settings)
        bucket = open_bucket(settings)
        if bucket is None:
            return "", ""
        next(bucket.kept(""), None)
        versions = bucket.keeps_versions()
    except StoreElsewhere as error:
        return str(error), ""
    except OSError as error:
        return f"{error}. Look at the settings that begin with SPACES_STORE, and at what the key may do.", ""
    kept = "keeps versions, which purges remove too" if versions else "keeps no versions"
    return "", f"{settings.store_url} answers, and {kept}"
