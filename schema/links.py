"""Media links."""

from datetime import datetime

import strawberry

from services.house import House
from services.links import Link, LinkKind

_HLS = "application/vnd.apple.mpegurl"
_FORMS = {
    LinkKind.PLAYBACK: ("/media/recordings/{}/index.m3u8", _HLS),
    LinkKind.LIVE: ("/media/live/{}/index.m3u8", _HLS),
    LinkKind.REVIEW: ("/media/review/{}/index.m3u8", _HLS),
    LinkKind.DOWNLOAD: ("/media/downloads/{}/programme.mp4", "audio/mp4"),
    LinkKind.CLIP: ("/media/clips/{}/index.m3u8", _HLS),
    LinkKind.ARCHIVE: ("/media/archives/{}/recording.zip", "application/zip"),
    LinkKind.EXPORT: ("/exports/{}/account.zip", "application/zip"),
    LinkKind.EXPORT_WITH_RECORDINGS: ("/exports/{}/account.zip", "application/zip"),
}


@strawberry.type(
    description="A signed URL for the viewer alone. It can die before expiresAt, for example when the recording"
    " is deleted."
)
class MediaLink:
    """A signed URL for the viewer alone."""

    url: str = strawberry.field(description="Absolute; needs no header and no cookie.")
    mime_type: str = strawberry.field(description="What the URL answers.")
    expires_at: datetime = strawberry.field(description="When the URL dies at the latest.")


def media_link(house: House, link: Link) -> MediaLink:
    """A link as clients get it."""
    path, mime_type = _FORMS[link.kind]
    url = house.links.url(path.format(house.links.sign(link)))
    return MediaLink(url=url, mime_type=mime_type, expires_at=link.expires_at)
