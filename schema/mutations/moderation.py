"""Reports, appeals, and what moderators do."""

from typing import Annotated, Any

import strawberry

from models.review_decision import Decision
from schema import cases, ids
from schema.context import Info
from schema.links import media_link
from schema.moderation import read_subject
from schema.mutations.arguments import ASKED, given
from schema.payloads import mutation
from services import moderation, reports


@strawberry.type
class ModerationMutations:
    """Reports, appeals, and what moderators do."""

    @mutation("Tell moderators of a recording (for as long as a copy exists), a Space or a person.")
    async def report(
        root: Any, info: Info, input: Annotated[cases.ReportInput, ASKED]
    ) -> cases.ReportPayload:
        kind, subject_id = read_subject(input.subject_id)
        made = await reports.report(
            info.context.house,
            info.context.viewer,
            kind,
            subject_id,
            category=input.category,
            reason=input.reason,
        )
        return cases.ReportPayload(report=made)  # type: ignore[arg-type]

    @mutation("The host's word against a take-down.")
    async def appeal(
        root: Any, info: Info, input: Annotated[cases.AppealInput, ASKED]
    ) -> cases.AppealPayload:
        recording = await reports.appeal(
            info.context.house,
            info.context.viewer,
            ids.read(input.recording_id, "Recording", path="recordingId"),
            statement=input.statement,
        )
        return cases.AppealPayload(recording=recording)  # type: ignore[arg-type]

    @mutation(
        "Closes the open reports and appeals. VIOLATION takes an AVAILABLE recording down; of one that is gone it"
        " changes neither status nor clock."
    )
    async def review_recording(
        root: Any, info: Info, input: Annotated[cases.ReviewRecordingInput, ASKED]
    ) -> cases.ReviewRecordingPayload:
        recording = await moderation.review(
            info.context.house,
            info.context.viewer,
            ids.read(input.recording_id, "Recording", path="recordingId"),
            decision=Decision(input.decision.name),
            note=input.note,
        )
        return cases.ReviewRecordingPayload(recording=recording)  # type: ignore[arg-type]

    @mutation("Moderators: while a hold stands nothing is purged. Releasing it runs what was put off.")
    async def set_legal_hold(
        root: Any, info: Info, input: Annotated[cases.SetLegalHoldInput, ASKED]
    ) -> cases.SetLegalHoldPayload:
        recording = await moderation.set_hold(
            info.context.house,
            info.context.viewer,
            ids.read(input.recording_id, "Recording", path="recordingId"),
            held=input.held,
            reason=input.reason,
        )
        return cases.SetLegalHoldPayload(recording=recording)  # type: ignore[arg-type]

    @mutation("Moderators: a short-lived link to the review copy. The opening is logged with its reason.")
    async def open_review_copy(
        root: Any, info: Info, input: Annotated[cases.OpenReviewCopyInput, ASKED]
    ) -> cases.OpenReviewCopyPayload:
        context = info.context
        recording_id = ids.read(input.recording_id, "Recording", path="recordingId")
        recording, link = await moderation.open_review_copy(
            context.house, context.viewer, recording_id, reason=input.reason
        )
        return cases.OpenReviewCopyPayload(
            recording=recording,  # type: ignore[arg-type]
            playback=media_link(context.house, link),
        )

    @mutation("Moderators: take an account or its right to record, or give it back.")
    async def suspend_account(
        root: Any, info: Info, input: Annotated[cases.SuspendAccountInput, ASKED]
    ) -> cases.SuspendAccountPayload:
        account = await moderation.suspend(
            info.context.house,
            info.context.viewer,
            ids.read(input.user_id, "User", path="userId"),
            suspension=input.suspension,
            until=given(input.until),
            reason=input.reason,
        )
        return cases.SuspendAccountPayload(user=account)  # type: ignore[arg-type]
