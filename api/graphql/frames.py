"""The messages of graphql-transport-ws, parsed without I/O.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from dataclasses import dataclass
from typing import Any

from api.graphql.json import decode
from api.graphql.limits import Limits
from api.graphql.request import GraphQLRequest, from_value
from services.errors import InvalidInput

SUBPROTOCOL = "graphql-transport-ws"
_ID_CHARS = 128


class BadFrame(Exception):
    """What came is no message of the protocol: the socket is closed with 4400."""


@dataclass(frozen=True, slots=True)
class ConnectionInit:
    """The first message: who asks."""

    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered by a pong with the same payload."""

    payload: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to our ping."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Run an operation, of any kind, under an id."""

    id: str
    request: GraphQLRequest


@dataclass(frozen=True, slots=True)
class Complete:
    """Send no more for this id."""

    id: str


Frame = ConnectionInit | Ping | Pong | Subscribe | Complete


def parse(data: str | bytes | None, *, limits: Limits) -> Frame:
    """The message in a WebSocket frame. Raises BadFrame, whose text fits a close reason."""
    if not isinstance(data, str):
        raise BadFrame("Messages are text, not binary")
    if len(data) > limits.body_bytes:
        raise BadFrame(f"Message larger than {limits.body_bytes} bytes")
    try:
        message = decode(data, limits=limits)
    except InvalidInput:
        raise BadFrame("Message is not JSON, or nested too deeply, or has too many values") from None
    if not isinstance(message, dict):
        raise BadFrame("Message is not a JSON object")
    return _frame(message)


def _frame(message: dict[str, Any]) -> Frame:
    match message.get("type"):
        case "connection_init":
            return ConnectionInit(_payload(message) or {})
        case "ping":
            return Ping(_payload(message))
        case "pong":
            _payload(message)
            return Pong()
        case "subscribe":
            return Subscribe(_id(message), _request(message.get("payload")))
        case "complete":
            return Complete(_id(message))
        case str():
            raise BadFrame("Unknown message type")
        case _:
            raise BadFrame("Message type is missing or no string")


def _payload(message: dict[str, Any]) -> dict[str, Any] | None:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise BadFrame("Message payload is not an object")
    return payload


def _id(message: dict[str, Any]) -> str:
    identifier = message.get("id")
    if not isinstance(identifier, str) or not identifier:
        raise BadFrame("Message id is missing or no string")
    if len(identifier) > _ID_CHARS:
        raise BadFrame(f"Message id is longer than {_ID_CHARS} characters")
    return identifier


def _request(payload: Any) -> GraphQLRequest:
    try:
        return from_value(payload)
    except InvalidInput as error:
        raise BadFrame(f"Subscribe payload: {error.message}") from None
