"""What the browser client's page says of itself to programs that show links to it, as it is before any script runs."""

import structlog
from tortoise.exceptions import OperationalError

from api.cards import CardBook
from api.pages import render
from schema import ids
from schema.rows import Rows
from services import avatars, feeds
from services.errors import SpacesError
from services.house import House
from services.viewers import Viewer

log = structlog.get_logger(__name__)


class Heads:
    """Titles and Open Graph data, as those see them who have not signed in."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._book = CardBook(house)
        self._site = house.links.url("/")

    async def of(self, parts: dict[str, str]) -> str | None:
        """Of a path with these parts; None where there is nothing to name. A lost database keeps no page away."""
        try:
            if "space" in parts:
                return await self._of_space(parts["space"])
            return await self._of_person(parts["handle"]) if "handle" in parts else None
        except SpacesError:
            return None
        except OperationalError as error:
            log.warning("a page goes without its head", reason=str(error))
            return None

    async def _of_space(self, given: str) -> str | None:
        card = await self._book.own(Rows(Viewer()), ids.read(given, "Space"))
        return render("space_head.html", site=self._site, card=card) if card else None

    async def _of_person(self, handle: str) -> str:
        person = await feeds.host_of(handle)
        return render(
            "person_head.html",
            site=self._site,
            name=person.name,
            handle=person.handle,
            words=person.bio or f"@{person.handle} on Spaces",
            url=self._house.links.url(f"/people/{person.handle}"),
            image_url=avatars.url(self._house, person) or self._house.links.url("/assets/card.png"),
        )
