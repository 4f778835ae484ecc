"""Destroying a recording: every byte, with proof, once, across any crash.

Between two borders lies one durable step, which can be done again. Once a recording is condemned, nothing
saves it any more: neither a hold nor a report.
"""

import asyncio
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tortoise.expressions import Q
from tortoise.transactions import in_transaction

from media.threads import in_store_thread
from models.legal_hold import LegalHold
from models.purge_receipt import PurgeReceipt
from models.recording import GONE, Recording, RecordingStatus
from services import notifications
from services.changes import Change, change
from services.house import House
from services.inventory import left_of, take_inventory
from services.receipts import Receipt
from services.reports import close_case_rows
from services.retention import deadlines, wind
from services.states import move_and_tell


class Border(StrEnum):
    """Where a purge can be cut off. The house is told of each as it is passed, in this order."""

    CLAIMED = "claimed"
    COUNTED = "counted"
    CONDEMNED = "condemned"
    PIECE_GONE = "piece gone"
    EMPTIED = "emptied"
    PROVEN = "proven"
    SIGNED = "signed"
    KEPT = "kept"
    CONCLUDING = "concluding"
    PURGED = "purged"


class BytesLeft(Exception):
    """After a purge something of the recording is still there."""


async def claim(house: House, owner: str, *, now: datetime, most: int) -> list[UUID]:
    """Lease the most overdue recordings to one worker. What others hold, and what failed just now, is left out."""
    at = house.clock.now()
    free = Q(lease_until=None) | Q(lease_until__lte=at)
    # A lease from a time to which the clock had leapt counts for nothing.
    free = free | Q(lease_until__gt=at + 2 * house.rules.lease_for)
    due = Recording.due(now).filter(free).order_by("purge_at").limit(most)
    if not await due.exists():
        return []
    async with in_transaction():
        # What another worker is taking at this moment is left to it.
        leased: list[UUID] = [row.id for row in await due.select_for_update(skip_locked=True).only("id")]
        until = at + house.rules.lease_for
        await Recording.filter(id__in=leased).update(lease_owner=owner, lease_until=until)
    house.border(Border.CLAIMED)
    return leased


async def purge(house: House, recording_id: UUID, owner: str, *, now: datetime) -> bool:
    """Destroy one recording that is leased to `owner` and due at `now`. False when it is not (any more)."""
    if not await _condemn(house, recording_id, owner, now):
        return False
    await in_store_thread(destroy, house, recording_id)
    document = await _sign(house, recording_id, owner)
    if document is None:
        return False
    # Before PURGED is told: after a restore a receipt too many does no harm, one too few would.
    await asyncio.to_thread(house.receipts.keep, document)
    house.border(Border.KEPT)
    return await _conclude(house, recording_id, owner)


async def _condemn(house: House, recording_id: UUID, owner: str, now: datetime) -> bool:
    """The last look at the clocks, and what there is written down: a crash half-way does not lose it."""
    found = await in_store_thread(take_inventory, house.places, recording_id)
    house.border(Border.COUNTED)
    async with change(house):
        recording = await _leased(recording_id, owner)
        if recording is None:
            return False
        if not recording.is_condemned:
            due = deadlines(recording, house.policies.of(recording), now).purge_at
            if due is None or due > now:
                wind(recording, house.policies.of(recording), now)
                recording.lease_owner = recording.lease_until = None
                await recording.save(
                    update_fields=["purge_at", "case_deadline", "lease_owner", "lease_until"]
                )
                return False
            recording.purge_bytes, recording.purge_sha256 = found.size_bytes, found.sha256
            await recording.save(update_fields=["purge_bytes", "purge_sha256"])
    house.border(Border.CONDEMNED)
    return True


async def _leased(recording_id: UUID, owner: str) -> Recording | None:
    """The recording, locked, if this worker still holds it."""
    recording = await Recording.select_for_update().get_or_none(id=recording_id)
    if recording is None or recording.lease_owner != owner or recording.status not in GONE:
        return None
    return recording


def destroy(house: House, recording_id: UUID) -> None:
    """Remove everything everywhere, then look. Raises BytesLeft. Running it again is harmless. Blocks."""
    for place in house.places:
        place.remove(recording_id, step=lambda: house.border(Border.PIECE_GONE))
    house.border(Border.EMPTIED)
    if left := left_of(house.places, recording_id):
        raise BytesLeft(f"expected nothing of recording {recording_id}, got {len(left)} pieces")
    house.border(Border.PROVEN)


async def _sign(house: House, recording_id: UUID, owner: str) -> str | None:
    """The receipt; the first one that was written stands. None when the lease is lost."""
    async with change(house) as made:
        recording = await _leased(recording_id, owner)
        if recording is None:
            return None
        recording.lease_until = made.now + house.rules.lease_for
        await recording.save(update_fields=["lease_until"])
        standing = await PurgeReceipt.get_or_none(recording_id=recording_id)
        if standing is None:
            receipt = _receipt(recording, made.now)
            standing = await PurgeReceipt.create(
                recording_id=recording.id,
                purged_at=receipt.purged_at,
                size_bytes=receipt.size_bytes,
                sha256=receipt.sha256,
                document=house.receipts.sign(receipt),
            )
    house.border(Border.SIGNED)
    return standing.document


def _receipt(recording: Recording, now: datetime) -> Receipt:
    return Receipt(
        recording_id=recording.id,
        size_bytes=recording.purge_bytes or 0,
        sha256=recording.purge_sha256 or "",
        purged_at=now,
        policy_version=recording.policy_version,
    )


async def _conclude(house: House, recording_id: UUID, owner: str) -> bool:
    """PURGED, with its event and its one audit entry, in one transaction."""
    async with change(house) as made:
        await made.recording(recording_id)
        recording = await _leased(recording_id, owner)
        if recording is None:
            return False
        receipt = await PurgeReceipt.get(recording_id=recording_id)
        await notifications.case_closed(house, made, recording)
        await tell_purged(made, recording, receipt)
        house.border(Border.CONCLUDING)
    house.border(Border.PURGED)
    return True


async def tell_purged(made: Change, recording: Recording, receipt: PurgeReceipt) -> None:
    """Write into every row what a receipt says of a recording. Its bytes are gone."""
    recording.purged_at, recording.purge_at, recording.case_deadline = receipt.purged_at, None, None
    recording.purge_bytes, recording.purge_sha256 = receipt.size_bytes, receipt.sha256
    recording.has_open_case = recording.is_held = False
    recording.lease_owner = recording.lease_until = None
    space = await made.space(recording.space_id)
    await move_and_tell(made, space, recording, RecordingStatus.PURGED)
    await close_case_rows(recording.id, made.now)
    await LegalHold.filter(recording_id=recording.id, released_at=None).update(released_at=made.now)
    outcome = f"{receipt.size_bytes} bytes, sha256 {receipt.sha256}"
    await made.audit("recording.purged", "recording", recording.id, outcome=outcome)
