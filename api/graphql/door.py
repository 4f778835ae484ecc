"""Who stands at the door: what the edge needs to know of sign-in, and nothing more."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from api.graphql.request import GraphQLRequest
from services.errors import SpacesError, Unauthenticated


class Kind(StrEnum):
    """What an operation does, in the words of GraphQL."""

    QUERY = "query"
    MUTATION = "mutation"
    SUBSCRIPTION = "subscription"


class Transport(StrEnum):
    """The way on which an operation came in."""

    HTTP = "http"
    SSE = "sse"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One operation as it was asked for, checked against every guard."""

    request: GraphQLRequest
    kind: Kind
    transport: Transport
    document_id: str
    """SHA-256 of the document's text, in hexadecimal."""
    refusal: SpacesError | None = None
    """What a mutation answers instead of being carried out."""
    refused: list[SpacesError] = field(default_factory=list)
    """Filled by the resolvers: what mutations refused in their payloads."""


class Visit(Protocol):
    """Who asks, for the length of one HTTP request or one socket."""

    @property
    def person(self) -> str:
        """The key that limits count by: "account:<id>" or "address:<ip>"."""

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody is signed in."""

    def operation_context(self, asked: Asked) -> Any:
        """A fresh context for the resolvers of one operation."""

    def may_call(self, mutations: Iterable[str]) -> bool:
        """Whether the visitor may call the mutations of these names."""

    def check_kind(self, kind: Kind) -> None:
        """Raise SpacesError when the visitor may not ask for this kind of operation."""

    async def still_welcome(self) -> bool:
        """Whether the session still stands; asked at each operation of a socket and at each ping."""

    async def rest(self, seconds: float) -> bool:
        """Wait so long. True when it was cut short, for what the person has shown may have ended."""


class Door(Protocol):
    """Lets visitors in."""

    async def enter(self, *, token: str | None, address: str, headers: Mapping[str, str]) -> Visit:
        """The visit of who shows `token`; without one, an anonymous visit.

        Raises `services.errors.Unauthenticated` for a token that is not good.
        """


def bearer_token(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer …` header (RFC 6750).

    Raises Unauthenticated for another scheme.
    """
    if authorization is None:
        return None
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated
    return token.strip()
