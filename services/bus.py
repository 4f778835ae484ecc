"""Wake-ups inside one process. Rows are the truth: a wake-up says only that a look is worth it.

What other processes write is woken here too, by `services.wakes`.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from uuid import UUID

TIMELINE = "timeline"
# Woken when the payment provider is to be asked for something.
PAYMENTS = "payments"
# Woken when something is to be told, or to leave the house.
POST = "post"
# Woken when a webhook is to be called.
HOOKS = "hooks"
# Woken when something may become due earlier than was thought.
DEADLINES = "deadlines"


def space_topic(space_id: UUID) -> str:
    """Woken by every event of one Space."""
    return f"space:{space_id}"


def person_topic(account_id: UUID) -> str:
    """Woken when sessions of one account end."""
    return f"person:{account_id}"


def sight_topic(account_id: UUID) -> str:
    """Woken when one account may see others than before."""
    return f"sight:{account_id}"


def notice_topic(account_id: UUID) -> str:
    """Woken by every notification of one person."""
    return f"notice:{account_id}"


class Ear:
    """One listener. A wake-up that comes while nobody waits is kept, once."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Let `wait` return."""
        self._woken.set()

    async def wait(self, timeout: float | None) -> bool:  # noqa: ASYNC109 (a poll interval, not a deadline)
        """Whether it was woken within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class Bell(Ear):
    """Calls a function at every wake-up, at once."""

    def __init__(self, call: Callable[[], None]) -> None:
        # Nobody waits for it.
        self._call = call

    def wake(self) -> None:
        """Call it."""
        self._call()


class Bus:
    """Topics and who listens to them. `name` is this process's among all."""

    def __init__(self) -> None:
        self.name = token_hex(8)
        self._ears: dict[str, set[Ear]] = {}

    def wake(self, topics: Iterable[str]) -> None:
        """Wake everyone who listens to one of the topics."""
        for topic in topics:
            for ear in list(self._ears.get(topic, ())):
                ear.wake()

    def wake_all(self) -> None:
        """Wake everyone: nobody knows what was missed."""
        self.wake(list(self._ears))

    def listeners(self, topic: str) -> int:
        """How many listen to a topic now."""
        return len(self._ears.get(topic, ()))

    @contextmanager
    def listen(self, topic: str) -> Iterator[Ear]:
        """An ear for one topic, for as long as the block lasts."""
        ear = Ear()
        self.add(topic, ear)
        try:
            yield ear
        finally:
            self.remove(topic, ear)

    def add(self, topic: str, ear: Ear) -> None:
        """Let an ear hear a topic until it is removed."""
        self._ears.setdefault(topic, set()).add(ear)

    def remove(self, topic: str, ear: Ear) -> None:
        """The ear hears the topic no more."""
        ears = self._ears.get(topic, set())
        ears.discard(ear)
        if not ears:
            self._ears.pop(topic, None)
