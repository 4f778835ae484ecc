"""The audit log: entries are written with their change, then sealed into a hash chain, in batches.

A chain inside every transaction would make all writes wait for one another; so an entry is sealed by
the next round. Until then it is only as safe as the database is.
"""

import hashlib
from dataclasses import dataclass

import orjson
from tortoise.transactions import in_transaction

from models.audit_entry import AuditEntry
from models.fields import to_ms

_FIRST = "0" * 64
_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check of the chain found: how much is sealed, and the first entry that does not fit."""

    sealed: int
    unsealed: int
    broken_id: int | None = None
    problem: str | None = None


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


async def seal() -> int:
    """Seal what is not sealed yet, in the order of ids. Returns how many."""
    done = 0
    while True:
        async with in_transaction():
            last = await AuditEntry.filter(hash__isnull=False).order_by("-number").first()
            before, number = (last.hash or _FIRST, last.number or 0) if last else (_FIRST, 0)
            waiting = await AuditEntry.filter(hash=None).order_by("id").limit(_BATCH)
            for entry in waiting:
                number += 1
                before = digest(entry, before, number)
                await AuditEntry.filter(id=entry.id).update(hash=before, number=number)
        done += len(waiting)
        if len(waiting) < _BATCH:
            return done


async def verify() -> Verdict:
    """Walk the chain and name the first entry that was edited, removed, inserted or moved."""
    before, number = _FIRST, 0
    while True:
        entries = (
            await AuditEntry.filter(hash__isnull=False, number__gt=number)
            .order_by("number", "id")
            .limit(_BATCH)
        )
        for entry in entries:
            problem = _misfit(entry, before, number + 1)
            if problem:
                return Verdict(sealed=number, unsealed=0, broken_id=entry.id, problem=problem)
            before, number = entry.hash or "", number + 1
        if len(entries) < _BATCH:
            break
    strays = await AuditEntry.filter(hash__isnull=False).count() - number
    if strays:
        return Verdict(sealed=number, unsealed=0, problem=f"{strays} entries stand beside the chain")
    return Verdict(sealed=number, unsealed=await AuditEntry.filter(hash=None).count())


def _misfit(entry: AuditEntry, before: str, expected: int) -> str | None:
    if entry.number != expected:
        return f"expected entry number {expected} of the chain, got {entry.number}: something before it is missing"
    if entry.hash != digest(entry, before, expected):
        return "its facts or its place differ from what was sealed"
    return None
