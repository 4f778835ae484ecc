"""What moderators do: decide, hold, open review copies, suspend. Every act is in the audit log."""

from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from media.engine import EngineError, RecordingFacts
from models.account import Account, Suspension
from models.legal_hold import LegalHold
from models.notification import NotificationKind
from models.participant import Participant
from models.recording import GONE, ICON_ON, Recording, RecordingStatus
from models.review_decision import Decision, ReviewDecision
from models.review_opening import ReviewOpening
from models.sanction import Sanction
from models.session import Session
from services import identities, notifications, recordings, text
from services.bus import person_topic
from services.changes import Change, change, new_id
from services.errors import (
    AccountSuspended,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    RecordingNotAvailable,
    Unauthenticated,
)
from services.house import House
from services.links import Link, LinkKind
from services.reports import (
    LONGEST_REASON,
    close_case_rows,
    close_reports,
    close_reports_of_past,
    require_copy,
    set_case,
)
from services.retention import begin_review, status_at, wind
from services.states import move_and_tell
from services.viewers import Viewer

REVIEW_LINK_FOR = timedelta(minutes=15)


async def moderator_for(
    house: House, viewer: Viewer, action: str, subject_id: UUID, *, kind: str = "recording"
) -> Account:
    """The moderator who acts. An attempt by anybody else is noted before it is refused."""
    try:
        return viewer.moderator()
    except (Forbidden, Unauthenticated, AccountSuspended):
        async with change(house) as made:
            await made.audit(action, kind, subject_id, actor_id=viewer.id, outcome="denied")
        raise


async def _locked(recording_id: UUID) -> Recording:
    """Any recording, locked: moderators see past blocks."""
    recording = await Recording.select_for_update().get_or_none(id=recording_id)
    if recording is None:
        raise NotFound(path=["recordingId"])
    return recording


def _reason(value: str, field: str) -> str:
    return text.line(value, field, most=LONGEST_REASON)


async def review(
    house: House, viewer: Viewer, recording_id: UUID, *, decision: Decision, note: str
) -> Recording:
    """Decide, and close every open report and appeal of the recording.

    VIOLATION takes down what is public or live (the recorder stops at once, the Space goes on); of a recording
    that is gone it changes neither status nor clock.
    """
    actor = await moderator_for(house, viewer, "recording.reviewed", recording_id)
    note = _reason(note, "note")
    facts = await _stop_if_live(house, recording_id) if decision is Decision.VIOLATION else None
    async with change(house) as made:
        found = await made.recording(recording_id)
        if found is None:
            raise NotFound(path=["recordingId"])
        space, recording = found
        require_copy(recording, "review")
        if decision is Decision.VIOLATION and status_at(recording, made.now) not in GONE:
            recordings.take_facts(recording, facts)
            begin_review(recording, house.policies.of(recording), made.now)
            await move_and_tell(made, space, recording, RecordingStatus.TAKEN_DOWN)
            await notifications.of_recording(
                house, made, NotificationKind.RECORDING_TAKEN_DOWN, recording, [recording.host_id]
            )
        await _close_case(house, made, recording)
        await ReviewDecision.create(
            id=new_id(),
            recording_id=recording.id,
            moderator_id=actor.id,
            decision=decision,
            note=note,
            at=made.now,
        )
        await made.audit(
            "recording.reviewed", "recording", recording.id, actor_id=actor.id, outcome=decision.value
        )
    return recording


async def _stop_if_live(house: House, recording_id: UUID) -> RecordingFacts | None:
    """Outside the transaction, which must not wait for audio."""
    recording = await Recording.get_or_none(id=recording_id, status__in=list(ICON_ON))
    return await recordings.stop_recorder(house, recording.space_id) if recording is not None else None


async def _close_case(house: House, made: Change, recording: Recording) -> None:
    """Close reports and appeals, tell the host of openings, and let a purge that waited run."""
    await notifications.case_closed(house, made, recording)
    await close_case_rows(recording.id, made.now)
    await close_reports_of_past(made.now, id=recording.space_id)
    await set_case(house, made, recording, is_open=False)


