"""Payloads: the changed object, or errors."""

import functools
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import strawberry
import structlog
from tortoise.exceptions import OperationalError

from schema.clips import Clip
from schema.context import Context, Info
from schema.links import MediaLink
from schema.people import User, Viewer
from schema.recordings import Recording
from schema.sources import SOURCE, Once
from schema.spaces import Invitation, Participant, Space
from schema.tickets import Ticket
from schema.timeline import TimelineItem
from services import tokens
from services.changes import again
from services.errors import DATABASE_RETRY_MS, ErrorCode, SpacesError, Unavailable

log = structlog.get_logger(__name__)

_ERRORS = "What went wrong; empty on success. With errors nothing has changed."


@strawberry.type(
    description="What went wrong, for a program (code) and for a person (message, with the way out)."
)
class UserError:
    """What went wrong."""

    code: ErrorCode = strawberry.field(description="For a program.")
    message: str = strawberry.field(description="For a person, with the way out.")
    path: list[str] | None = strawberry.field(description="The input field at fault.")
    retry_after_ms: int | None = strawberry.field(
        description="With RATE_LIMITED and UNAVAILABLE: when to try again."
    )


def user_error(error: SpacesError) -> UserError:
    """An error as clients get it."""
    return UserError(
        code=error.code, message=error.message, path=error.path, retry_after_ms=error.retry_after_ms
    )


@strawberry.interface(description="What every mutation answers.")
class Payload:
    """What every mutation answers."""

    errors: list[UserError] = strawberry.field(description=_ERRORS, default_factory=list)


def mutation(description: str) -> Callable[[Callable[..., Awaitable[Any]]], Any]:
    """A mutation whose expected errors become its payload's `errors`."""

    def wrap(resolver: Callable[..., Awaitable[Any]]) -> Any:
        payload = resolver.__annotations__["return"]

        @functools.wraps(resolver)
        async def once(root: Any, info: Info, **arguments: Any) -> Any:
            context, name = info.context, info.path.key
            if name in context.done:
                context.refresh()
            else:
                context.done[name] = await _outcome(guarded(root, info, **arguments))
            done = context.done[name]
            if isinstance(done, Exception):
                raise done
            return done

        async def guarded(root: Any, info: Info, **arguments: Any) -> Any:
            async def attempt() -> Any:
                info.context.refresh()
                if info.context.refusal is not None:
                    raise info.context.refusal
                tokens.check_mutation(info.context.viewer, info.field_name)
                await info.context.renew()
                info.context.viewer.doing = info.field_name
                return await resolver(root, info, **arguments)

            try:
                return await again(attempt)
            except SpacesError as error:
                return _refused(info.context, payload, error)
            except OperationalError as error:
                log.error("the database refused a change", mutation=info.field_name, reason=str(error))
                return _refused(info.context, payload, Unavailable(retry_after_ms=DATABASE_RETRY_MS))
            finally:
                info.context.refresh()

        return strawberry.mutation(resolver=once, description=description, metadata={SOURCE: Once()})

    return wrap


