"""systemd hears that a server is up and that it turns; of one that hangs it hears nothing, and starts another."""

import asyncio
import os
import signal
import socket
from pathlib import Path

from tests.product.process import Server

EVERY_S = 0.1


async def test_a_server_gives_signs_of_life_for_as_long_as_it_turns(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as ear:
        ear.bind(str(tmp_path / "notify"))

        async def heard() -> str:
            async with asyncio.timeout(30):
                return (await asyncio.get_running_loop().sock_recv(ear, 100)).decode()

        watchdog = str(round(EVERY_S * 2 * 1_000_000))
        server = Server(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC=watchdog)
        await server.start()
        try:
            assert await heard() == "READY=1"
            assert [await heard() for _ in range(5)] == ["WATCHDOG=1"] * 5
            os.kill(server.pid, signal.SIGSTOP)
            await asyncio.sleep(EVERY_S)
            while await _comes(ear):
                pass
            assert not await _comes(ear)
            os.kill(server.pid, signal.SIGCONT)
            assert await heard() == "WATCHDOG=1"
        finally:
            await server.stop()
        words: list[str] = []
        while not words or words[-1] != "STOPPING=1":
            words.append(await heard())


async def _comes(ear: socket.socket) -> bool:
    """Whether a sign comes within some times the pause between two."""
    try:
        async with asyncio.timeout(EVERY_S * 5):
            await asyncio.get_running_loop().sock_recv(ear, 100)
    except TimeoutError:
        return False
    return True
