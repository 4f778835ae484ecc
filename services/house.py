"""What every service needs: the clock, the numbers, the audio plane, the wake-ups, the keys."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from media.engine import AudioEngine
from services.bus import Bus
from services.clock import Clock
from services.limits import RateLimiter
from services.links import LinkSigner
from services.policies import PolicyBook
from services.receipts import ReceiptSigner
from services.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Built once at start-up and handed to every service. `recordings_dir` holds a folder a recording."""

    clock: Clock
    rules: Rules
    engine: AudioEngine
    bus: Bus
    links: LinkSigner
    limiter: RateLimiter
    policies: PolicyBook
    receipts: ReceiptSigner
    recordings_dir: Path

    def recording_dir(self, recording_id: UUID) -> Path:
        """Where every byte of one recording lives."""
        return self.recordings_dir / str(recording_id)
