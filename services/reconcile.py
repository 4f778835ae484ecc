"""Rows against the store, both ways: orphans are told, what is stuck is set going again."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from models.recording import ICON_ON, Recording, RecordingStatus
from models.space import Space, SpaceState
from services.house import House
from services.purge import destroy

_WITHOUT_BYTES = frozenset({RecordingStatus.ARMED, RecordingStatus.FAILED, RecordingStatus.STARTING})
# A folder this young may belong to a row that is being written.
_YOUNG = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that does not fit, and whether it was mended."""

    kind: str
    subject: str
    mended: bool


async def reconcile(house: House) -> list[Finding]:
    """Compare, mend what can be mended without loss, and tell the rest."""
    findings = await _files(house)
    findings += await _rows(house)
    findings += await _stuck(house)
    return findings


async def _files(house: House) -> list[Finding]:
    """Folders without a row are told, never removed: they may come from a restore. Purged ones go again."""
    found: list[Finding] = []
    for folder in await asyncio.to_thread(_folders, house.recordings_dir):
        recording = await Recording.get_or_none(id=_uuid(folder.name)) if _uuid(folder.name) else None
        if recording is not None and recording.status is RecordingStatus.PURGED:
            await asyncio.to_thread(destroy, folder)
            found.append(Finding(kind="purged recording had bytes", subject=folder.name, mended=True))
        elif recording is None and await asyncio.to_thread(_age, folder, house.clock.now()) > _YOUNG:
            found.append(Finding(kind="bytes without a recording", subject=folder.name, mended=False))
    return found


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir())


def _age(folder: Path, now: datetime) -> timedelta:
    return timedelta(seconds=now.timestamp() - folder.stat().st_mtime)


def _uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None


async def _rows(house: House) -> list[Finding]:
    """Recordings whose bytes are missing."""
    found: list[Finding] = []
    with_bytes = [
        status for status in RecordingStatus if status not in _WITHOUT_BYTES | {RecordingStatus.PURGED}
    ]
    for recording in await Recording.filter(status__in=with_bytes, size_bytes__gt=0, purge_sha256=None):
        programme = house.recording_dir(recording.id) / "programme.mp4"
        if not await asyncio.to_thread(programme.exists):
            found.append(Finding(kind="recording without bytes", subject=str(recording.id), mended=False))
    return found


async def _stuck(house: House) -> list[Finding]:
    """Recordings that a crash left live in a Space that is over, and leases that ran out."""
    found: list[Finding] = []
    for recording in await Recording.filter(status__in=list(ICON_ON)):
        space = await Space.get_or_none(id=recording.space_id)
        if space is None or space.state is not SpaceState.LIVE:
            found.append(
                Finding(kind="recording without a live Space", subject=str(recording.id), mended=False)
            )
    now = house.clock.now()
    ran_out = await Recording.filter(lease_until__lte=now)
    found += [Finding(kind="lease ran out", subject=str(one.id), mended=True) for one in ran_out]
    await Recording.filter(lease_until__lte=now).update(lease_owner=None, lease_until=None)
    return found


async def bury_the_dead(house: House) -> list[Finding]:
    """After a restore: what a kept receipt says is purged is purged again."""
    found: list[Finding] = []
    for document in house.receipts.kept():
        recording_id = UUID(str(house.receipts.verify(document)["recording_id"]))
        recording = await Recording.get_or_none(id=recording_id)
        folder = house.recording_dir(recording_id)
        revived = recording is not None and recording.status is not RecordingStatus.PURGED
        if revived or await asyncio.to_thread(folder.exists):
            await asyncio.to_thread(destroy, folder)
            await Recording.filter(id=recording_id).update(
                status=RecordingStatus.PURGED, purge_at=None, is_held=False, has_open_case=False
            )
            found.append(Finding(kind="restored although purged", subject=str(recording_id), mended=True))
    return found
