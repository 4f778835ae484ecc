"""Pictures of people: taken apart into pixels and made anew, so that nothing but the picture is kept or told."""

import asyncio
import hashlib
from io import BytesIO
from uuid import UUID

from models.account import Account
from models.avatar import Avatar
from services.changes import again, change
from services.errors import InvalidInput, NotFound, RateLimited
from services.house import House
from services.outward import id_text
from services.viewers import Viewer

MOST_BYTES = 8 * 1024 * 1024
MOST_PIXELS = 24_000_000
SIDE_PX = 512
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_QUALITY = 85
_HOUR_S = 3600.0
_UPLOADS_AN_HOUR = 30
# Each picture that is taken apart holds up to four bytes a pixel.
_at_once = asyncio.Semaphore(2)


def url(house: House, account: Account) -> str | None:
    """Where the picture lies; another picture lies elsewhere."""
    if account.avatar_digest is None or account.deleted_at is not None:
        return None
    return house.links.url(f"/avatars/{id_text(account.id)}/{account.avatar_digest[:16]}.jpg")


async def put(house: House, viewer: Viewer, data: bytes) -> Account:
    """Take a picture of the viewer. Raises InvalidInput."""
    account = viewer.signed_in()
    wait = house.limiter.check(f"avatar:{account.id}", limit=_UPLOADS_AN_HOUR, per_seconds=_HOUR_S)
    if house.rules.rate_limits and wait:
        raise RateLimited(retry_after_ms=wait)
    async with _at_once:
        picture = await asyncio.to_thread(remake, data)
    digest = hashlib.sha256(picture).hexdigest()
    await again(lambda: _keep(house, account.id, digest, picture))
    await account.refresh_from_db()
    return account


async def _keep(house: House, account_id: UUID, digest: str, picture: bytes) -> None:
    async with change(house) as made:
        if not await Account.filter(id=account_id, deleted_at=None).update(avatar_digest=digest):
            raise NotFound
        await Avatar.update_or_create(
            account_id=account_id, defaults={"digest": digest, "picture": picture, "made_at": made.now}
        )


async def remove(house: House, viewer: Viewer) -> None:
    """Take the viewer's picture away; without one, nothing happens."""
    account = viewer.signed_in()
    async with change(house):
        await drop(account.id)


async def drop(account_id: UUID) -> None:
    """Forget an account's picture."""
    await Avatar.filter(account_id=account_id).delete()
    await Account.filter(id=account_id).update(avatar_digest=None)


async def find(account_id: UUID, name: str) -> Avatar:
    """The picture of an account by the name in its address. Raises NotFound, also for one of before."""
    found = await Avatar.get_or_none(account_id=account_id)
    if found is None or found.digest[:16] != name:
        raise NotFound("There is no such picture any more.")
    return found


def remake(data: bytes) -> bytes:
    """A square JPEG of at most 512 pixels a side, upright, without metadata. Raises InvalidInput. Blocks.

    The size is read from the header and bounded before a pixel is decoded. Of an animation the first picture
    is taken, and what shines through becomes white.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    # Our own bound is lower than the library's, which only warns.
    Image.MAX_IMAGE_PIXELS = None
    if len(data) > MOST_BYTES:
        raise InvalidInput(f"A picture has at most {MOST_BYTES} bytes, got {len(data)}.")
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise InvalidInput(
                    f"A picture has at most {MOST_PIXELS} pixels, got {image.width} by {image.height}."
                )
            image.draft("RGB", (SIDE_PX, SIDE_PX))
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise InvalidInput("This is no picture that can be read. Send a JPEG, PNG, WebP or GIF.") from error
    side = min(SIDE_PX, *upright.size)
    square = ImageOps.fit(upright, (side, side))
    flat = Image.new("RGB", square.size, "white")
    flat.paste(square, mask=square.getchannel("A"))
    made = BytesIO()
    flat.save(made, "JPEG", quality=_QUALITY, optimize=True)
    return made.getvalue()
