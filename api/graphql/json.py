"""JSON in and out, by orjson where it can."""

import json
from typing import Any

import orjson

from api.graphql.limits import Limits
from services.errors import InvalidInput


def decode(body: bytes | str, *, limits: Limits) -> Any:
    """The value in `body` (RFC 8259, strictly: UTF-8, no NaN, no lone surrogates). Raises InvalidInput."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"The body is no JSON that can be read: {error}.") from None
    _check_bounds(body, value, limits)
    return value


def encode(value: Any) -> bytes:
    """`value` as JSON in UTF-8."""
    try:
        return orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        # orjson refuses integers beyond 64 bits, lone surrogates, keys that are no strings and nesting
        # beyond 254.
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def _check_bounds(body: bytes | str, value: Any, limits: Limits) -> None:
    openings, commas = (
        (body.count(b"[") + body.count(b"{"), body.count(b","))
        if isinstance(body, bytes)
        else (body.count("[") + body.count("{"), body.count(","))
    )
    # These counts include what stands within strings, so they are never too small: most bodies need no walk.
    if openings <= limits.json_depth and commas < limits.json_values:
        return
    count, level, depth = 0, [value], 0
    while level:
        depth += 1
        below = [
            list(item.values()) if isinstance(item, dict) else item
            for item in level
            if isinstance(item, dict | list)
        ]
        count += sum(map(len, below))
        if depth > limits.json_depth + 1:
            raise InvalidInput(f"The JSON is nested deeper than {limits.json_depth} levels. Send it flatter.")
        if count > limits.json_values:
            raise InvalidInput(f"The JSON has {count} values, the limit is {limits.json_values}. Send fewer.")
        level = [item for items in below for item in items]
