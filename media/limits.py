"""What one media process takes on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """Beyond the first two a call is refused; recordings leave `disk_reserve_bytes` of their disk free."""

    rooms: int = 100
    sessions_per_room: int = 64
    disk_reserve_bytes: int = 0
