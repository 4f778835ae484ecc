"""What operators are told of all processes together, whichever of them is asked."""

import os
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from api.engine import WatchedEngine
from api.link import Link, LinkLost
from media.engine import EngineError, EngineStats
from services.house import House

# What each API process counts by itself, and all are told as a sum.
COUNTED = ("executed", "answered", "told", "findings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How things stand. `pids` are those of the server's own processes but for media, by name."""

    is_up: bool
    is_draining: bool
    answering: int
    pids: dict[str, int]
    restarts: int = 0


class Overview(Protocol):
    """The server's own, or what an API process learns from it."""

    async def seen(self) -> Seen:
        """How things stand now."""

    async def media(self) -> list[tuple[str, EngineStats]]:
        """What every media process that answers tells, by its name."""

    async def counts(self) -> dict[str, Counter[str]]:
        """Everything that processes have counted since the start, those that have ended too."""


def counts_of(house: House) -> dict[str, Counter[str]]:
    """What this process has counted."""
    return {name: Counter(getattr(house, name)) for name in COUNTED}


class OwnOverview:
    """Of a server that answers by itself."""

    def __init__(self, house: House, engine: WatchedEngine) -> None:
        self._house = house
        self._engine = engine

    async def seen(self) -> Seen:
        """How things stand now."""
        return Seen(
            is_up=self._engine.is_up,
            is_draining=self._engine.is_draining,
            answering=1,
            pids={"server": os.getpid()},
        )

    async def media(self) -> list[tuple[str, EngineStats]]:
        """What every media process that answers tells, by its name."""
        told = []
        for member in self._engine.members:
            try:
                told.append((member.name, await member.engine.stats()))
            except EngineError:
                continue
        return told

    async def counts(self) -> dict[str, Counter[str]]:
        """What this process has counted."""
        return counts_of(self._house)


class AskedOverview:
    """Of an API process: it asks over its link. What it does not learn is told as not there."""

    def __init__(self, house: House, link: Link) -> None:
        self._house = house
        self._link = link

    async def seen(self) -> Seen:
        """How things stand now; down while the keeper of the rooms does not answer."""
        try:
            return Seen(**await self._link.ask(["seen"]))
        except LinkLost:
            return Seen(is_up=False, is_draining=False, answering=1, pids={})

    async def media(self) -> list[tuple[str, EngineStats]]:
        """What every media process that answers tells, by its name."""
        return [(name, EngineStats(**told)) for name, told in await self._asked("media", [])]

    async def counts(self) -> dict[str, Counter[str]]:
        """Everything that processes have counted since the start."""
        self.tell_counts()
        told = await self._asked("counts", {})
        return {name: Counter(told.get(name, {})) for name in COUNTED}

    def tell_counts(self) -> None:
        """Let the keeper know what was counted here."""
        self._link.tell(["counts", counts_of(self._house)])

    async def _asked(self, what: str, otherwise: Any) -> Any:
        try:
            return await self._link.ask([what])
        except LinkLost:
            return otherwise


def stats_on_wire(told: list[tuple[str, EngineStats]]) -> list[tuple[str, dict[str, Any]]]:
    """What `media` answers, as JSON has it."""
    return [(name, asdict(stats)) for name, stats in told]
