"""What becomes of a recording's bytes, as the host and moderators may know it."""

from collections.abc import Sequence
from datetime import datetime

import strawberry

from models.appeal import Appeal as AppealRow
from models.paging import Order
from models.purge_receipt import PurgeReceipt as ReceiptRow
from models.recording import Recording as RecordingRow
from models.recording import RecordingStatus
from models.review_opening import ReviewOpening as OpeningRow
from schema.context import Context
from schema.nodes import RowType
from schema.rows import Connected, Relation, Wanted
from schema.scalars import ByteCount
from schema.sources import column
from services import retention

_MOST_OPENINGS = 100
_MOST_APPEALS = 100
_RECEIPT = Relation(model=ReceiptRow, key="id", column="recording_id")


@strawberry.type(
    description="document: JSON signed as a compact JWS with a key published at /.well-known/jwks.json; it names its"
    " scope."
)
class PurgeReceipt:
    """The signed word that nothing is left."""

    purged_at: datetime = strawberry.field(description="When the last byte was gone.")
    size_bytes: ByteCount = strawberry.field(description="How many bytes there were.")
    sha256: str = strawberry.field(
        description="Over the sorted SHA-256 digests of the files, in hexadecimal."
    )
    document: str = strawberry.field(description="All of this and more, signed.")


@strawberry.type(
    description="The two clocks. The host sees the date without reports and holds; moderators the real one, null while"
    " held. isHeld: null to the host."
)
class Retention:
    """The two clocks of a recording."""

    public_until: datetime | None = strawberry.field(
        description="Until when it can be played as things stand."
    )
    review_until: datetime | None = strawberry.field(
        description="When the review copy is due to be purged; null before that clock runs and once purged."
    )
    is_held: bool | None = strawberry.field(description="Whether a legal hold stands; null to the host.")
    policy_version: str = strawberry.field(description="The policy that the recording began under.")
    receipt: PurgeReceipt | None = strawberry.field(description="Once purged.")


@strawberry.type(description="A moderator opened the review copy.")
class ReviewOpening(RowType):
    """A moderator opened the review copy."""

    model = OpeningRow

    at: datetime = column("at", "When.")
    reason: str = column("reason", "Why, in the moderator's words.")


OPENINGS = Connected(model=OpeningRow, parent="recording_id", order=Order(column="at"))


async def openings_of(row: RecordingRow, context: Context) -> Sequence[OpeningRow]:
    """Openings of the review copy, for the host once the case is closed, and for moderators; else none."""
    if not context.viewer.is_moderator and not context.viewer.is_account(row.host_id):
        return []
    return (await context.rows.page(OPENINGS, row.id, Wanted(first=_MOST_OPENINGS))).rows


@strawberry.type(description="The host's word against a take-down.")
class Appeal(RowType):
    """The host's word against a take-down."""

    model = AppealRow

    statement: str = column("statement", "In the host's words.")
    created_at: datetime = column("created_at", "When it was made.")
    closed_at: datetime | None = column("closed_at", "When a moderator decided; null while it waits.")


APPEALS = Connected(model=AppealRow, parent="recording_id", order=Order(column="created_at"))


async def appeals_of(row: RecordingRow, context: Context) -> Sequence[AppealRow]:
    """Appeals against the take-down, for the host and for moderators; else none."""
    if not context.viewer.is_moderator and not context.viewer.is_account(row.host_id):
        return []
    return (await context.rows.page(APPEALS, row.id, Wanted(first=_MOST_APPEALS))).rows


async def retention_of(row: RecordingRow, context: Context) -> Retention | None:
    """The two clocks for the host and moderators; None to others."""
    viewer = context.viewer
    if not viewer.is_moderator and not viewer.is_account(row.host_id):
        return None
    clocks = retention.deadlines(row, context.house.policies.of(row), context.now)
    return Retention(
        public_until=clocks.public_until,
        review_until=clocks.purge_at if viewer.is_moderator else clocks.purge_without_cases,
        is_held=row.is_held if viewer.is_moderator else None,
        policy_version=str(row.policy_version),
        receipt=await _receipt(row, context),
    )


async def _receipt(row: RecordingRow, context: Context) -> PurgeReceipt | None:
    # It is written just before the status: nobody is told before.
    if row.status is not RecordingStatus.PURGED:
        return None
    found: ReceiptRow | None = await context.rows.one(_RECEIPT, row.id)
    if found is None:
        return None
    return PurgeReceipt(
        purged_at=found.purged_at,
        size_bytes=ByteCount(found.size_bytes),
        sha256=found.sha256,
        document=found.document,
    )
