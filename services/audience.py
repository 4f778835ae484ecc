"""What an answer hangs on of the one who asked, found by watching what is asked of them.

An answer is a function of the rows and of what was asked of its viewer. Whoever would have said the same may be given
the same answer; no list of fields says which ones hang on the viewer, so none can be forgotten.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, TypeVar
from uuid import UUID

from services.viewers import Viewer

T = TypeVar("T")

# A question, or one with its argument.
Question = str | tuple[str, UUID]
Asked = Mapping[Question, Hashable]

# What a whole crowd says alike. Whatever is not named here or below is this viewer's alone.
_OF_CROWD = frozenset({"is_signed_in", "is_moderator", "hidden"})
_ALONE = "alone"

Crowd = tuple[UUID | bool, bool, frozenset[UUID]]


def crowd_of(viewer: Viewer, *, by_person: bool) -> Crowd:
    """Who is told alike: with or without account (or each account by itself), moderators, those with the same blocks.

    The viewer's blocks have been read.
    """
    who = viewer.id if by_person and viewer.id is not None else viewer.is_signed_in
    return who, viewer.is_moderator, _hidden(viewer)


def is_common(asked: Asked, crowd: Crowd) -> bool:
    """Whether everyone in the crowd would have said the same."""
    if crowd[0] is True:
        return _OF_CROWD.issuperset(asked)
    # Nobody, or one person: what either is asked of itself is the same on all of its sockets.
    return _ALONE not in asked


class Watched(Viewer):
    """Stands for a viewer, whose blocks have been read, and notes what is asked of them."""

    def __init__(self, viewer: Viewer) -> None:
        object.__setattr__(self, "_watched", (viewer, {}))

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        viewer, asked = object.__getattribute__(self, "_watched")
        if name == "_watched":
            return viewer, asked
        if name == "afresh":
            return lambda: self
        if name == "is_account":
            return _noting(viewer, asked)
        if name in _OF_CROWD or name == "id":
            asked[name] = _say(viewer, name)
        else:
            asked[_ALONE] = id(viewer)
        return getattr(viewer, name)


def _noting(viewer: Viewer, asked: dict[Question, Hashable]) -> Callable[[UUID], bool]:
    def is_account(account_id: UUID) -> bool:
        said = asked["is_account", account_id] = viewer.is_account(account_id)
        return said

    return is_account


def asked_of(watched: Watched) -> Asked:
    """What has been asked so far, and what was said."""
    asked: Asked = watched._watched[1]
    return asked


def _say(viewer: Viewer, question: Question) -> Hashable:
    if isinstance(question, tuple):
        return viewer.is_account(question[1])
    if question == "hidden":
        return _hidden(viewer)
    if question == _ALONE:
        return id(viewer)
    return getattr(viewer, question)  # type: ignore[no-any-return]


def _hidden(viewer: Viewer) -> frozenset[UUID]:
    assert viewer._hidden is not None or not viewer.is_signed_in, "expected blocks to have been read"
    return viewer._hidden or frozenset()


class Shared(Generic[T]):
    """Things made for one viewer, for all who would get the same."""

    def __init__(self) -> None:
        self._made: dict[tuple[Question, ...], dict[tuple[Hashable, ...], tuple[T, Asked]]] = {}

    def find(self, viewer: Viewer) -> tuple[T, Asked] | None:
        """What was made for somebody who says the same, and what they were asked."""
        for questions, made in self._made.items():
            found = made.get(tuple(_say(viewer, question) for question in questions))
            if found is not None:
                return found
        return None

    def keep(self, thing: T, asked: Asked) -> None:
        """Remember what was made."""
        self._made.setdefault(tuple(asked), {})[tuple(asked.values())] = (thing, asked)