async def _outcome(work: Awaitable[Any]) -> Any:
    """What it answers, or the exception in which it ends."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - raised by whoever asks for the outcome
        return error


def _refused(context: Context, payload: Callable[..., Any], error: SpacesError) -> Any:
    context.refused.append(error)
    return payload(errors=[user_error(error)])


def _object(description: str) -> Any:
    return strawberry.field(description=description, default=None)


_SPACE = "The Space as it is now; null on failure."
_PARTICIPANT = "The participation as it is now; null on failure."
_RECORDING = "The recording as it is now; null on failure."
_USER = "The person as they are now; null on failure."


@strawberry.type(description="What signUp answers.")
class SignUpPayload(Payload):
    """What signUp answers."""

    token: str | None = _object("The session's bearer token, told this once.")
    user: User | None = _object(_USER)
    expires_at: datetime | None = _object("When the token expires.")


@strawberry.type(description="What signIn answers.")
class SignInPayload(Payload):
    """What signIn answers."""

    token: str | None = _object("The session's bearer token, told this once.")
    user: User | None = _object(_USER)
    expires_at: datetime | None = _object("When the token expires.")


@strawberry.type(description="What signOut answers.")
class SignOutPayload(Payload):
    """What signOut answers."""


@strawberry.type(description="What updateAccount answers.")
class UpdateAccountPayload(Payload):
    """What updateAccount answers."""

    viewer: Viewer | None = _object("The account as it is now; null on failure.")


@strawberry.type(description="What changePassword answers.")
class ChangePasswordPayload(Payload):
    """What changePassword answers."""


@strawberry.type(description="What exportAccount answers.")
class ExportAccountPayload(Payload):
    """What exportAccount answers."""

    archive: MediaLink | None = _object("A zip, made while it is fetched; null on failure.")


@strawberry.type(description="What deleteAccount answers.")
class DeleteAccountPayload(Payload):
    """What deleteAccount answers."""


@strawberry.type(description="What follow answers.")
class FollowPayload(Payload):
    """What follow answers."""

    user: User | None = _object(_USER)


@strawberry.type(description="What unfollow answers.")
class UnfollowPayload(Payload):
    """What unfollow answers."""

    user: User | None = _object(_USER)


@strawberry.type(description="What block answers.")
class BlockPayload(Payload):
    """What block answers."""

    user: User | None = _object(_USER)


@strawberry.type(description="What unblock answers.")
class UnblockPayload(Payload):
    """What unblock answers."""

    user: User | None = _object(_USER)


@strawberry.type(description="What createSpace answers.")
class CreateSpacePayload(Payload):
    """What createSpace answers."""

    space: Space | None = _object(_SPACE)


@strawberry.type(description="What updateSpace answers.")
class UpdateSpacePayload(Payload):
    """What updateSpace answers."""

    space: Space | None = _object(_SPACE)


@strawberry.type(description="What toggleRecording answers.")
class ToggleRecordingPayload(Payload):
    """What toggleRecording answers."""

    space: Space | None = _object(_SPACE)


@strawberry.type(description="What startSpace answers.")
class StartSpacePayload(Payload):
    """What startSpace answers."""

    space: Space | None = _object(_SPACE)


@strawberry.type(description="What endSpace answers.")
class EndSpacePayload(Payload):
    """What endSpace answers."""

    space: Space | None = _object(_SPACE)


@strawberry.type(description="What cancelSpace answers.")
class CancelSpacePayload(Payload):
    """What cancelSpace answers."""

    space: Space | None = _object(_SPACE)


@strawberry.type(description="What joinSpace answers.")
class JoinSpacePayload(Payload):
    """What joinSpace answers."""

    participant: Participant | None = _object(_PARTICIPANT)
    space: Space | None = _object(_SPACE)
    whip_url: str | None = _object("Where to publish audio (WHIP, RFC 9725); null for listeners.")
    whep_url: str | None = _object("Where to hear the others in real time (WHEP); null for listeners.")
    media_token: str | None = _object(
        "The bearer token for whipUrl and whepUrl, one a device; null for listeners."
    )
    live: MediaLink | None = _object("Where everyone can listen (HLS).")


@strawberry.type(description="What leaveSpace answers.")
class LeaveSpacePayload(Payload):
    """What leaveSpace answers."""

    space: Space | None = _object(_SPACE)


@strawberry.type(description="What acknowledgeRecording answers.")
class AcknowledgeRecordingPayload(Payload):
    """What acknowledgeRecording answers."""

    participant: Participant | None = _object(_PARTICIPANT)


@strawberry.type(description="What raiseHand answers.")
class RaiseHandPayload(Payload):
    """What raiseHand answers."""

    participant: Participant | None = _object(_PARTICIPANT)


@strawberry.type(description="What invite answers.")
class InvitePayload(Payload):
    """What invite answers."""

    invitation: Invitation | None = _object("The invitation, open until it is answered; null on failure.")


@strawberry.type(description="What respondToInvitation answers.")
class RespondToInvitationPayload(Payload):
    """What respondToInvitation answers."""

    participant: Participant | None = _object(
        "The participation with its new role; null on failure, and when the invitation was declined."
    )


@strawberry.type(description="What removeParticipant answers.")
class RemoveParticipantPayload(Payload):
    """What removeParticipant answers."""

    space: Space | None = _object(_SPACE)


@strawberry.type(description="What setMuted answers.")
class SetMutedPayload(Payload):
    """What setMuted answers."""

    participant: Participant | None = _object(_PARTICIPANT)


@strawberry.type(description="What setParticipantRole answers.")
class SetParticipantRolePayload(Payload):
    """What setParticipantRole answers."""

    participant: Participant | None = _object(_PARTICIPANT)


@strawberry.type(description="What purchaseTicket answers.")
class PurchaseTicketPayload(Payload):
    """What purchaseTicket answers."""

    ticket: Ticket | None = _object("The ticket as it is now; null on failure.")
    checkout_url: str | None = _object(
        "Where the buyer pays; null for a free ticket, which is issued at once, and for one that is paid."
    )


@strawberry.type(description="What setReminder answers.")
class SetReminderPayload(Payload):
    """What setReminder answers."""

    space: Space | None = _object(_SPACE)


@strawberry.type(description="What trimRecording answers.")
class TrimRecordingPayload(Payload):
    """What trimRecording answers."""

    recording: Recording | None = _object(_RECORDING)


@strawberry.type(description="What shareSpace answers.")
class ShareSpacePayload(Payload):
    """What shareSpace answers."""

    item: TimelineItem | None = _object("The new card; null on failure.")


@strawberry.type(description="What shareRecording answers.")
class ShareRecordingPayload(Payload):
    """What shareRecording answers."""

    item: TimelineItem | None = _object("The new card; null on failure.")
    recording: Recording | None = _object(_RECORDING)


@strawberry.type(description="What deleteShare answers.")
class DeleteSharePayload(Payload):
    """What deleteShare answers."""

    deleted_item_id: strawberry.ID | None = _object("The id of the card that is gone; null on failure.")


@strawberry.type(description="What createClip answers.")
class CreateClipPayload(Payload):
    """What createClip answers."""

    clip: Clip | None = _object("The new clip; null on failure.")
    item: TimelineItem | None = _object("Its card; null on failure.")


@strawberry.type(description="What deleteClip answers.")
class DeleteClipPayload(Payload):
    """What deleteClip answers."""

    deleted_clip_id: strawberry.ID | None = _object("The id of the clip that is gone; null on failure.")


@strawberry.type(description="What deleteRecording answers.")
class DeleteRecordingPayload(Payload):
    """What deleteRecording answers."""

    recording: Recording | None = _object(
        "The recording as it is now; null on failure, and when it was ARMED and its toggle is off now."
    )


@strawberry.type(description="What savePlaybackPosition answers.")
class SavePlaybackPositionPayload(Payload):
    """What savePlaybackPosition answers."""

    recording: Recording | None = _object(_RECORDING)
