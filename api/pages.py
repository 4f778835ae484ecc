"""Pages for people, made by the server: the timeline, a card's page, and the way to GraphiQL."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
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
from schema import ids
from schema.rows import Rows, Wanted
from services.errors import ErrorCode, InvalidInput, NotFound, SpacesError
from services.house import House
from services.outward import global_id
from services.viewers import Viewer

_HERE = Path(__file__).parent
_GRAPHIQL = _HERE / "static" / "graphiql" / "index.html"
_CLIENT = _HERE / "static" / "client" / "index.html"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_HERE / "templates"), autoescape=select_autoescape(), trim_blocks=True
)
_GRAPHIQL_CSP = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_CARDS = 20
_EMBED_WIDTH = 480
_EMBED_HEIGHT = 220


class CardGone(NotFound):
    """This card was taken back."""

    status = 410


def render(template: str, **values: Any) -> str:
    """One of our templates, every value escaped."""
    return _TEMPLATES.get_template(template).render(**values)


def page(site: str, template: str, status: int, *, framed_by: str = "'none'", **values: Any) -> Response:
    """One of our templates, every address in it below `site`, under a policy that lets nothing else in."""
    html = render(template, site=site, under_path=is_under_path(site), **values)
    policy = _policy(site, framed_by=framed_by)
    return HTMLResponse(
        html, status, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"}
    )


def _policy(site: str, *, framed_by: str) -> str:
    own = own_sources(site)
    return (
        f"default-src 'none'; media-src {own}; style-src {own}; img-src {own}; base-uri 'none';"
        f" form-action 'self'; frame-ancestors {framed_by}"
    )


def own_sources(public_url: str) -> str:
    """For a policy: the address that a page was opened with, and the public one."""
    public = urlsplit(public_url)
    return f"'self' {public.scheme}://{public.netloc}"


def is_under_path(public_url: str) -> bool:
    """Whether the server is told to be below a path of its host, where what was built for `/` finds nothing."""
    return urlsplit(public_url).path.strip("/") != ""


class Pages:
    """Read-only pages for those who have not signed in."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._book = CardBook(house)
        self.site = house.links.url("/")

    def routes(self) -> list[Route]:
        """The timeline, the cards, and the icon that browsers ask for unasked."""
        return [
            Route("/timeline", self.timeline),
            Route("/cards/{card}", self.card),
            Route("/embed/{card}", self.embed),
            Route("/oembed", self.oembed),
            Route("/favicon.ico", lambda _request: FileResponse(_HERE / "assets" / "icon.svg")),
        ]

    def graphiql(self, _request: Request) -> Response:
        """GraphiQL from our own files; without them, how to query."""
        if _GRAPHIQL.exists() and not is_under_path(self.site):
            return HTMLResponse(_GRAPHIQL.read_text(), headers={"Content-Security-Policy": _GRAPHIQL_CSP})
        address = shlex.quote(self._house.links.url("/graphql"))
        return page(self.site, "graphql.html", 200, address=address)

    async def timeline(self, _request: Request, *, is_instead: bool = False) -> Response:
        """The public timeline; `is_instead`: where the browser client would be, had it been built."""
        rows = Rows(Viewer())
        wanted = Wanted(first=_CARDS)
        found = await rows.listed(TimelineItem, Q(is_public=True), Order(column="activity_at"), wanted)
        cards = [await self._book.card(rows, item) for item in found.rows]
        return page(self.site, "timeline.html", 200, cards=cards, is_instead=is_instead)

    async def card(self, request: Request) -> Response:
        """One card, for sharing outside."""
        found = await self._found(request.path_params["card"])
        if isinstance(found, Response):
            return found
        return page(self.site, "card.html", 200, card=found, space_url=self._space_url(found))

    def _space_url(self, card: Card) -> str | None:
        """Where the browser client, if it is here, has the Space: there one can join."""
        is_here = _CLIENT.exists() and not is_under_path(self.site)
        return self._house.links.url(f"/spaces/{global_id('Space', card.space_id)}") if is_here else None

    async def embed(self, request: Request) -> Response:
        """One card's player alone, for other people's pages."""
        found = await self._found(request.path_params["card"], framed_by="*")
        if isinstance(found, Response):
            return found
        return page(self.site, "embed.html", 200, framed_by="*", card=found)

    async def oembed(self, request: Request) -> Response:
        """What oEmbed asks for (https://oembed.com): a card's player, or that of a Space's own card, as JSON."""
        asked = request.query_params
        if asked.get("format", "json") != "json":
            return problem(400, ErrorCode.INVALID_INPUT, "This server speaks JSON alone: leave format out.")
        url = asked.get("url", "").partition("?")[0].partition("#")[0]
        # The client asks for the address that it was opened with.
        sites = [site for site in (self.site, str(request.base_url)) if url.startswith(site)]
        if not sites:
            raise NotFound("There is no card behind this url.")
        found = await self._card_at(url.removeprefix(max(sites, key=len)))
        return JSONResponse(_oembed(self._house, found, asked), headers={"Cache-Control": "no-cache"})

    async def _card_at(self, path: str) -> Card:
        """The card of a card's page, or of a Space's. Raises NotFound."""
        kind, _, key = path.partition("/")
        if kind == "spaces":
            found = await self._book.own(Rows(Viewer()), ids.read(key, "Space"))
        else:
            found = await self._card_or_none(key) if kind == "cards" else None
        if found is None:
            raise await self._absent(key)
        return found

    async def _found(self, card_id: str, *, framed_by: str = "'none'") -> Card | Response:
        found = await self._card_or_none(card_id)
        if found is not None:
            return found
        absent = await self._absent(card_id)
        was_good = absent.status == CardGone.status
        return page(self.site, "missing.html", absent.status, framed_by=framed_by, was_good=was_good)

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
        # Beside what the standard has: the card's own page.
        "url": card.url,
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
