"""Rows against the store, both ways: what can be mended without loss is mended, the rest is told."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from tortoise.expressions import Q, Subquery

from media.playlist import PLAYLIST, PROGRAMME
from models.appeal import Appeal
from models.purge_receipt import PurgeReceipt
from models.recording import GONE, ICON_ON, Recording, RecordingStatus
from models.report import Report, ReportState
from models.space import Space, SpaceState
from models.space_event import SpaceEventKind
from services import cards, removals
from services.changes import change
from services.house import House
from services.inventory import Place, left_of
from services.retention import begin_review, status_at, wind
from services.states import move_and_tell

_BATCH = 500
WITHOUT_BYTES = "recording without bytes"
# Something this young may belong to a row that is being written.
_YOUNG = timedelta(minutes=5)
_WITH_BYTES = frozenset(
    {RecordingStatus.RECORDING, RecordingStatus.INTERRUPTED, RecordingStatus.AVAILABLE, *GONE}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that does not fit, and whether it was mended."""

    kind: str
    subject: str
    mended: bool


async def reconcile(house: House) -> list[Finding]:
    """Compare, mend what can be mended without loss, and tell the rest. Counted in `house.findings`."""
    findings: list[Finding] = []
    for look in (_leftovers, _missing, _leases, _left_live, _clockless, _idle_cases, _unproven):
        findings += [finding async for finding in look(house)]
    house.findings.update(finding.kind for finding in findings)
    await removals.catch_up(house.removals)
    return findings


async def _pages(where: Q) -> AsyncIterator[list[Recording]]:
    """Recordings in pages: there may be more than fit into memory."""
    last: UUID | None = None
    while True:
        found = Recording.filter(where, id__gt=last) if last else Recording.filter(where)
        page = await found.order_by("id").limit(_BATCH)
        if page:
            yield page
        if len(page) < _BATCH:
            return
        last = page[-1].id


async def _leftovers(house: House) -> AsyncIterator[Finding]:
    """What lies in the store and should not. Without a row it is told, never removed: a restore may need it."""
    for place in house.places:
        names = await asyncio.to_thread(lambda place=place: sorted(place.subjects()))  # type: ignore[misc]
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            rows = await Recording.filter(id__in=[one for _, one in batch if one is not None])
            known = {row.id: row for row in rows}
            for name, recording_id in batch:
                finding = await _leftover(
                    house, place, name, known.get(recording_id) if recording_id else None
                )
                if finding is not None:
                    yield finding


async def _leftover(house: House, place: Place, name: str, recording: Recording | None) -> Finding | None:
    if recording is None:
        if await asyncio.to_thread(place.age, name, house.clock.now()) <= _YOUNG:
            return None
        return Finding(kind="bytes without a recording", subject=name, mended=False)
    if recording.status is RecordingStatus.PURGED:
        kind = "purged recording had bytes"
    elif recording.status is RecordingStatus.FAILED and recording.started_at is None:
        kind = "recording without audio had files"
    else:
        return None
    await asyncio.to_thread(place.remove, recording.id, step=lambda: None)
    return Finding(kind=kind, subject=name, mended=True)


async def _missing(house: House) -> AsyncIterator[Finding]:
    """Recordings whose audio is gone without a purge; it may come back, with a disk that was not there."""
    where = Q(status__in=list(_WITH_BYTES), size_bytes__gt=0, purge_sha256=None)
    async for page in _pages(where):
        for finding in await _told_of_loss(house, page):
            yield finding


async def look_again(house: House, ids: Collection[UUID]) -> list[Finding]:
    """Whether the audio of these recordings, which was missing, is there again."""
    found = await Recording.filter(id__in=list(ids), lost_at__isnull=False, purge_sha256=None)
    return [finding for finding in await _told_of_loss(house, found) if finding.mended]


async def _told_of_loss(house: House, recordings: list[Recording]) -> list[Finding]:
    lost = await asyncio.to_thread(lambda: {row.id for row in recordings if _is_lost(house, row)})
    findings = []
    for row in recordings:
        if row.id in lost:
            if row.lost_at is None:
                await _tell_lost(house, row.id, is_lost=True)
            findings.append(Finding(kind=WITHOUT_BYTES, subject=str(row.id), mended=False))
        elif row.lost_at is not None:
            await _tell_lost(house, row.id, is_lost=False)
            findings.append(Finding(kind="lost bytes are back", subject=str(row.id), mended=True))
    return findings


def _is_lost(house: House, recording: Recording) -> bool:
    """While live nothing but an empty store says so: the recorder is about to write. Blocks."""
    names = {name.rpartition("/")[2] for name in left_of(house.places, recording.id)}
    return not names if recording.status in ICON_ON else not names >= {PROGRAMME, PLAYLIST}


