"""Pages for people, made by the server: the timeline, a card's page, and the way to GraphiQL."""

import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from tortoise.expressions import Q

from models.account import Account
from models.paging import Order
from models.recording import ICON_ON, Recording, RecordingStatus
from models.space import Space, SpaceState
from models.timeline_item import SHARE_KINDS, TimelineItem
from schema.rows import Relation, Rows, Wanted
from services import playback, retention, visibility
from services.errors import NotFound
from services.house import House
from services.links import LinkKind
from services.viewers import Viewer

_HERE = Path(__file__).parent
_GRAPHIQL = _HERE / "static" / "graphiql" / "index.html"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=select_autoescape(), trim_blocks=True
)
_GRAPHIQL_CSP = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE_CSP = (
    "default-src 'none'; media-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
_RECORDING = Relation(model=Recording, key="id", column="space_id")
_CARDS = 20
_GONE = {
    RecordingStatus.EXPIRED: "This recording has expired.",
    RecordingStatus.DELETED: "The host deleted this recording.",
    RecordingStatus.TAKEN_DOWN: "A moderator took this recording down.",
    RecordingStatus.PURGED: "This recording is gone for good.",
    RecordingStatus.FAILED: "Nothing was recorded: no audio was received.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a page shows of one card."""

    url: str
    path: str
    is_share: bool
    title: str
    author: str
    host: str
    comment: str | None
    state: SpaceState
    when: datetime
    listeners: int
    is_recording: bool
    playlist_url: str | None
    file_url: str | None
    start_s: float
    length: str | None
    gone: str | None


def graphiql(request: Request) -> Response:
    """GraphiQL from our own files; without them, how to query."""
    if _GRAPHIQL.exists():
        return HTMLResponse(_GRAPHIQL.read_text(), headers={"Content-Security-Policy": _GRAPHIQL_CSP})
    return _page("graphql.html", 200, address=shlex.quote(str(request.url.replace(query=""))))


def _page(template: str, status: int, **values: Any) -> Response:
    html = _TEMPLATES.get_template(template).render(**values)
    return HTMLResponse(
        html, status, headers={"Content-Security-Policy": _PAGE_CSP, "Cache-Control": "no-store"}
    )


class Pages:
    """Read-only pages for those who have not signed in."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """The timeline, the cards, and the icon that browsers ask for unasked."""
        return [
            Route("/", self.timeline),
            Route("/cards/{card}", self.card),
            Route("/favicon.ico", lambda _request: FileResponse(_HERE / "assets" / "icon.svg")),
        ]

    async def timeline(self, _request: Request) -> Response:
        """The public timeline."""
        rows = Rows(Viewer())
        wanted = Wanted(first=_CARDS)
        page = await rows.listed(TimelineItem, Q(is_public=True), Order(column="activity_at"), wanted)
        cards = [await self._card(rows, item) for item in page.rows]
        return _page("timeline.html", 200, cards=cards)

    async def card(self, request: Request) -> Response:
        """One card, for sharing outside."""
        rows = Rows(Viewer())
        try:
            item = await rows.by_id(TimelineItem, UUID(request.path_params["card"]))
        except ValueError:
            item = None
        if item is None:
            return _page("missing.html", NotFound.status)
        return _page("card.html", 200, card=await self._card(rows, item))

    async def _card(self, rows: Rows, item: TimelineItem) -> Card:
        space: Space = await rows.by_id(Space, item.space_id)
        host: Account = await rows.by_id(Account, space.host_id)
        author: Account = await rows.by_id(Account, item.author_id)
        recording: Recording | None = await rows.one(_RECORDING, space.id)
        now = self._house.clock.now()
        base = self._media_base(space, recording, now)
        status = retention.status_at(recording, now) if recording else None
        return Card(
            url=self._house.links.url(f"/cards/{item.id}"),
            path=f"/cards/{item.id}",
            is_share=item.kind in SHARE_KINDS,
            title=space.title,
            author=author.name if author.deleted_at is None else "Deleted account",
            host=host.name if host.deleted_at is None else "Deleted account",
            comment=item.comment,
            state=space.state,
            when=item.activity_at,
            listeners=space.participant_count,
            is_recording=space.state is SpaceState.LIVE and status in ICON_ON,
            playlist_url=f"{base}/index.m3u8" if base else None,
            file_url=f"{base}/programme.mp4" if base else None,
            start_s=item.start_ms / 1000,
            length=_length(recording) if recording and recording.duration_ms else None,
            gone=_GONE.get(status) if status else None,
        )

    def _media_base(self, space: Space, recording: Recording | None, now: datetime) -> str | None:
        """A path, not a URL: the page plays under whatever address it was opened with."""
        links = self._house.links
        admitted = not space.is_ticketed
        if recording is not None and visibility.may_play(recording, now, admitted=admitted):
            link = playback.recording_link(self._house, recording, Viewer(), now, LinkKind.PLAYBACK)
            return f"/media/recordings/{links.sign(link)}"
        if visibility.may_hear_live(space, admitted=admitted):
            return f"/media/live/{links.sign(playback.live_link(self._house, space, Viewer(), now))}"
        return None


def _length(recording: Recording) -> str:
    seconds = recording.duration_ms // 1000
    return (
        f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        if seconds >= 3600
        else (f"{seconds // 60}:{seconds % 60:02d}")
    )
