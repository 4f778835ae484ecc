"""From exceptions to what a client reads: `{"message", "locations", "path", "extensions": {"code"}}`."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from graphql import GraphQLError
from tortoise.exceptions import OperationalError

from media.plain import StoreAway
from services.errors import (
    DATABASE_RETRY_MS,
    STORE_RETRY_MS,
    ErrorCode,
    InvalidInput,
    RateLimited,
    SpacesError,
    Unavailable,
)

log = structlog.get_logger("api.graphql")

ErrorJson = dict[str, Any]

# What graphql-core puts between "Expected value of type 'X'" and the value: the text of a scalar's own
# exception.
_SCALAR_EXCEPTION = re.compile(r", but encountered error '.*'; found", re.DOTALL)
_MESSAGE_CHARS = 1_000


class LimitExceeded(InvalidInput):
    """The document asks for more than one request may. Ask for less, in several requests."""


class BodyTooLarge(InvalidInput):
    """The body is larger than 1 MB. Send less, in several requests."""

    status = 413


class NotAcceptable(InvalidInput):
    """Nothing here can be sent as `Accept` asks. Accept application/json,
    application/graphql-response+json or text/event-stream."""

    status = 406


class WrongMediaType(InvalidInput):
    """The body is not application/json in UTF-8. Send it with `Content-Type: application/json`."""

    status = 415


class MethodNotAllowed(InvalidInput):
    """This method is not for this. Send queries by GET or POST, mutations by POST."""

    status = 405


class TooManySockets(RateLimited):
    """You have as many open connections as one person may. Close one first."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an operation was not begun.

    A guard's refusal is a 4xx in every media type, others as the media type has it.
    """

    errors: tuple[ErrorJson, ...]
    by_guard: bool


def error_json(error: SpacesError) -> ErrorJson:
    """An expected error as clients read it."""
    extensions: dict[str, Any] = {"code": error.code.value}
    if error.path is not None:
        extensions["path"] = error.path
    if error.retry_after_ms is not None:
        extensions["retryAfterMs"] = error.retry_after_ms
    return {"message": error.message, "extensions": extensions}


def request_error_json(error: GraphQLError) -> ErrorJson:
    """A fault in the request itself: syntax, validation, variables.

    What a scalar said in an exception is not shown.
    """
    root = _root_of(error)
    if isinstance(root, SpacesError):
        return _located(error, error_json(root))
    message = error.message
    if not isinstance(root, GraphQLError):
        message = _SCALAR_EXCEPTION.sub(", found", message)
    return _located(error, _invalid(message))


def field_error_json(error: GraphQLError) -> ErrorJson:
    """A fault while a field was resolved: expected, the client's, or a bug (logged once, shown by its
    reference).
    """
    root = _root_of(error)
    if (told := expected(root)) is not None:
        return _located(error, error_json(told))
    if isinstance(root, GraphQLError):
        extensions = root.extensions or {}
        if str(extensions.get("code")) in ErrorCode.__members__:
            return _located(error, {"message": root.message, "extensions": extensions})
        if _is_of_an_argument(root):
            return _located(error, _invalid(root.message))
    return _located(error, bug_json(root, path=error.path))


def expected(error: BaseException) -> SpacesError | None:
    """What clients are meant to see of an exception; None for a bug. A database or store that is away is none."""
    if isinstance(error, OperationalError):
        log.error("the database does not answer", reason=str(error))
        return Unavailable(retry_after_ms=DATABASE_RETRY_MS)
    if isinstance(error, StoreAway):
        log.error("the store does not answer", reason=str(error))
        return Unavailable(retry_after_ms=STORE_RETRY_MS)
    return error if isinstance(error, SpacesError) else None


def exception_json(error: Exception) -> ErrorJson:
    """Any exception, from wherever it came."""
    if (told := expected(error)) is not None:
        return error_json(told)
    if isinstance(error, GraphQLError):
        return field_error_json(error)
    return bug_json(error, path=None)


def bug_json(error: BaseException, *, path: Iterable[str | int] | None) -> ErrorJson:
    """Something that nobody foresaw: logged here, once, with the reference that the client is shown."""
    reference = secrets.token_hex(4)
    log.error("bug", reference=reference, path=list(path or ()), exc_info=error)
    message = f"Something went wrong on our side (reference {reference})."
    return {"message": message, "extensions": {"code": ErrorCode.UNAVAILABLE.value, "reference": reference}}


def _invalid(message: str) -> ErrorJson:
    shown = message if len(message) <= _MESSAGE_CHARS else message[:_MESSAGE_CHARS] + "…"
    return {"message": shown, "extensions": {"code": ErrorCode.INVALID_INPUT.value}}


def _root_of(error: GraphQLError) -> BaseException:
    root: BaseException = error
    while isinstance(root, GraphQLError) and root.original_error is not None:
        root = root.original_error
    return root


def _is_of_an_argument(error: GraphQLError) -> bool:
    # graphql-core and Strawberry coerce arguments just before the resolver runs; their other errors in this
    # phase
    # are about what a resolver returned, which is ours to mend.
    return error.message.startswith("Argument '") or type(error).__name__ == "StrawberryInputCoercionError"


def _located(error: GraphQLError, shown: ErrorJson) -> ErrorJson:
    located: ErrorJson = {"message": shown["message"]}
    if error.locations:
        located["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is not None:
        located["path"] = list(error.path)
    located["extensions"] = shown["extensions"]
    return located
