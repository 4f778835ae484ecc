"""The audit log: entries are written with their change, then sealed into a hash chain, in batches.

A chain inside every transaction would make all writes wait for one another; so an entry is sealed by
the next round. Until then it is only as safe as the database is. What the chain cannot tell by itself, that
its end was cut off or all of it made anew, the signed head beside the database tells.
"""

import asyncio
import fcntl
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import orjson
from tortoise.transactions import in_transaction

from models.audit_entry import AuditEntry
from models.dialect import Lock, alone
from models.fields import to_ms
from services.signing import BadSignature, Signer

_FIRST = "0" * 64
_BATCH = 1000
_KIND = "spaces-audit-head+jws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check of the chain found: how much is sealed, and the first entry that does not fit."""

    sealed: int
    unsealed: int = 0
    broken_id: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the chain: the number of its last entry, and its hash."""

    number: int
    hash: str


class AuditHead:
    """The signed head of the chain, in a file beside the database."""

    def __init__(self, signer: Signer, path: Path) -> None:
        self._signer = signer
        self._path = path

    def write(self, head: Head) -> None:
        """Replace the head, on disk when this returns. Blocks."""
        document = self._signer.sign({"number": head.number, "hash": head.hash}, kind=_KIND)
        draft = self._path.with_suffix(".draft")
        # One draft for all processes: a crash leaves at most one behind, which the next writes over.
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with draft.open("w") as file:
                file.write(document + "\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)

    def read(self) -> Head | None:
        """The head that was signed last; None when there is none. Raises BadSignature. Blocks."""
        if not self._path.exists():
            return None
        facts = self._signer.verify(self._path.read_text(errors="replace"), kind=_KIND)
        return Head(number=facts["number"], hash=facts["hash"])


def digest(entry: AuditEntry, before: str, number: int) -> str:
    """The hash of an entry, of its place in the chain, and of the hash before it."""
    facts = [
        number,
        entry.id,
        to_ms(entry.at),
        str(entry.actor_id) if entry.actor_id else None,
        entry.action,
        entry.subject_kind,
        str(entry.subject_id),
        entry.outcome,
    ]
    return hashlib.sha256(before.encode() + orjson.dumps(facts)).hexdigest()


async def seal(signed: AuditHead) -> int:
    """Seal what is not sealed yet, in the order of ids, and sign the new head. Returns how many."""
    done = 0
    while True:
        async with in_transaction():
            await alone(Lock.AUDIT_CHAIN)
            last = await AuditEntry.filter(number__isnull=False).order_by("-number").first()
            before, number = (last.hash or _FIRST, last.number or 0) if last else (_FIRST, 0)
            waiting = await AuditEntry.filter(hash=None, number=None).order_by("id").limit(_BATCH)
            for entry in waiting:
                number += 1
                before = digest(entry, before, number)
                await AuditEntry.filter(id=entry.id).update(hash=before, number=number)
        done += len(waiting)
        if len(waiting) < _BATCH:
            await _sign_what_goes_on(signed, Head(number=number, hash=before))
            return done


async def _sign_what_goes_on(signed: AuditHead, head: Head) -> None:
    """A chain that is shorter than was signed, or that was made anew, is for `verify` to tell, not to be signed."""
    try:
        known = await asyncio.to_thread(signed.read)
    except BadSignature:
        return
    if known is not None and known.number:
        goes_on = head.number > known.number
        if not goes_on or not await AuditEntry.filter(number=known.number, hash=known.hash).exists():
            return
    if head.number:
        await asyncio.to_thread(signed.write, head)


async def accept_head(signed: AuditHead) -> None:
    """After a restore: sign the end of the chain as it is now, shorter than before or not."""
    last = await AuditEntry.filter(hash__isnull=False).order_by("-number").first()
    head = Head(number=last.number or 0, hash=last.hash or _FIRST) if last else Head(number=0, hash=_FIRST)
    await asyncio.to_thread(signed.write, head)


async def verify(signed: AuditHead) -> Verdict:
    """Walk the chain and name the first entry that was edited, removed, inserted or moved."""
    try:
        # Before the walk: the server may seal more meanwhile.
        head = await asyncio.to_thread(signed.read)
    except BadSignature as error:
        return Verdict(sealed=0, problem=f"the signed head was tampered with: {error}")
    before, number = _FIRST, 0
    while True:
        sealed = AuditEntry.filter(number__gt=number)
        entries = await sealed.order_by("number").limit(_BATCH)
        for entry in entries:
            problem = _misfit(entry, before, number + 1) or _against(head, entry)
            if problem:
                return Verdict(sealed=number, broken_id=entry.id, problem=problem)
            before, number = entry.hash or "", number + 1
        if len(entries) < _BATCH:
            break
    return await _rest(number, head)


async def _rest(number: int, head: Head | None) -> Verdict:
    """What the walk along the numbers does not meet: a cut-off end, and what stands beside the chain."""
    if head is None and number:
        return Verdict(sealed=number, problem="the signed head is missing")
    if head is not None and head.number > number:
        return Verdict(
            sealed=number,
            problem=f"the end is missing: entries number {number + 1} to {head.number} were sealed",
        )
    beside = AuditEntry.filter(hash__isnull=False, number=None)
    stray = await beside.order_by("id").first() or await AuditEntry.filter(number__lte=0).first()
    if stray is not None:
        return Verdict(sealed=number, broken_id=stray.id, problem="it stands beside the chain")
    return Verdict(sealed=number, unsealed=await AuditEntry.filter(hash=None).count())


def _misfit(entry: AuditEntry, before: str, expected: int) -> str | None:
    if entry.number != expected:
        return f"before it entry number {expected} of the chain is missing"
    if entry.hash != digest(entry, before, expected):
        return "its facts or its place differ from what was sealed"
    return None


def _against(head: Head | None, entry: AuditEntry) -> str | None:
    if head is not None and entry.number == head.number and entry.hash != head.hash:
        return "the chain up to it was made anew: its hash is not the one that was signed"
    return None
