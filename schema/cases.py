"""Inputs and payloads of reporting and moderation."""

from datetime import datetime

import strawberry

from models.account import Suspension
from models.report import ReportCategory
from schema.enums import ReviewDecisionChoice
from schema.links import MediaLink
from schema.moderation import Report
from schema.payloads import Payload
from schema.people import User
from schema.recordings import Recording

RECORDING_NOW = "The recording as it is now; null on failure."


@strawberry.input(description="What is wrong with what.")
class ReportInput:
    """What is wrong with what."""

    subject_id: strawberry.ID = strawberry.field(description="A Recording, a Space or a User.")
    category: ReportCategory = strawberry.field(description="What is wrong with it.")
    reason: str = strawberry.field(description="In the reporter's words, 1 to 2,000 characters.")


@strawberry.type(description="What report answers.")
class ReportPayload(Payload):
    """What report answers."""

    report: Report | None = strawberry.field(description="The report; null on failure.", default=None)


@strawberry.input(description="A host's word against a take-down.")
class AppealInput:
    """A host's word against a take-down."""

    recording_id: strawberry.ID = strawberry.field(description="The recording that was taken down.")
    statement: str = strawberry.field(description="1 to 2,000 characters.")


@strawberry.type(description="What appeal answers.")
class AppealPayload(Payload):
    """What appeal answers."""

    recording: Recording | None = strawberry.field(description=RECORDING_NOW, default=None)


@strawberry.input(description="A moderator's decision.")
class ReviewRecordingInput:
    """A moderator's decision."""

    recording_id: strawberry.ID = strawberry.field(description="Id of a recording, in whatever state it is.")
    decision: ReviewDecisionChoice = strawberry.field(description="What the moderator found.")
    note: str = strawberry.field(description="Why, 1 to 2,000 characters, for other moderators.")


@strawberry.type(description="What reviewRecording answers.")
class ReviewRecordingPayload(Payload):
    """What reviewRecording answers."""

    recording: Recording | None = strawberry.field(description=RECORDING_NOW, default=None)


@strawberry.input(description="A legal hold, set or released.")
class SetLegalHoldInput:
    """A legal hold, set or released."""

    recording_id: strawberry.ID = strawberry.field(description="Id of a recording, in whatever state it is.")
    held: bool = strawberry.field(description="Set or release.")
    reason: str = strawberry.field(description="Why, 1 to 2,000 characters.")


@strawberry.type(description="What setLegalHold answers.")
class SetLegalHoldPayload(Payload):
    """What setLegalHold answers."""

    recording: Recording | None = strawberry.field(description=RECORDING_NOW, default=None)


@strawberry.input(description="Which review copy to open, and why.")
class OpenReviewCopyInput:
    """Which review copy to open, and why."""

    recording_id: strawberry.ID = strawberry.field(description="Id of a recording, in whatever state it is.")
    reason: str = strawberry.field(
        description="Why, 1 to 2,000 characters; the host is told when the case closes."
    )


@strawberry.type(description="What openReviewCopy answers.")
class OpenReviewCopyPayload(Payload):
    """What openReviewCopy answers."""

    recording: Recording | None = strawberry.field(description=RECORDING_NOW, default=None)
    playback: MediaLink | None = strawberry.field(
        description="HLS of the review copy, for this moderator and 15 minutes; null on failure.",
        default=None,
    )


@strawberry.input(description="What is taken from an account.")
class SuspendAccountInput:
    """What is taken from an account."""

    user_id: strawberry.ID = strawberry.field(description="The person.")
    suspension: Suspension = strawberry.field(description="What is taken; NONE gives it back.")
    until: datetime | None = strawberry.field(
        description="Until when; left out: for good.", default=strawberry.UNSET
    )
    reason: str = strawberry.field(description="Why, 1 to 2,000 characters.")


@strawberry.type(description="What suspendAccount answers.")
class SuspendAccountPayload(Payload):
    """What suspendAccount answers."""

    user: User | None = strawberry.field(description="The person; null on failure.", default=None)
