"""Frames between the API process and a media process: a JSON header and an optional body.

`uint32 header length, uint32 body length` (big-endian), then both. Lengths are checked before
anything is read. Values are the dataclasses of `media.engine`, by name.
"""

import asyncio
from dataclasses import fields, is_dataclass
from enum import StrEnum
from struct import Struct
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import orjson

from media import engine

MAX_HEADER_BYTES = 4 * 1024 * 1024
MAX_BODY_BYTES = 4 * 1024 * 1024

_LENGTHS = Struct(">II")

_TYPES: dict[str, type[Any]] = {
    name: kind for name, kind in vars(engine).items() if isinstance(kind, type) and is_dataclass(kind)
}
_ERRORS: dict[str, type[engine.EngineError]] = {
    kind.__name__: kind
    for kind in (
        engine.EngineError,
        engine.EngineDraining,
        engine.EngineFull,
        engine.EngineUnavailable,
        engine.OfferRefused,
        engine.RoomFull,
        engine.RoomNotFound,
        engine.TooManySessions,
    )
}
_HINTS = {kind: get_type_hints(kind) for kind in _TYPES.values()}


class FrameError(Exception):
    """The other side sent what is none of our frames."""


def to_wire(value: Any) -> Any:
    """JSON-ready form of an engine value."""
    if is_dataclass(value) and not isinstance(value, type):
        packed = {item.name: to_wire(getattr(value, item.name)) for item in fields(value)}
        return {"$": type(value).__name__, **packed}
    if isinstance(value, tuple | list):
        return [to_wire(item) for item in value]
    return value


def from_wire(value: Any) -> Any:
    """The engine value of a JSON-ready form; lists come back as tuples."""
    if isinstance(value, dict):
        kind = _TYPES[value["$"]]
        hints = _HINTS[kind]
        known = {name: _as(from_wire(value[name]), hints[name]) for name in hints if name in value}
        return kind(**known)
    if isinstance(value, list):
        return tuple(from_wire(item) for item in value)
    return value


def _as(value: Any, hint: Any) -> Any:
    if value is not None and get_origin(hint) is UnionType:
        hint = next((choice for choice in get_args(hint) if choice is not type(None)), hint)
    return hint(value) if isinstance(hint, type) and issubclass(hint, StrEnum) else value


def error_to_wire(error: engine.EngineError) -> dict[str, str]:
    """An engine error by its class and text."""
    return {"error": type(error).__name__, "text": str(error)}


def error_from_wire(header: dict[str, Any]) -> engine.EngineError:
    """The error that was meant."""
    return _ERRORS.get(header["error"], engine.EngineError)(header.get("text", ""))


def pack_frame(header: dict[str, Any], body: bytes = b"") -> bytes:
    """One frame. Raises `FrameError` when it would be refused on the other side."""
    head = orjson.dumps(header)
    if len(head) > MAX_HEADER_BYTES or len(body) > MAX_BODY_BYTES:
        raise FrameError(f"a frame of {len(head)} + {len(body)} bytes is too large")
    return _LENGTHS.pack(len(head), len(body)) + head + body


async def read_frame(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bytes] | None:
    """The next frame, or `None` at the end of the stream."""
    try:
        head_bytes, body_bytes = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        if head_bytes > MAX_HEADER_BYTES or body_bytes > MAX_BODY_BYTES:
            raise FrameError(f"a frame of {head_bytes} + {body_bytes} bytes is too large")
        header = orjson.loads(await reader.readexactly(head_bytes))
        body = await reader.readexactly(body_bytes) if body_bytes else b""
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except orjson.JSONDecodeError as error:
        raise FrameError("a frame's header is no JSON") from error
    if not isinstance(header, dict):
        raise FrameError("a frame's header is no object")
    return header, body
