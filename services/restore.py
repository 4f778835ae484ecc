"""After a restore from a backup: what was purged since then is dead, and stays so."""

import asyncio

from media.threads import in_store_thread
from models.purge_receipt import PurgeReceipt
from models.recording import GONE, RECORDING_MOVES, RecordingStatus
from services import audit
from services.changes import change
from services.house import House
from services.inventory import left_of
from services.purge import destroy, tell_purged
from services.receipts import BadReceipt, Receipt
from services.reconcile import Finding, reconcile


async def after_restore(house: House) -> list[Finding]:
    """Replay every kept receipt, compare rows and store, and accept the audit log as it was restored.

    Run it before serving. Running it twice, or without a restore, changes nothing.
    """
    findings = await bury_the_dead(house)
    findings += await reconcile(house)
    verdict = await audit.verify(house.audit_head)
    if verdict.problem is not None and verdict.broken_id is None:
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
    had_bytes = bool(await in_store_thread(left_of, house.places, receipt.recording_id))
    if had_bytes:
        await in_store_thread(destroy, house, receipt.recording_id)
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