async def _tell_lost(house: House, recording_id: UUID, *, is_lost: bool) -> None:
    """Keep it in the row, and tell those who would see it as playable."""
    async with change(house) as made:
        recording = await Recording.select_for_update().get(id=recording_id)
        before = status_at(recording, made.now)
        recording.lost_at = made.now if is_lost else None
        await recording.save(update_fields=["lost_at"])
        after = status_at(recording, made.now)
        if before is after:
            return
        space = await made.space(recording.space_id)
        await made.tell_space(
            space,
            SpaceEventKind.RECORDING_STATUS_CHANGED,
            recording=recording,
            of_recording=True,
            facts={"from": before.value, "to": after.value},
        )
        await cards.changed(made, space, recording)


async def _leases(house: House) -> AsyncIterator[Finding]:
    """Leases that ran out, or that come from a time to which the clock had leapt."""
    now = house.clock.now()
    over = Recording.filter(Q(lease_until__lte=now) | Q(lease_until__gt=now + 2 * house.rules.lease_for))
    ids = await over.values_list("id", flat=True)
    await over.update(lease_owner=None, lease_until=None)
    for one in ids:
        yield Finding(kind="lease ran out", subject=str(one), mended=True)


async def _left_live(house: House) -> AsyncIterator[Finding]:
    """Recordings that a crash left live in a Space that is over: the next round finishes them."""
    live = Space.filter(state=SpaceState.LIVE).values("id")
    for recording in await Recording.filter(status__in=list(ICON_ON)).exclude(space_id__in=Subquery(live)):
        mended = False
        async with change(house) as made:
            space = await Space.select_for_update().get_or_none(id=recording.space_id)
            locked = await Recording.select_for_update().get_or_none(id=recording.id, status=recording.status)
            if space is not None and space.state is SpaceState.ENDED and locked is not None:
                locked.ended_at = space.ended_at
                await move_and_tell(made, space, locked, RecordingStatus.FINALIZING)
                mended = True
        yield Finding(kind="recording live without its Space", subject=str(recording.id), mended=mended)


async def _clockless(house: House) -> AsyncIterator[Finding]:
    """Recordings whose clock does not run, and that would be kept for ever."""
    public = Q(status=RecordingStatus.AVAILABLE, expires_at=None)
    gone = Q(status__in=list(GONE), purge_at=None, is_held=False)
    async for page in _pages(public | gone):
        for recording in page:
            policy = house.policies.of(recording)
            ended_at = recording.ended_at or recording.created_at
            recording.expires_at = recording.expires_at or ended_at + policy.public_for
            if recording.status in GONE:
                begin_review(recording, policy, recording.gone_at or recording.expires_at)
            await recording.save(update_fields=["expires_at", "gone_at", "purge_at", "case_deadline"])
            yield Finding(kind="recording without a clock", subject=str(recording.id), mended=True)


async def _idle_cases(house: House) -> AsyncIterator[Finding]:
    """Cases that nobody opened: they would put a purge off for nothing."""
    async for page in _pages(Q(has_open_case=True)):
        ids = [row.id for row in page]
        reported = await Report.filter(subject_id__in=ids, state=ReportState.OPEN).values_list(
            "subject_id", flat=True
        )
        appealed = await Appeal.filter(recording_id__in=ids, closed_at=None).values_list(
            "recording_id", flat=True
        )
        for recording in page:
            if recording.id in {*reported, *appealed}:
                continue
            recording.has_open_case = False
            wind(recording, house.policies.of(recording), house.clock.now())
            await recording.save(update_fields=["has_open_case", "case_deadline", "purge_at"])
            yield Finding(kind="case without report or appeal", subject=str(recording.id), mended=True)


async def _unproven(house: House) -> AsyncIterator[Finding]:
    """Purged recordings without a receipt, and receipts whose journal was lost."""
    proven = PurgeReceipt.all().values("recording_id")
    lacking = Recording.filter(status=RecordingStatus.PURGED).exclude(id__in=Subquery(proven))
    for one in await lacking.values_list("id", flat=True):
        yield Finding(kind="purged without a receipt", subject=str(one), mended=False)
    if house.receipts.has_journal or not await PurgeReceipt.exists():
        return
    for document in await PurgeReceipt.all().order_by("purged_at").values_list("document", flat=True):
        await asyncio.to_thread(house.receipts.keep, str(document))
    yield Finding(kind="journal of receipts was missing", subject="receipts", mended=True)
