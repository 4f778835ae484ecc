"""A network between a publisher's packets and us, in simulated time: loss, bursts, reordering, jitter, drift."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple


class Arrival(NamedTuple):
    """When a packet comes, in ms of our clock, and which one."""

    at_ms: float
    number: int


@dataclass(frozen=True, kw_only=True)
class Network:
    """`loss` and `reordered` are parts of all packets; a reordered one is overtaken by those behind it.

    In a stall nothing comes, and then all of it at once. `ppm`: how much faster the publisher's clock runs than ours.
    """

    seed: int = 1
    loss: float = 0.0
    reordered: float = 0.0
    burst_ms: int = 0
    burst_every_ms: int = 10_000
    jitter_ms: float = 0.0
    stall_ms: float = 0.0
    stall_at_ms: float = 2000.0
    ppm: float = 0.0

    def carry(self, packets: int, *, ptime_ms: int) -> Iterator[Arrival]:
        """Which of so many packets come, in the order in which they come."""
        chance = random.Random(self.seed)
        on_the_way: list[Arrival] = []
        for number in range(packets):
            sent_ms = number * ptime_ms / (1 + self.ppm / 1e6)
            while on_the_way and on_the_way[0].at_ms < sent_ms:
                yield heappop(on_the_way)
            delay_ms = chance.uniform(0, self.jitter_ms)
            if chance.random() < self.reordered:
                delay_ms += ptime_ms + chance.uniform(0, 40)
            stalled_ms = sent_ms - self.stall_at_ms
            if 0 <= stalled_ms < self.stall_ms:
                delay_ms = max(delay_ms, self.stall_ms - stalled_ms)
            lost = chance.random() < self.loss or self._in_burst(sent_ms)
            if not lost or number == 0:
                heappush(on_the_way, Arrival(sent_ms + delay_ms, number))
        while on_the_way:
            yield heappop(on_the_way)

    def _in_burst(self, sent_ms: float) -> bool:
        since_ms = (sent_ms - self.burst_every_ms / 2) % self.burst_every_ms
        return self.burst_ms > 0 and since_ms < self.burst_ms
