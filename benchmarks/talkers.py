"""People who talk, in a process of their own: WHIP endpoints in on standard input, what was sent out.

A line of JSON, `[{"url": …, "token": …}, …]`, makes them talk. Any further line makes them fall silent, and
the number of packets that they have sent is printed.
"""

import asyncio
import sys
from typing import Any

import httpx
import orjson

from benchmarks.crowd import Peer

PTIME_MS = 60
# So many handshakes at a time: each is 50 ms of CPU here and as much there.
AT_ONCE = 4


async def _talk(places: list[dict[str, str]]) -> list[Peer]:
    peers = [Peer() for _ in places]
    slots = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(timeout=60) as http:

        async def talk(number: int, place: dict[str, str]) -> None:
            headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {place['token']}"}

            async def exchange(offer: str) -> str:
                answer = await http.post(place["url"], content=offer, headers=headers)
                answer.raise_for_status()
                return answer.text

            async with slots:
                hz = 90 + 20 * (number % 10)
                await peers[number].talk(exchange, frequency_hz=hz, ptime_ms=PTIME_MS)

        async with asyncio.TaskGroup() as tasks:
            for number, place in enumerate(places):
                tasks.create_task(talk(number, place))
    return peers


async def main() -> None:
    """Talk, tell, hang up."""
    places: list[dict[str, str]] = orjson.loads(await asyncio.to_thread(sys.stdin.readline))
    peers = await _talk(places)
    _tell({"talking": len(peers)})
    await asyncio.to_thread(sys.stdin.readline)
    for peer in peers:
        peer.pause()
    await asyncio.sleep(1)
    _tell({"sent": sum([await peer.sent_packets() for peer in peers])})
    await asyncio.to_thread(sys.stdin.readline)
    for peer in peers:
        await peer.close()


def _tell(told: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(told).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
