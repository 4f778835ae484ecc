"""Destroying a recording: every byte, with proof, once, across any crash."""

import asyncio
import hashlib
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from tortoise.expressions import Q

from models.appeal import Appeal
from models.purge_receipt import PurgeReceipt
from models.recording import GONE, Recording, RecordingStatus
from models.report import Report, ReportState
from services.changes import change
from services.house import House
from services.receipts import Receipt
from services.states import move_and_tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What lies in the store of one recording: bytes, and SHA-256 over the sorted digests of its files."""

    size_bytes: int
    sha256: str


class BytesLeft(Exception):
    """After a purge something of the recording is still there."""


def take_inventory(directory: Path) -> Inventory:
    """Read every file once. An absent directory is an empty one."""
    size, digests = 0, []
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        size += path.stat().st_size
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return Inventory(size_bytes=size, sha256=hashlib.sha256("".join(sorted(digests)).encode()).hexdigest())


def destroy(directory: Path) -> None:
    """Remove everything, then look. Raises BytesLeft. Running it again is harmless."""
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        raise BytesLeft(
            f"expected nothing at {directory.name}, got {len(list(directory.rglob('*')))} entries"
        )


async def claim(house: House, recording_id: UUID, owner: str) -> Recording | None:
    """Lease a due recording to one worker; None when it is not due or another has it."""
    now = house.clock.now()
    free = Q(lease_until=None) | Q(lease_until__lte=now) | Q(lease_owner=owner)
    taken = await Recording.filter(
        free, id=recording_id, status__in=list(GONE), purge_at__lte=now, is_held=False
    ).update(lease_owner=owner, lease_until=now + house.rules.lease_for)
    return await Recording.get(id=recording_id) if taken else None


async def purge(house: House, recording_id: UUID, owner: str) -> bool:
    """Destroy one recording whose review clock has run out. False when it is not ours to purge."""
    recording = await claim(house, recording_id, owner)
    if recording is None:
        return False
    directory = house.recording_dir(recording.id)
    if recording.purge_sha256 is None:
        # Kept before the first byte goes, so that a crash half-way does not lose what there was.
        found = await asyncio.to_thread(take_inventory, directory)
        await Recording.filter(id=recording.id, lease_owner=owner).update(
            purge_bytes=found.size_bytes, purge_sha256=found.sha256
        )
    await asyncio.to_thread(destroy, directory)
    await _conclude(house, recording.id, owner)
    return True


async def _conclude(house: House, recording_id: UUID, owner: str) -> None:
    """PURGED, with its event, its one audit entry and its receipt, in one transaction."""
    async with change(house) as made:
        recording = await Recording.select_for_update().get(id=recording_id)
        if recording.status is RecordingStatus.PURGED or recording.lease_owner != owner:
            return
        receipt = _receipt(recording, made.now)
        document = house.receipts.sign(receipt)
        # Before the commit: after a restore a receipt too many does no harm, one too few would.
        await asyncio.to_thread(house.receipts.keep, document)
        await PurgeReceipt.create(
            recording_id=recording.id,
            purged_at=receipt.purged_at,
            size_bytes=receipt.size_bytes,
            sha256=receipt.sha256,
            document=document,
        )
        space = await made.space(recording.space_id)
        recording.purged_at, recording.purge_at, recording.case_deadline = made.now, None, None
        recording.has_open_case = False
        recording.lease_owner = recording.lease_until = None
        await move_and_tell(made, space, recording, RecordingStatus.PURGED)
        await _close_reports(recording.id, made.now)
        outcome = f"{receipt.size_bytes} bytes, sha256 {receipt.sha256}"
        await made.audit("recording.purged", "recording", recording.id, outcome=outcome)


def _receipt(recording: Recording, now: datetime) -> Receipt:
    return Receipt(
        recording_id=recording.id,
        size_bytes=recording.purge_bytes or 0,
        sha256=recording.purge_sha256 or "",
        purged_at=now,
        policy_version=recording.policy_version,
    )


async def _close_reports(recording_id: UUID, now: datetime) -> None:
    """With the last copy there is nothing left to decide on."""
    still_open = Report.filter(subject_id=recording_id, state=ReportState.OPEN)
    await still_open.update(state=ReportState.CLOSED, closed_at=now)
    await Appeal.filter(recording_id=recording_id, closed_at=None).update(closed_at=now)
