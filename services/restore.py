"""After a restore from a backup: what was purged since then is dead, and stays so."""

import asyncio
from pathlib import Path

from media.repair import finish
from models.account import Account
from models.audit_entry import AuditEntry
from models.purge_receipt import PurgeReceipt
from models.recording import GONE, ICON_ON, RECORDING_MOVES, Recording, RecordingStatus
from models.space import Space
from services import audit, farewell, restored
from services.changes import Change, change
from services.house import House
from services.inventory import left_of
from services.purge import destroy, tell_purged
from services.receipts import BadReceipt, Receipt
from services.reconcile import Finding, reconcile
from services.recordings import take_facts
from services.removals import Removal, RemovedKind
from services.retention import begin_review
from services.signing import BadSignature
from services.states import may_move, move_and_tell

# What was deleted of these since the backup is taken away again; of a FAILED one there was nothing to delete.
_MAY_COME_BACK = frozenset(
    {*ICON_ON, RecordingStatus.ARMED, RecordingStatus.FINALIZING, RecordingStatus.AVAILABLE}
)


async def after_restore(house: House) -> list[Finding]:
    """Replay every kept receipt and removal, compare rows and store, accept the audit log as it was restored.

    Run it before serving. Running it twice, or without a restore, changes nothing.
    """
    findings = await bury_the_dead(house)
    findings += await remove_again(house)
    findings += await reconcile(house)
    verdict = await audit.verify(house.audit_head)
    if (verdict.problem is not None and verdict.broken_id is None) or await is_older_than_its_log(house):
        # An older end is what a restore looks like. Edited entries stay for `audit verify` to name.
        await audit.accept_head(house.audit_head)
        findings.append(
            Finding(kind="audit log is older than its head", subject=str(verdict.sealed), mended=True)
        )
    return findings


async def bury_the_dead(house: House) -> list[Finding]:
    """What a kept receipt says is purged is purged again, under the same receipt."""
    found: list[Finding] = []
    for number, document in enumerate(await asyncio.to_thread(house.receipts.kept), start=1):
        try:
            receipt = house.receipts.verify(document)
        except BadReceipt:
            found.append(Finding(kind="line of the journal is no receipt", subject=str(number), mended=False))
            continue
        if await _bury(house, receipt, document):
            subject = str(receipt.recording_id)
            found.append(Finding(kind="restored although purged", subject=subject, mended=True))
    return found


async def _bury(house: House, receipt: Receipt, document: str) -> bool:
    had_bytes = bool(await asyncio.to_thread(left_of, house.places, receipt.recording_id))
    if had_bytes:
        await asyncio.to_thread(destroy, house, receipt.recording_id)
    async with change(house) as made:
        locked = await made.recording(receipt.recording_id)
        if locked is None or locked[1].status is RecordingStatus.PURGED:
            return had_bytes
        recording = locked[1]
        if (recording.status, RecordingStatus.PURGED) not in RECORDING_MOVES:
            # The restore moved it against the table; this moves it to where it had come from.
            recording.status = RecordingStatus.DELETED
        assert recording.status in GONE
        recording.gone_at = recording.gone_at or receipt.purged_at
        standing, _ = await PurgeReceipt.get_or_create(
            recording_id=receipt.recording_id,
            defaults={
                "purged_at": receipt.purged_at,
                "size_bytes": receipt.size_bytes,
                "sha256": receipt.sha256,
                "document": document,
            },
        )
        await tell_purged(made, recording, standing)
    return True


async def remove_again(house: House) -> list[Finding]:
    """What people deleted, or moderators took down, since the backup is deleted again, as of then."""
    removals, torn = await asyncio.to_thread(house.removals.kept)
    found = [
        Finding(kind="line of the journal is no removal", subject=str(line), mended=False) for line in torn
    ]
    for removal in removals:
        if removal.kind is RemovedKind.ACCOUNT:
            kind, was_back = "restored although deleted: account", await _erase_again(house, removal)
        else:
            kind, was_back = f"restored although {removal.status}", await _withdraw_again(house, removal)
        if was_back:
            found.append(Finding(kind=kind, subject=str(removal.id), mended=True))
    return found


async def _erase_again(house: House, removal: Removal) -> bool:
    """The worker's next round ends its Spaces; its recordings have lines of their own."""
    async with change(house) as made:
        row = await Account.select_for_update().get_or_none(id=removal.id)
        if row is None or row.deleted_at is not None:
            return False
        await farewell.erase(made, row, at=removal.at)
        made.removed.clear()
    return True


async def _withdraw_again(house: House, removal: Removal) -> bool:
    async with change(house) as made:
        locked = await made.recording(removal.id)
        if locked is None or locked[1].status not in _MAY_COME_BACK:
            return False
        space, recording = locked
        if recording.status in ICON_ON:
            # The backup caught it while it was being written.
            folder = house.recording_dir(recording.id)
            take_facts(recording, await asyncio.to_thread(finish, folder, recording_id=str(recording.id)))
        await _withdraw(house, made, space, recording, removal)
    return True


async def _withdraw(house: House, made: Change, space: Space, recording: Recording, removal: Removal) -> None:
    if not may_move(recording, removal.status):
        # The restore moved it against the table; this moves it to where it had come from.
        recording.status = RecordingStatus.AVAILABLE
    recording.ended_at = recording.ended_at or space.ended_at
    begin_review(recording, house.policies.of(recording), removal.at)
    await move_and_tell(made, space, recording, removal.status)
    made.removed.clear()


async def is_older_than_its_log(house: House) -> bool:
    """Whether the database knows less than was once signed, as after a restore that nobody has finished."""
    try:
        head = await asyncio.to_thread(house.audit_head.read)
    except BadSignature:
        return False  # for `audit verify` to tell
    return head is not None and head.number > 0 and not await AuditEntry.exists(number__gte=head.number)


async def refuse_older(house: House, data_dir: Path) -> None:
    """Before serving: a restore by other means is marked as well, and RestoreUnfinished raised."""
    if await is_older_than_its_log(house):
        await asyncio.to_thread(restored.begin, data_dir)
        raise restored.RestoreUnfinished
