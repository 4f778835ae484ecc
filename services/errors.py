"""Every error that a person can meet. The class docstring is the sentence shown, with the way out."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class ErrorCode(StrEnum):
    """What went wrong, for a program."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    INVALID_INPUT = "INVALID_INPUT"
    CONFLICT = "CONFLICT"
    RATE_LIMITED = "RATE_LIMITED"
    UNAVAILABLE = "UNAVAILABLE"
    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    ALREADY_LIVE = "ALREADY_LIVE"
    NOT_LIVE = "NOT_LIVE"
    ALREADY_ENDED = "ALREADY_ENDED"
    CONSENT_REQUIRED = "CONSENT_REQUIRED"
    RECORDING_NOT_AVAILABLE = "RECORDING_NOT_AVAILABLE"
    RECORDING_NOT_ROLLED_OUT = "RECORDING_NOT_ROLLED_OUT"
    TICKET_REQUIRED = "TICKET_REQUIRED"
    SOLD_OUT = "SOLD_OUT"
    CAPACITY_REACHED = "CAPACITY_REACHED"
    PAYMENT_UNAVAILABLE = "PAYMENT_UNAVAILABLE"
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"


class SpacesError(Exception):
    """Base of the errors that people see."""

    code: ErrorCode
    status = 400
    # Headers that an HTTP answer with this error needs.
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        message: str | None = None,
        /,
        *,
        path: list[str] | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))
        self.path = path
        self.retry_after_ms = retry_after_ms

    @property
    def message(self) -> str:
        """The sentence for the person."""
        return str(self)


class Unauthenticated(SpacesError):
    """This needs an account. Sign in and send the token as `Authorization: Bearer …`."""

    code, status = ErrorCode.UNAUTHENTICATED, 401


class Forbidden(SpacesError):
    """You may see this but not do that. Ask the host of the Space."""

    code, status = ErrorCode.FORBIDDEN, 403


class NotFound(SpacesError):
    """There is nothing with this id that you may see. Check the id."""

    code, status = ErrorCode.NOT_FOUND, 404


class InvalidInput(SpacesError):
    """A value is not of the form that is expected here. See `path` and correct it."""

    code = ErrorCode.INVALID_INPUT


class Conflict(SpacesError):
    """This does not fit the state things are in. Read the state again and decide anew."""

    code, status = ErrorCode.CONFLICT, 409


class RateLimited(SpacesError):
    """Too many requests in a short time. Try again after `retryAfterMs`."""

    code, status = ErrorCode.RATE_LIMITED, 429


# When to ask again while the database does not answer.
DATABASE_RETRY_MS = 5000
STORE_RETRY_MS = 2000


class Unavailable(SpacesError):
    """A part of the service cannot be reached right now. Try again after `retryAfterMs`."""

    code, status = ErrorCode.UNAVAILABLE, 503


class DiskFull(Unavailable):
    """There is no room for another recording on this server. Go on without one (toggleRecording), or try later."""


class CursorExpired(SpacesError):
    """This cursor is older than 30 days. Read the current state and go on from its cursor."""

    code, status = ErrorCode.CURSOR_EXPIRED, 410


class IdempotencyMismatch(SpacesError):
    """This Idempotency-Key belongs to another request. Use a new key."""

    code, status = ErrorCode.IDEMPOTENCY_MISMATCH, 409


class AlreadyLive(SpacesError):
    """The Space is live already. What you asked for can only be done before launch."""

    code, status = ErrorCode.ALREADY_LIVE, 409


class NotLive(SpacesError):
    """The Space is not live. Wait until the host launches it."""

    code, status = ErrorCode.NOT_LIVE, 409


class AlreadyEnded(SpacesError):
    """The Space has ended or was canceled. Nothing more can change in it."""

    code, status = ErrorCode.ALREADY_ENDED, 409


class ConsentRequired(SpacesError):
    """This Space is recorded. Show `Space.consent` to the person and call acknowledgeRecording first."""

    code, status = ErrorCode.CONSENT_REQUIRED, 403


class RecordingNotAvailable(SpacesError):
    """The recording cannot be played, shared or changed in the state it is in. See its `status`."""

    code, status = ErrorCode.RECORDING_NOT_AVAILABLE, 409


class RecordingNotRolledOut(SpacesError):
    """Recording is not open to this account on this platform yet. Go on with `record: false`."""

    code, status = ErrorCode.RECORDING_NOT_ROLLED_OUT, 403


class TicketRequired(SpacesError):
    """This Space needs a ticket. Get one with purchaseTicket."""

    code, status = ErrorCode.TICKET_REQUIRED, 403


class SoldOut(SpacesError):
    """All tickets of this Space are gone. One may come back when a reservation lapses."""

    code, status = ErrorCode.SOLD_OUT, 409


class PaymentUnavailable(SpacesError):
    """The payment provider cannot be reached. Nothing was charged; try again later."""

    code, status = ErrorCode.PAYMENT_UNAVAILABLE, 503


class CapacityReached(SpacesError):
    """The Space has all the speakers it can hold. Ask one of them to step back first."""

    code, status = ErrorCode.CAPACITY_REACHED, 409


class AccountSuspended(SpacesError):
    """This account is suspended. Write to the people who run this server."""

    code, status = ErrorCode.ACCOUNT_SUSPENDED, 403
