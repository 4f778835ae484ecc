"""What moderators see and decide, and what people report."""

from datetime import date as day
from datetime import datetime
from typing import Annotated, Any

import strawberry
from tortoise.expressions import Q, Subquery

from models.account import Account
from models.audit_entry import AuditEntry as AuditRow
from models.paging import Order
from models.recording import Recording as RecordingRow
from models.report import Report as ReportRow
from models.report import ReportCategory, ReportState, SubjectKind
from models.rollout import RolloutAllowed
from models.space import Space as SpaceRow
from schema import ids
from schema.connections import After, Connection, First, PageInfo, connection_of, page_info
from schema.context import Context, Info
from schema.nodes import Node, RowType
from schema.people import User
from schema.recordings import Recording
from schema.rows import Wanted
from schema.scalars import ByteCount
from schema.sources import column, computed
from schema.spaces import Space
from services import forecast
from services.errors import NotFound

_SUBJECTS = {SubjectKind.RECORDING: RecordingRow, SubjectKind.SPACE: SpaceRow, SubjectKind.USER: Account}
_TYPES = {"Recording": SubjectKind.RECORDING, "Space": SubjectKind.SPACE, "User": SubjectKind.USER}
_ENTRY_TYPES = {"recording": "Recording", "space": "Space", "user": "User", "rollout": "Rollout"}

ReportSubject = Annotated[
    Recording | Space | User,
    strawberry.union("ReportSubject", description="What a report is about."),
]


def read_subject(global_id: str) -> tuple[SubjectKind, Any]:
    """Kind and key of a reportable id. Raises NotFound, at `subjectId`."""
    try:
        type_name, _ = ids.read_any(global_id)
        return _TYPES[type_name], ids.read(global_id, type_name, path="subjectId")
    except (NotFound, KeyError):
        raise NotFound(path=["subjectId"]) from None


async def _subject(row: ReportRow, _context: Context) -> Any:
    """Moderators see past blocks."""
    return await _SUBJECTS[row.subject_kind].get_or_none(id=row.subject_id)


@strawberry.type(description="What somebody reported. Its reporter and moderators see it.")
class Report(RowType, Node):
    """What somebody reported."""

    model = ReportRow

    subject: ReportSubject = computed(_subject, "What it is about.")
    category: ReportCategory = column("category", "What is wrong with it.")
    reason: str = column("reason", "In the reporter's words.")
    state: ReportState = column("state", "Whether a moderator has decided.")
    created_at: datetime = column("created_at", "When it was made.")


def _actor_id(row: AuditRow, _context: Context) -> strawberry.ID | None:
    return ids.pack("User", row.actor_id) if row.actor_id else None


def _subject_id(row: AuditRow, _context: Context) -> strawberry.ID:
    return ids.pack(_ENTRY_TYPES.get(row.subject_kind, row.subject_kind), row.subject_id)


@strawberry.type(
    description="Ids and facts, no names and no free text. hash: SHA-256 over this entry and the hash before it,"
    " in hexadecimal; null until sealed."
)
class AuditEntry(RowType, Node):
    """One act."""

    model = AuditRow

    at: datetime = column("at", "When it happened.")
    actor_id: strawberry.ID | None = computed(_actor_id, "Who did it; null for the clockwork.")
    action: str = column("action", "What was done, such as `recording.purged`.")
    subject_id: strawberry.ID = computed(_subject_id, "To what.")
    outcome: str = column("outcome", "How it went: `done`, `denied`, or facts.")
    hash: str | None = column("hash", "Links it to the entry before it; null until sealed.")


@strawberry.type(description="One place in the audit log.")
class AuditEdge:
    """One place in the audit log."""

    cursor: str = strawberry.field(description="This place: send it as `after` to go on from here.")
    node: AuditEntry | None = strawberry.field(description="The entry.")


