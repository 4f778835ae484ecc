"""Global ids: opaque to clients, a type and a key to us."""

import base64
import binascii
from uuid import UUID

import strawberry

from services.errors import NotFound
from services.outward import global_id

_LONGEST, _DIGITS = 200, 18


def pack(type_name: str, key: UUID | int) -> strawberry.ID:
    """The global id of one object."""
    return strawberry.ID(global_id(type_name, key))


def read_any(given: str) -> tuple[str, str]:
    """Type name and key. Raises NotFound for what was never an id."""
    if len(given) > _LONGEST or not given.isascii():
        raise NotFound
    try:
        text = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)).decode()
    except (binascii.Error, ValueError) as error:
        raise NotFound from error
    type_name, colon, key = text.partition(":")
    # The decoder passes over what it does not know: one object would have many ids.
    if not colon or global_id(type_name, key) != given:
        raise NotFound
    return type_name, key


def number(key: str) -> int:
    """The key of an object that is counted, and fits into a column. Raises NotFound."""
    if not (key.isascii() and key.isdecimal() and len(key) <= _DIGITS and str(int(key)) == key):
        raise NotFound
    return int(key)


def unique(key: str) -> UUID:
    """The key of any other object. Raises NotFound."""
    try:
        found = UUID(key)
    except ValueError as error:
        raise NotFound from error
    if str(found) != key:
        raise NotFound
    return found


def read(given: str, type_name: str, *, path: str | None = None) -> UUID:
    """The key of an id that must name a `type_name`. Raises NotFound, at the input field `path`."""
    try:
        named, key = read_any(given)
        if named == type_name:
            return unique(key)
    except NotFound:
        pass
    raise NotFound(path=[path] if path else None)
