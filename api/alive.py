"""Signs of life for systemd: a process whose event loop stands still is ended and started again by it.

The protocol is that of sd_notify(3): datagrams to the socket that `NOTIFY_SOCKET` names. Without one nothing is said.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_US = 1_000_000


def _say(word: str) -> None:
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name:
        return
    # A leading @ stands for the abstract namespace.
    address = "\0" + name[1:] if name.startswith("@") else name
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
        out.sendto(word.encode(), address)


def _pause_s() -> float | None:
    """Half of what systemd waits for a sign; None when it does not wait, or not for this process."""
    wanted, of = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not wanted.isdecimal() or int(wanted) == 0 or of not in {"", str(os.getpid())}:
        return None
    return int(wanted) / _US / 2


async def _beat(pause_s: float) -> None:
    while True:
        _say("WATCHDOG=1")
        await asyncio.sleep(pause_s)


@asynccontextmanager
async def signs_of_life() -> AsyncIterator[None]:
    """Within it the process is up; it says so once, and again and again that its loop still turns."""
    _say("READY=1")
    pause_s = _pause_s()
    beat = asyncio.create_task(_beat(pause_s), name="signs of life") if pause_s is not None else None
    try:
        yield
    finally:
        _say("STOPPING=1")
        if beat is not None:
            beat.cancel()
