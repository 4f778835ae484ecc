"""What people took away, in a journal beside the database: a restored backup must not bring it back to the public."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from uuid import UUID

import orjson
import structlog

from models.account import Account
from models.fields import from_ms, to_ms
from models.recording import Recording, RecordingStatus
from services.journals import Journal

log = structlog.get_logger(__name__)

# Statuses that somebody's will brings about. Expiry follows from the row by itself.
WITHDRAWN = frozenset({RecordingStatus.DELETED, RecordingStatus.TAKEN_DOWN})
_BATCH = 500


class RemovedKind(StrEnum):
    """What was taken away."""

    RECORDING = "recording"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One recording (`status` says how) or account that was taken away."""

    kind: RemovedKind
    id: UUID
    at: datetime
    status: RecordingStatus = RecordingStatus.DELETED


class Removals:
    """The journal: ids and facts only, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)

    def keep(self, removals: Sequence[Removal]) -> None:
        """Append; on disk when this returns. Twice is harmless. Raises OSError. Blocks."""
        self._journal.append(*map(_line, removals))

    def kept(self) -> tuple[list[Removal], list[int]]:
        """Every removal once, the oldest first, and the numbers of the lines that are none. Blocks."""
        found: dict[tuple[RemovedKind, UUID], Removal] = {}
        torn = []
        for number, line in enumerate(self._journal.lines(), start=1):
            try:
                removal = _removal(line)
            except (ValueError, KeyError, TypeError):
                torn.append(number)
            else:
                found.setdefault((removal.kind, removal.id), removal)
        return list(found.values()), torn


def _line(removal: Removal) -> str:
    facts = {
        "kind": removal.kind,
        "id": str(removal.id),
        "at_ms": to_ms(removal.at),
        "status": removal.status,
    }
    return orjson.dumps(facts).decode()


def _removal(line: str) -> Removal:
    facts = orjson.loads(line)
    status = RecordingStatus(facts["status"])
    if status not in WITHDRAWN:
        raise ValueError(f"expected one of {sorted(WITHDRAWN)}, got {status}")
    return Removal(
        kind=RemovedKind(facts["kind"]), id=UUID(facts["id"]), at=from_ms(facts["at_ms"]), status=status
    )


async def journal(removals: Removals, made: Sequence[Removal]) -> None:
    """Keep removals before they are committed: after a restore one too many is better than one too few."""
    try:
        await asyncio.to_thread(removals.keep, made)
    except OSError as error:
        # A full disk keeps nobody from deleting; the next round of `catch_up` writes it.
        log.error("removals are not in their journal yet", reason=str(error))


async def catch_up(removals: Removals) -> None:
    """Keep what the rows know and the journal lacks: it was lost, or could not be written."""
    kept, _ = await asyncio.to_thread(removals.kept)
    known = {(removal.kind, removal.id) for removal in kept}
    async for page in _removed():
        lacking = [removal for removal in page if (removal.kind, removal.id) not in known]
        if lacking:
            await journal(removals, lacking)


async def _removed() -> AsyncIterator[list[Removal]]:
    """What the rows know of, in pages."""
    last = UUID(int=0)
    while page := await _page(last):
        yield [
            Removal(kind=RemovedKind.RECORDING, id=row.id, at=row.gone_at, status=row.status)
            for row in page
            if row.gone_at is not None
        ]
        last = page[-1].id
    deleted = Account.filter(deleted_at__isnull=False).values_list("id", "deleted_at")
    accounts = [Removal(kind=RemovedKind.ACCOUNT, id=one, at=at) for one, at in await deleted]
    yield accounts


async def _page(last: UUID) -> list[Recording]:
    withdrawn = Recording.filter(status__in=list(WITHDRAWN), id__gt=last)
    return await withdrawn.order_by("id").limit(_BATCH).only("id", "gone_at", "status")
