"""Reports and appeals: what opens a case."""

from datetime import datetime
from uuid import UUID

from tortoise.expressions import Subquery

from models.account import Account
from models.appeal import Appeal
from models.recording import Recording, RecordingStatus
from models.report import Report, ReportCategory, ReportState, SubjectKind
from models.review_opening import ReviewOpening
from models.space import Space, SpaceState
from services import text, visibility
from services.changes import Change, change, new_id
from services.errors import Conflict, Forbidden, InvalidInput, NotFound, RecordingNotAvailable
from services.house import House
from services.retention import wind
from services.viewers import Viewer
from services.visibility import visible_recording, visible_space

LONGEST_REASON = 2000
_NO_COPY = frozenset({RecordingStatus.ARMED, RecordingStatus.FAILED, RecordingStatus.PURGED})


def require_copy(recording: Recording, to_what: str) -> None:
    """Raise RecordingNotAvailable unless there is something to look into, or to keep."""
    if recording.status in _NO_COPY:
        raise RecordingNotAvailable(
            f"The recording is {recording.status.value}: there is nothing to {to_what}."
        )
    if recording.is_condemned:
        raise RecordingNotAvailable(f"The recording is being destroyed. It is too late to {to_what} it.")


async def report(
    house: House,
    viewer: Viewer,
    kind: SubjectKind,
    subject_id: UUID,
    *,
    category: ReportCategory,
    reason: str,
) -> Report:
    """Tell moderators of a recording (for as long as a copy exists), a Space or a person."""
    account = viewer.signed_in()
    reason = text.line(reason, "reason", most=LONGEST_REASON)
    async with change(house) as made:
        if kind is SubjectKind.RECORDING:
            await _open_case(house, made, viewer, subject_id)
        elif kind is SubjectKind.SPACE:
            await visible_space(viewer, subject_id)
        else:
            await _reportable_person(viewer, subject_id)
        found = await Report.create(
            id=new_id(),
            subject_kind=kind,
            subject_id=subject_id,
            reporter_id=account.id,
            category=category,
            reason=reason,
            created_at=made.now,
        )
        await made.audit(
            "report.made", kind.value.lower(), subject_id, actor_id=account.id, outcome=category.value
        )
    return found


async def _reportable_person(viewer: Viewer, account_id: UUID) -> None:
    if account_id == viewer.id:
        raise InvalidInput("You cannot report yourself.", path=["subjectId"])
    if not await Account.filter(await visibility.accounts(viewer), id=account_id, deleted_at=None).exists():
        raise NotFound(path=["subjectId"])


async def _open_case(house: House, made: Change, viewer: Viewer, recording_id: UUID) -> None:
    await visible_recording(viewer, recording_id)
    recording = await Recording.select_for_update().get(id=recording_id)
    require_copy(recording, "report")
    await set_case(house, made, recording, is_open=True)


async def set_case(house: House, made: Change, recording: Recording, *, is_open: bool) -> None:
    """Open or close a recording's case and wind its review clock anew."""
    recording.has_open_case = is_open
    wind(recording, house.policies.of(recording), made.now)
    await recording.save(update_fields=["has_open_case", "case_deadline", "purge_at"])


async def close_reports(subject_id: UUID, now: datetime) -> None:
    """A moderator has acted on what was reported."""
    still_open = Report.filter(subject_id=subject_id, state=ReportState.OPEN)
    await still_open.update(state=ReportState.CLOSED, closed_at=now)


async def close_reports_of_past(now: datetime, **of: UUID) -> None:
    """A Space that is over cannot be ended: what is decided on its recording, or on its host, answers its reports."""
    over = Space.filter(state__in=[SpaceState.ENDED, SpaceState.CANCELED], **of)
    still_open = Report.filter(subject_id__in=Subquery(over.values("id")), state=ReportState.OPEN)
    await still_open.update(state=ReportState.CLOSED, closed_at=now)


async def close_case_rows(recording_id: UUID, now: datetime) -> None:
    """A recording's reports and appeals are over, and its host may know who looked into the copy, and why."""
    await close_reports(recording_id, now)
    await Appeal.filter(recording_id=recording_id, closed_at=None).update(closed_at=now)
    await ReviewOpening.filter(recording_id=recording_id, disclosed_at=None).update(disclosed_at=now)


async def appeal(house: House, viewer: Viewer, recording_id: UUID, *, statement: str) -> Recording:
    """A host's word against a take-down, for as long as a copy exists."""
    account = viewer.signed_in()
    statement = text.line(statement, "statement", most=LONGEST_REASON)
    async with change(house) as made:
        seen = await visible_recording(viewer, recording_id)
        if seen.host_id != account.id:
            raise Forbidden("Only the host can appeal.")
        recording = await Recording.select_for_update().get(id=recording_id)
        if recording.status is not RecordingStatus.TAKEN_DOWN:
            raise RecordingNotAvailable(
                f"The recording is {recording.status.value}. Only one that was taken down can be appealed."
            )
        require_copy(recording, "appeal")
        if await Appeal.exists(recording_id=recording_id, closed_at=None):
            raise Conflict("An appeal is open already. Wait for the decision.")
        await Appeal.create(
            id=new_id(),
            recording_id=recording_id,
            account_id=account.id,
            statement=statement,
            created_at=made.now,
        )
        await set_case(house, made, recording, is_open=True)
        await made.audit("recording.appealed", "recording", recording_id, actor_id=account.id)
    return recording
