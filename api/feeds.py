"""A host's recordings as a podcast (RSS), and the coming Spaces as a calendar (RFC 5545).

The enclosure is a link of its own kind: it needs no header, is the same for everyone and at every reading, lives as
long as the recording may be public, and is checked against the recording's state at each request. A feed is asked
about at every use (`no-cache`), so that what is gone is gone from it.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.cards import feed_url
from api.indexes import Indexes
from api.pages import render
from media.playlist import first_fragment_at
from media.splice import Splice
from models.space import Space, SpaceState
from services import feeds, playback
from services.feeds import Coming, Episode
from services.house import House

if TYPE_CHECKING:
    from icalendar import Event

_RSS = "application/rss+xml"
_ICAL = "text/calendar"
# Nobody says how long a Space will last; a calendar needs something to draw.
_DRAWN_FOR = timedelta(hours=1)
_WEAK_FOR = timedelta(seconds=1)


class FeedRoutes:
    """`/people/{handle}/podcast.xml` and `/people/{handle}/calendar.ics`."""

    def __init__(self, house: House, indexes: Indexes) -> None:
        self._house = house
        self._indexes = indexes

    def routes(self) -> list[Route]:
        """Both."""
        return [
            Route("/people/{handle}/podcast.xml", self.podcast),
            Route("/people/{handle}/calendar.ics", self.calendar),
        ]

    async def podcast(self, request: Request) -> Response:
        """The host's recordings that anyone may play."""
        found = await feeds.podcast(self._house, request.path_params["handle"])
        items = [await self._item(episode) for episode in found.episodes]
        path = f"/people/{found.host.handle}/podcast.xml"
        body = render(
            "podcast.xml",
            host=_clean(found.host.name),
            bio=_clean(found.host.bio or f"Recorded Spaces by {found.host.name}"),
            site=self._house.links.url("/"),
            url=self._house.links.url(path),
            items=items,
        )
        return self._answer(request, body.encode(), _RSS, found.changed_at)

    async def _item(self, episode: Episode) -> dict[str, object]:
        recording, space = episode.recording, episode.space
        media = playback.stored_for_feed(self._house, recording)
        index = await self._indexes.of(media)
        first = first_fragment_at(index, media.start_ms)
        splice = Splice(index, first=first, last=len(index.fragments))
        page = f"/cards/{episode.card_id}" if episode.card_id else "/"
        return {
            "title": _clean(space.title),
            "description": _clean(space.description or space.title),
            "guid": f"urn:uuid:{recording.id}",
            "url": self._house.links.url(page),
            "date": format_datetime(space.ended_at or recording.created_at),
            "enclosure": feed_url(self._house, recording),
            "bytes": splice.size_bytes,
            "seconds": max(1, (recording.duration_ms - recording.start_offset_ms) // 1000),
        }

    async def calendar(self, request: Request) -> Response:
        """The host's coming Spaces."""
        found = await feeds.agenda(self._house, request.path_params["handle"])
        body = self._calendar(found)
        return self._answer(request, body, _ICAL, found.changed_at)

    def _calendar(self, found: feeds.Agenda) -> bytes:
        from icalendar import Calendar

        calendar = Calendar()
        calendar.add("prodid", "-//Spaces//Spaces//EN")
        calendar.add("version", "2.0")
        calendar.add("name", _clean(f"Spaces by {found.host.name}"))
        calendar.add("x-wr-calname", _clean(f"Spaces by {found.host.name}"))
        for coming in found.coming:
            calendar.add_component(self._event(coming))
        body: bytes = calendar.to_ical()
        return body

    def _event(self, coming: Coming) -> "Event":
        from icalendar import Event

        space = coming.space
        event = Event()
        event.add("uid", f"{space.id}@{urlsplit(self._house.links.url('/')).hostname}")
        event.add("sequence", coming.revision)
        event.add("dtstamp", coming.changed_at)
        event.add("last-modified", coming.changed_at)
        event.add("created", space.created_at)
        event.add("dtstart", space.scheduled_start)
        event.add("duration", _DRAWN_FOR)
        event.add("summary", _clean(space.title))
        if space.description:
            event.add("description", _clean(space.description))
        event.add("status", _status(space))
        event.add("url", self._house.links.url(f"/cards/{coming.card_id}" if coming.card_id else "/"))
        return event

    def _answer(self, request: Request, body: bytes, kind: str, changed_at: datetime) -> Response:
        """The feed, or 304 to who has just this one."""
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "public, no-cache", "X-Content-Type-Options": "nosniff"}
        # A second that is not over may still bring another one (RFC 9110, section 8.8.2.2).
        if self._house.clock.now() - changed_at > _WEAK_FOR:
            headers["Last-Modified"] = format_datetime(changed_at.astimezone(UTC), usegmt=True)
        if _has_it(request, tag, changed_at if "Last-Modified" in headers else None):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=f"{kind}; charset=utf-8", headers=headers)


def _has_it(request: Request, tag: str, changed_at: datetime | None) -> bool:
    """Whether the client has this very feed; the date counts only without a tag (RFC 9110, section 13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        named = {one.strip().removeprefix("W/") for one in tags.split(",")}
        return tag in named or "*" in named
    since = request.headers.get("if-modified-since")
    if since is None or changed_at is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except (ValueError, IndexError, TypeError):
        return False
    return moment.tzinfo is not None and moment >= changed_at.replace(microsecond=0)


def _status(space: Space) -> str:
    return "CANCELLED" if space.state is SpaceState.CANCELED else "CONFIRMED"


def _clean(value: str) -> str:
    """Text without what XML 1.0 and calendars cannot carry."""
    return "".join(char for char in value if _carried(ord(char)))


def _carried(code: int) -> bool:
    return code in {9, 10} or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000
