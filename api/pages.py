"""Pages for people, made by the server: the timeline, a card's page, and the way to GraphiQL."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import escape
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from tortoise.expressions import Q

from api.answers import problem
from api.cards import Card, CardBook
from models.paging import Order
from models.removed_card import RemovedCard
from models.timeline_item import TimelineItem
from schema.rows import Rows, Wanted
from services.errors import ErrorCode, InvalidInput, NotFound, SpacesError
from services.house import House
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
    " form-action 'self'; frame-ancestors 'none'"
)
_EMBED_CSP = _PAGE_CSP.replace("frame-ancestors 'none'", "frame-ancestors *")
_CARDS = 20
_EMBED_WIDTH = 480
_EMBED_HEIGHT = 220


class CardGone(NotFound):
    """This card was taken back."""

    status = 410


def graphiql(request: Request) -> Response:
    """GraphiQL from our own files; without them, how to query."""
    if _GRAPHIQL.exists():
        return HTMLResponse(_GRAPHIQL.read_text(), headers={"Content-Security-Policy": _GRAPHIQL_CSP})
    return page("graphql.html", 200, address=shlex.quote(str(request.url.replace(query=""))))


def render(template: str, **values: Any) -> str:
    """One of our templates, every value escaped."""
    return _TEMPLATES.get_template(template).render(**values)


def page(template: str, status: int, *, csp: str = _PAGE_CSP, **values: Any) -> Response:
    """One of our templates, under a policy that lets nothing else in."""
    html = render(template, **values)
    return HTMLResponse(html, status, headers={"Content-Security-Policy": csp, "Cache-Control": "no-store"})


class Pages:
    """Read-only pages for those who have not signed in."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._book = CardBook(house)

    def routes(self) -> list[Route]:
        """The timeline, the cards, and the icon that browsers ask for unasked."""
        return [
            Route("/timeline", self.timeline),
            Route("/cards/{card}", self.card),
            Route("/embed/{card}", self.embed),
            Route("/oembed", self.oembed),
            Route("/favicon.ico", lambda _request: FileResponse(_HERE / "assets" / "icon.svg")),
        ]

    async def timeline(self, _request: Request, *, is_instead: bool = False) -> Response:
        """The public timeline; `is_instead`: where the browser client would be, had it been built."""
        rows = Rows(Viewer())
        wanted = Wanted(first=_CARDS)
        found = await rows.listed(TimelineItem, Q(is_public=True), Order(column="activity_at"), wanted)
        cards = [await self._book.card(rows, item) for item in found.rows]
        return page("timeline.html", 200, cards=cards, is_instead=is_instead)

    async def card(self, request: Request) -> Response:
        """One card, for sharing outside."""
        found = await self._found(request.path_params["card"])
        if isinstance(found, Response):
            return found
        return page("card.html", 200, card=found, site=self._house.links.url("/"))

    async def embed(self, request: Request) -> Response:
        """One card's player alone, for other people's pages."""
        found = await self._found(request.path_params["card"])
        if isinstance(found, Response):
            found.headers["Content-Security-Policy"] = _EMBED_CSP
            return found
        return page("embed.html", 200, csp=_EMBED_CSP, card=found)

    async def oembed(self, request: Request) -> Response:
        """What oEmbed asks for (https://oembed.com): the player of a card of ours, as JSON."""
        asked = request.query_params
        if asked.get("format", "json") != "json":
            return problem(400, ErrorCode.INVALID_INPUT, "This server speaks JSON alone: leave format out.")
        start = self._house.links.url("/cards/")
        url = asked.get("url", "").partition("?")[0].partition("#")[0]
        if not url.startswith(start):
            raise NotFound("There is no card behind this url.")
        found = await self._card_or_none(url.removeprefix(start))
        if found is None:
            raise await self._absent(url.removeprefix(start))
        return JSONResponse(_oembed(self._house, found, asked), headers={"Cache-Control": "no-cache"})

    async def _found(self, card_id: str) -> Card | Response:
        found = await self._card_or_none(card_id)
        if found is not None:
            return found
        absent = await self._absent(card_id)
        return page("missing.html", absent.status, was_good=absent.status == CardGone.status)

    async def _card_or_none(self, card_id: str) -> Card | None:
        rows = Rows(Viewer())
        key = _uuid(card_id)
        item = await rows.by_id(TimelineItem, key) if key else None
        return await self._book.card(rows, item) if item is not None else None

    async def _absent(self, card_id: str) -> SpacesError:
        key = _uuid(card_id)
        return CardGone() if key and await RemovedCard.exists(id=key) else NotFound()


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _oembed(house: House, card: Card, asked: Mapping[str, str]) -> dict[str, object]:
    """A `rich` answer: an iframe no larger than was asked for."""
    width, height = _at_most(asked, "maxwidth", _EMBED_WIDTH), _at_most(asked, "maxheight", _EMBED_HEIGHT)
    source = escape(house.links.url(f"/embed/{card.id}"))
    frame = (
        f'<iframe src="{source}" title="{escape(card.title)}" width="{width}" height="{height}"'
        ' style="border:0" loading="lazy" referrerpolicy="no-referrer"></iframe>'
    )
    return {
        "version": "1.0",
        "type": "rich",
        "title": card.title,
        "author_name": card.host,
        "provider_name": "Spaces",
        "provider_url": house.links.url("/"),
        "cache_age": 60,
        "html": frame,
        "width": width,
        "height": height,
    }


def _at_most(asked: Mapping[str, str], name: str, usual: int) -> int:
    value = asked.get(name, "")
    if not value:
        return usual
    if not (value.isascii() and value.isdigit() and 0 < int(value[:9]) <= 10**6):
        raise InvalidInput(f"{name} must be a whole number of pixels.", path=[name])
    return min(usual, int(value))
