"""What every service needs: the clock, the numbers, the audio plane, the wake-ups, the keys."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from media.engine import AudioEngine
from media.shelf import Shelf
from models.delivery import Channel
from services.audit import AuditHead
from services.bus import Bus
from services.carriers import Carrier
from services.clock import Clock
from services.deadline import Deadlines
from services.inventory import Folders, Place
from services.limits import RateLimiter
from services.links import LinkSigner
from services.objects import Objects
from services.openid_keys import Providers
from services.outbound import Outbound
from services.payments import PaymentProvider
from services.policies import PolicyBook
from services.presence import Presence
from services.receipts import ReceiptSigner
from services.removals import Removals
from services.rules import Rules
from services.seals import Sealer
from services.signing import Signer


def _pass(_border: str) -> None:
    """Nobody watches the borders of a purge but tests, which are cut off there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Built once at start-up and handed to every service. `shelf` is where recordings lie.

    `payments` is None where every ticket is free, `providers` where nobody signs in at one. `findings` counts what the
    reconciler found since the start, by kind; `told` counts what subscriptions cost in looks, executions, messages.
    `executed` counts operations, by how they were executed; `answered` requests, by how and how soon they were.
    `counted` has the last listenings that are known to be counted as plays. `chance` (0 to 1) jitters pauses.
    """

    clock: Clock
    rules: Rules
    engine: AudioEngine
    bus: Bus
    links: LinkSigner
    limiter: RateLimiter
    presence: Presence
    deadlines: Deadlines
    policies: PolicyBook
    receipts: ReceiptSigner
    removals: Removals
    audit_head: AuditHead
    signer: Signer
    seals: Sealer
    outbound: Outbound
    shelf: Shelf
    payments: PaymentProvider | None = None
    providers: Providers | None = None
    carriers: Mapping[Channel, Carrier] = field(default_factory=dict)
    border: Callable[[str], None] = _pass
    chance: Callable[[], float] = random.random
    findings: Counter[str] = field(default_factory=Counter)
    executed: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    counted: dict[tuple[UUID, str], None] = field(default_factory=dict)

    @property
    def places(self) -> tuple[Place, ...]:
        """Every place that keeps something of recordings."""
        spool = Folders(self.shelf.spool)
        return (spool,) if self.shelf.bucket is None else (spool, Objects(self.shelf, self.shelf.bucket))

    @property
    def recordings_dir(self) -> Path:
        """A folder for each recording that is on this disk."""
        return self.shelf.spool

    def recording_dir(self, recording_id: UUID) -> Path:
        """Where one recording is written."""
        return self.recordings_dir / str(recording_id)
