"""Errors outside GraphQL: the same JSON shape, with the HTTP status that fits."""

from collections.abc import Awaitable, Callable
from secrets import token_hex

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from tortoise.exceptions import OperationalError

from media.plain import StoreAway
from services.errors import DATABASE_RETRY_MS, STORE_RETRY_MS, ErrorCode, SpacesError, Unavailable

log = structlog.get_logger(__name__)

_CODES = {404: ErrorCode.NOT_FOUND, 403: ErrorCode.FORBIDDEN, 401: ErrorCode.UNAUTHENTICATED}


def problem(status: int, code: ErrorCode, message: str, headers: dict[str, str] | None = None) -> Response:
    """One error as JSON."""
    body = {"errors": [{"message": message, "extensions": {"code": code.value}}]}
    return JSONResponse(body, status, headers={"Cache-Control": "no-store", **(headers or {})})


def spaces_error(_request: Request, error: Exception) -> Response:
    """An error that people are meant to see."""
    if not isinstance(error, SpacesError):
        raise error
    headers = dict(error.headers)
    if error.retry_after_ms is not None:
        headers["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(error.status, error.code, error.message, headers)


def http_error(_request: Request, error: Exception) -> Response:
    """No such route or method."""
    if not isinstance(error, HTTPException):
        raise error
    code = _CODES.get(error.status_code, ErrorCode.INVALID_INPUT)
    return problem(error.status_code, code, error.detail, dict(error.headers or {}))


def database_away(request: Request, error: Exception) -> Response:
    """The database does not answer, or has given a statement up."""
    log.error("the database does not answer", route=request.scope.get("path"), reason=str(error))
    return spaces_error(request, Unavailable(retry_after_ms=DATABASE_RETRY_MS))


def store_away(request: Request, error: Exception) -> Response:
    """The object store does not answer."""
    log.error("the store does not answer", route=request.scope.get("path"), reason=str(error))
    return spaces_error(request, Unavailable(retry_after_ms=STORE_RETRY_MS))


def bug(request: Request, error: Exception) -> Response:
    """Anything else: logged once with a reference, shown as that reference."""
    reference = token_hex(6)
    log.error("bug", reference=reference, route=request.scope.get("path"), exc_info=error)
    return problem(500, ErrorCode.UNAVAILABLE, f"Something went wrong on our side (reference {reference}).")


HANDLERS: dict[type[Exception] | int, Callable[[Request, Exception], Response | Awaitable[Response]]] = {
    SpacesError: spaces_error,
    HTTPException: http_error,
    OperationalError: database_away,
    StoreAway: store_away,
    Exception: bug,
}
