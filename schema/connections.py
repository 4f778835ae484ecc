"""Relay connections."""

from typing import Annotated, Any, Generic, TypeVar

import strawberry

from schema.rows import Page

T = TypeVar("T")

First = Annotated[int | None, strawberry.argument(description="How many, 1 to 100.")]
After = Annotated[
    str | None, strawberry.argument(description="Go on after this cursor, as the field answered it.")
]


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    """Where a page lies in its list."""

    has_next_page: bool = strawberry.field(description="Whether more follows.")
    has_previous_page: bool = strawberry.field(description="Whether something lies before it.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last edge: send it as `after`.")


@strawberry.type(description="One place in a list.")
class Edge(Generic[T]):
    """One place in a list."""

    cursor: str = strawberry.field(description="This place: send it as `after` to go on from here.")
    node: T | None = strawberry.field(
        description="What stands here; null when the viewer may not see it any more."
    )


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """A page of a list."""

    edges: list[Edge[T]] = strawberry.field(description="The places on this page, in order.")
    page_info: PageInfo = strawberry.field(description="How to go on.")


def connection_of(page: Page) -> Connection[Any]:
    """A page of rows as a connection."""
    edges = [Edge[Any](cursor=cursor, node=row) for cursor, row in zip(page.cursors, page.rows, strict=True)]
    return Connection(edges=edges, page_info=page_info(page))


def page_info(page: Page) -> PageInfo:
    """Where a page lies."""
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.cursors[0] if page.cursors else None,
        end_cursor=page.cursors[-1] if page.cursors else None,
    )
