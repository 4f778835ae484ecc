"""What a subscription's resolver answers: which stream is followed, and from where.

It is no iterator of its own: whoever follows the same stream is told together (`api/graphql/fanout.py`).
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from schema.context import Context
from services.house import House
from services.live import Stream
from services.viewers import Viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """One who follows a stream. `stream` raises NotFound for an id that names none."""

    house: House
    viewer: Viewer
    stream: Callable[[], Stream]
    after: str | None

    def context(self, viewer: Viewer) -> Context:
        """A fresh context in which an event is made an answer for a viewer."""
        return Context(self.house, viewer)

    def __aiter__(self) -> NoReturn:
        raise TypeError("expected to be followed by the edge, got an iteration")


def following(context: Context, stream: Callable[[], Stream], after: str | None) -> AsyncGenerator[Any, None]:
    """What the viewer follows from now on, or from a cursor."""
    return Following(  # type: ignore[return-value]
        house=context.house, viewer=context.viewer, stream=stream, after=after or None
    )
