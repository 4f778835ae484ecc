"""When a Space is next due, by pure functions, and what this process knows of the soonest."""

import asyncio
from datetime import UTC, datetime, timedelta

from models.space import Space, SpaceState
from services.rules import Rules

NEVER = datetime.max.replace(tzinfo=UTC)


def lapses_at(space: Space, rules: Rules) -> datetime:
    """When a scheduled Space is called off by itself; NEVER for one that has no start. Pure."""
    if space.state is not SpaceState.SCHEDULED or space.scheduled_start is None:
        return NEVER
    return space.scheduled_start + rules.unlaunched_after


def ends_at(space: Space, rules: Rules, *, cohost_is_there: bool = False) -> datetime | None:
    """When a live Space ends by itself as things stand; None for one that is not live. Pure.

    A host's lost minute counts as though no co-host stood in, unless it is said that one is there.
    """
    if space.state is not SpaceState.LIVE or space.started_at is None:
        return None
    deadline = space.started_at + rules.longest_space
    if space.host_lost_at is not None and not cohost_is_there:
        deadline = min(deadline, space.host_lost_at + rules.reconnect_window)
    if space.alone_since is not None:
        deadline = min(deadline, space.alone_since + rules.empty_for)
    return deadline


def notice_at(space: Space, rules: Rules) -> datetime | None:
    """When everybody in a live Space is told that its longest time is nearly over; None once they are. Pure."""
    if space.state is not SpaceState.LIVE or space.started_at is None or space.end_told_at is not None:
        return None
    return space.started_at + max(rules.longest_space - rules.longest_space_notice, timedelta(0))


def next_of(space: Space, rules: Rules) -> datetime:
    """When the Space is next due, of whatever it is. Pure."""
    return min(lapses_at(space, rules), ends_at(space, rules) or NEVER, notice_at(space, rules) or NEVER)


class Deadlines:
    """`next_at`: before it nothing is due of the rows. One at a time sees to what is."""

    def __init__(self) -> None:
        self.next_at = NEVER
        self.turn = asyncio.Lock()
        self.moves = 0

    def bring_forward(self, at: datetime) -> None:
        """Something is due no later than `at`."""
        self.next_at = min(self.next_at, at)
        self.moves += 1