@strawberry.type(description="A page of the audit log.")
class AuditConnection:
    """A page of the audit log."""

    edges: list[AuditEdge] = strawberry.field(description="The entries on this page, newest first.")
    page_info: PageInfo = strawberry.field(description="How to go on.")


@strawberry.type(description="What one coming day will expire and purge.")
class RetentionForecastDay:
    """What one coming day will expire and purge."""

    date: day = strawberry.field(description="The day, in UTC.")
    expiring: int = strawberry.field(description="Recordings that stop being public.")
    purging: int = strawberry.field(description="Review copies that are destroyed.")
    purging_bytes: ByteCount = strawberry.field(description="Their bytes.")
    held: int = strawberry.field(description="Review copies that a legal hold keeps from it.")


_BY_URGENCY = Order(column="case_deadline", descending=False)
_BY_CREATION = Order(column="created_at")
_BY_TIME = Order(column="at")


@strawberry.type(description="For moderators; null to others.")
class Moderation:
    """What moderators see."""

    @strawberry.field(description="Recordings with open reports or appeals, the most urgent deadline first.")
    async def review_queue(
        root: Any, info: Info, first: First = 20, after: After = strawberry.UNSET
    ) -> Connection[Recording]:
        wanted = Wanted.of(first, after)
        open_cases = RecordingRow.filter(has_open_case=True)
        return connection_of(await info.context.rows.everything(open_cases, _BY_URGENCY, wanted))

    @strawberry.field(description="Reports, the newest first.")
    async def reports(
        root: Any,
        info: Info,
        subject_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this recording, Space or person.")
        ] = strawberry.UNSET,
        state: Annotated[
            ReportState | None, strawberry.argument(description="Only in this state.")
        ] = strawberry.UNSET,
        first: First = 20,
        after: After = strawberry.UNSET,
    ) -> Connection[Report]:
        where = Q(state=state) if state else Q()
        if subject_id:
            where = where & Q(subject_id=read_subject(subject_id)[1])
        wanted = Wanted.of(first, after)
        return connection_of(
            await info.context.rows.everything(ReportRow.filter(where), _BY_CREATION, wanted)
        )

    @strawberry.field(description="The audit log, the newest first.")
    async def audit_log(
        root: Any,
        info: Info,
        subject_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this recording, Space or person.")
        ] = strawberry.UNSET,
        first: First = 50,
        after: After = strawberry.UNSET,
    ) -> AuditConnection:
        where = Q(subject_id=read_subject(subject_id)[1]) if subject_id else Q()
        wanted = Wanted.of(first, after, default=50)
        page = await info.context.rows.everything(AuditRow.filter(where), _BY_TIME, wanted)
        rows: list[Any] = list(page.rows)
        edges = [AuditEdge(cursor=cursor, node=row) for cursor, row in zip(page.cursors, rows, strict=True)]
        return AuditConnection(edges=edges, page_info=page_info(page))

    @strawberry.field(description="What the coming days will expire and purge under today's policy.")
    async def retention_forecast(
        root: Any,
        info: Info,
        days: Annotated[int, strawberry.argument(description="How many days, 1 to 366, today first.")] = 30,
    ) -> list[RetentionForecastDay]:
        return [
            RetentionForecastDay(
                date=one.day,
                expiring=one.expiring,
                purging=one.purging,
                purging_bytes=ByteCount(one.purging_bytes),
                held=one.held,
            )
            for one in await forecast.forecast(info.context.house, days=days)
        ]

    @strawberry.field(description="Who is on the rollout's allow-list.")
    async def rollout_allowed_handles(
        root: Any, info: Info, first: First = 100, after: After = strawberry.UNSET
    ) -> Connection[User]:
        allowed = Account.filter(id__in=Subquery(RolloutAllowed.all().values("account_id")))
        wanted = Wanted.of(first, after, default=100)
        return connection_of(await info.context.rows.everything(allowed, _BY_CREATION, wanted))