async def set_hold(house: House, viewer: Viewer, recording_id: UUID, *, held: bool, reason: str) -> Recording:
    """Set or release a legal hold. Releasing runs what was put off; a hold never makes anything public."""
    action = "hold.set" if held else "hold.released"
    actor = await moderator_for(house, viewer, action, recording_id)
    reason = _reason(reason, "reason")
    async with change(house) as made:
        recording = await _locked(recording_id)
        require_copy(recording, "hold")
        if recording.is_held == held:
            raise Conflict("The recording is held already." if held else "The recording is not held.")
        await _write_hold(recording.id, actor.id, held=held, reason=reason, now=made.now)
        recording.is_held = held
        wind(recording, house.policies.of(recording), made.now)
        await recording.save(update_fields=["is_held", "purge_at", "case_deadline"])
        await made.audit(action, "recording", recording.id, actor_id=actor.id)
    return recording


async def _write_hold(recording_id: UUID, actor_id: UUID, *, held: bool, reason: str, now: datetime) -> None:
    if held:
        await LegalHold.create(
            id=new_id(), recording_id=recording_id, set_by=actor_id, set_at=now, reason=reason
        )
    else:
        await LegalHold.filter(recording_id=recording_id, released_at=None).update(
            released_by=actor_id, released_at=now, release_reason=reason
        )


async def open_review_copy(
    house: House, viewer: Viewer, recording_id: UUID, *, reason: str
) -> tuple[Recording, Link]:
    """A short-lived link to the review copy. The opening is logged with its reason, and later told to the host."""
    actor = await moderator_for(house, viewer, "review_copy.opened", recording_id)
    reason = _reason(reason, "reason")
    async with change(house) as made:
        recording = await _locked(recording_id)
        require_copy(recording, "open")
        if status_at(recording, made.now) not in GONE:
            status = status_at(recording, made.now).value
            raise RecordingNotAvailable(f"The recording is {status}: there is no review copy of it.")
        await ReviewOpening.create(
            id=new_id(), recording_id=recording.id, moderator_id=actor.id, reason=reason, at=made.now
        )
        await made.audit("review_copy.opened", "recording", recording.id, actor_id=actor.id)
        link = Link(
            kind=LinkKind.REVIEW,
            subject_id=recording.id,
            viewer_id=actor.id,
            expires_at=made.now + REVIEW_LINK_FOR,
        )
    return recording, link


async def suspend(
    house: House,
    viewer: Viewer,
    account_id: UUID,
    *,
    suspension: Suspension,
    until: datetime | None,
    reason: str,
) -> Account:
    """Take an account, or its right to record; NONE gives both back. It closes the reports of the person, and of
    their Spaces that are over.

    A suspended account is signed out, and its voice is cut off wherever it speaks.
    """
    actor = await moderator_for(house, viewer, "account.suspended", account_id, kind="user")
    reason = _reason(reason, "reason")
    async with change(house) as made:
        if until is not None and until <= made.now:
            raise InvalidInput("until must lie in the future.", path=["until"])
        account = await Account.select_for_update().get_or_none(id=account_id, deleted_at=None)
        if account is None:
            raise NotFound(path=["userId"])
        if account.id == actor.id:
            raise Forbidden("You cannot suspend yourself.")
        account.suspension = suspension
        account.suspended_until = until if suspension is not Suspension.NONE else None
        await account.save(update_fields=["suspension", "suspended_until"])
        if suspension is Suspension.ACCOUNT:
            await Session.filter(account_id=account.id).delete()
            await identities.end_tokens(account.id, made.now)
            made.topics.add(person_topic(account.id))
        await Sanction.create(
            id=new_id(),
            account_id=account.id,
            moderator_id=actor.id,
            suspension=suspension,
            until=account.suspended_until,
            reason=reason,
            at=made.now,
        )
        await close_reports(account.id, made.now)
        await close_reports_of_past(made.now, host_id=account.id)
        await made.audit("account.suspended", "user", account.id, actor_id=actor.id, outcome=suspension.value)
    if suspension is Suspension.ACCOUNT:
        await _cut_off(house, account.id)
    return account


async def _cut_off(house: House, account_id: UUID) -> None:
    """End the account's media sessions; a host's Space then has its minute, as after a lost connection."""
    for space_id in await Participant.filter(account_id=account_id, left_at=None).values_list(
        "space_id", flat=True
    ):
        with suppress(EngineError):
            await house.engine.remove_participant(str(space_id), str(account_id))
