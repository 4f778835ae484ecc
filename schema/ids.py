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


def read_any(global_id: str) -> tuple[str, str]:
    """Type name and key. Raises NotFound for what was never an id."""
    if len(global_id) > _LONGEST or not global_id.isascii():
        raise NotFound
    try:
        text = base64.urlsafe_b64decode(global_id + "=" * (-len(global_id) % 4)).decode()
    except (binascii.Error, ValueError) as error:
        raise NotFound from error
    type_name, colon, key = text.partition(":")
    if not colon:
        raise NotFound
    return type_name, key


def number(key: str) -> int:
    """The key of an object that is counted, and fits into a column. Raises NotFound."""
    if not (key.isascii() and key.isdecimal() and len(key) <= _DIGITS):
        raise NotFound
    return int(key)


def read(global_id: str, type_name: str, *, path: str | None = None) -> UUID:
    """The key of an id that must name a `type_name`. Raises NotFound, at the input field `path`."""
    try:
        named, key = read_any(global_id)
        if named == type_name:
            return UUID(key)
    except (NotFound, ValueError):
        pass
    raise NotFound(path=[path] if path else None)
