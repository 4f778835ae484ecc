"""The timeline in Strawberry and Tortoise as their manuals have it: types, resolvers, data loaders, model objects."""

# Strawberry reads annotations of nested classes here, so they are none of strings.
import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry
from starlette.requests import Request
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader

from models.account import Account
from models.fields import to_ms
from models.follow import Follow
from models.recording import Recording as RecordingRow
from models.space import Space as SpaceRow
from models.timeline_item import SHARE_KINDS
from models.timeline_item import TimelineItem as ItemRow
from schema.links import media_link
from services import accounts, avatars, cursors, playback, retention, visibility
from services.house import House
from services.links import LinkKind


def _id(name: str, row: Any) -> strawberry.ID:
    return strawberry.ID(base64.urlsafe_b64encode(f"{name}:{row.id}".encode()).rstrip(b"=").decode())


@strawberry.type
class Link:
    """A signed link."""

    url: str
    mime_type: str
    expires_at: datetime


@strawberry.type
class User:
    """A person."""

    row: strawberry.Private[Any]

    @strawberry.field
    def id(self) -> strawberry.ID:
        """Its id."""
        return _id("User", self.row)

    @strawberry.field
    def handle(self) -> str:
        """Its handle."""
        return self.row.handle if self.row.deleted_at is None else "deleted"

    @strawberry.field
    def name(self) -> str:
        """Its name."""
        return self.row.name if self.row.deleted_at is None else "Deleted account"

    @strawberry.field
    def avatar_url(self, info: strawberry.Info) -> str | None:
        """Its picture."""
        return avatars.url(info.context["house"], self.row)


@strawberry.type
class Space:
    """A Space."""

    row: strawberry.Private[Any]
    title: str
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    participant_count: int
    total_listener_count: int

    @strawberry.field
    def id(self) -> strawberry.ID:
        """Its id."""
        return _id("Space", self.row)

    @strawberry.field
    async def host(self, info: strawberry.Info) -> User:
        """Its host."""
        return User(row=await info.context["accounts"].load(self.row.host_id))


@strawberry.type
class Recording:
    """A recording."""

    row: strawberry.Private[Any]
    duration_ms: int
    expires_at: datetime | None
    start_offset_ms: int
    play_count: int

    @strawberry.field
    def id(self) -> strawberry.ID:
        """Its id."""
        return _id("Recording", self.row)

    @strawberry.field
    def status(self, info: strawberry.Info) -> str:
        """Where it is."""
        return retention.status_at(self.row, info.context["now"])

    @strawberry.field
    async def viewer_can_play(self, info: strawberry.Info) -> bool:
        """Whether it can be played."""
        admitted = await visibility.is_admitted(info.context["viewer"], self.row)
        return visibility.may_play(self.row, info.context["now"], admitted=admitted)

    @strawberry.field
    async def playback(self, info: strawberry.Info) -> Link | None:
        """Where."""
        context = info.context
        admitted = await visibility.is_admitted(context["viewer"], self.row)
        if not visibility.may_play(self.row, context["now"], admitted=admitted):
            return None
        link = playback.recording_link(
            context["house"], self.row, context["viewer"], context["now"], LinkKind.PLAYBACK
        )
        signed = media_link(context["house"], link)
        return Link(url=signed.url, mime_type=signed.mime_type, expires_at=signed.expires_at)


@strawberry.type
class Item:
    """A card."""

    row: strawberry.Private[Any]
    kind: str
    created_at: datetime
    activity_at: datetime
    comment: str | None
    start_ms: int

    @strawberry.field
    def id(self) -> strawberry.ID:
        """Its id."""
        return _id("TimelineItem", self.row)

    @strawberry.field
    def url(self, info: strawberry.Info) -> str:
        """Its page."""
        url: str = info.context["house"].links.url(f"/cards/{self.row.id}")
        return url

    @strawberry.field
    def viewer_can_delete(self, info: strawberry.Info) -> bool:
        """Whether it can be taken back."""
        return self.row.author_id == info.context["viewer"].id and self.row.kind in SHARE_KINDS

    @strawberry.field
    async def author(self, info: strawberry.Info) -> User:
        """Who put it there."""
        return User(row=await info.context["accounts"].load(self.row.author_id))

    @strawberry.field
    async def space(self, info: strawberry.Info) -> Space:
        """What it is about."""
        row = await info.context["spaces"].load(self.row.space_id)
        return Space(
            row=row, title=row.title, state=row.state, started_at=row.started_at, ended_at=row.ended_at,
            participant_count=row.participant_count, total_listener_count=row.total_listener_count,
        )  # fmt: skip

    @strawberry.field
    async def recording(self, info: strawberry.Info) -> Recording | None:
        """Its recording."""
        row = await info.context["recordings"].load(self.row.space_id)
        if row is None:
            return None
        return Recording(
            row=row, duration_ms=row.duration_ms, expires_at=row.expires_at,
            start_offset_ms=row.start_offset_ms, play_count=row.play_count,
        )  # fmt: skip


@strawberry.type
class Edge:
    """A place."""

    node: Item


@strawberry.type
class PageInfo:
    """How to go on."""

    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class Connection:
    """A page."""

    edges: list[Edge]
    page_info: PageInfo


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    async def timeline(self, info: strawberry.Info, first: int | None = 20) -> Connection:
        """The newest cards of those whom the viewer follows."""
        viewer, most = info.context["viewer"], first or 20
        hidden = await visibility.hidden_from(viewer)
        followed = await Follow.filter(follower_id=viewer.id).values_list("followee_id", flat=True)
        authors: list[Any] = [viewer.id, *followed]
        found = ItemRow.filter(await visibility.items(viewer), author_id__in=set(authors) - hidden)
        rows = await found.order_by("-activity_at", "-id").limit(most + 1)
        edges = [
            Edge(
                node=Item(
                    row=row, kind=row.kind, created_at=row.created_at, activity_at=row.activity_at,
                    comment=row.comment, start_ms=row.start_ms,
                )
            )
            for row in rows[:most]
        ]  # fmt: skip
        last = rows[:most][-1]
        cursor = cursors.pack(["timeline_item", to_ms(last.activity_at), str(last.id)])
        return Connection(edges=edges, page_info=PageInfo(has_next_page=len(rows) > most, end_cursor=cursor))


def _loader(viewer: Any, model: Any, column: str) -> DataLoader[UUID, Any]:
    async def load(keys: list[UUID]) -> list[Any]:
        found = model.filter(await visibility.RULES[model](viewer), **{f"{column}__in": keys})
        rows = {getattr(row, column): row for row in await found}
        return [rows.get(key) for key in keys]

    return DataLoader(load_fn=load)


class _App(GraphQL[Any, Any]):
    """The stock ASGI application."""

    house: Callable[[], House]

    async def get_context(self, request: Any, response: Any) -> Any:
        """Who asks, and a loader a table."""
        assert isinstance(request, Request)
        house = self.house()
        token = request.headers["authorization"].removeprefix("Bearer ")
        viewer = await accounts.authenticate(house, token, address="127.0.0.1")
        return {
            "house": house, "viewer": viewer, "now": house.clock.now(),
            "accounts": _loader(viewer, Account, "id"), "spaces": _loader(viewer, SpaceRow, "id"),
            "recordings": _loader(viewer, RecordingRow, "space_id"),
        }  # fmt: skip


def routes(house: Callable[[], House]) -> list[Route]:
    """The one route."""
    app = _App(strawberry.Schema(query=Query))
    app.house = house
    return [Route("/graphql", app)]
