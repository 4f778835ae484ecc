"""A socket that waits to be read loses nothing, and says when each packet came."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import pytest

from media import port as ports
from media.port import Port, Ports, take_over

RTP = b"\x80\x6f" + b"r" * 40
RTCP = b"\x80\xc9" + b"c" * 40


class Receiver(asyncio.DatagramProtocol):
    """In the place of aioice's protocol."""

    transport: asyncio.BaseTransport

    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, tuple[object, ...]]] = []
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:
        self.datagrams.append((data, addr))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


class Line:
    """A socket that sends, and a port that receives."""

    def __init__(self, receiver: Receiver, family: socket.AddressFamily) -> None:
        assert isinstance(receiver.transport, Port)
        self.receiver, self.port = receiver, receiver.transport
        self.address = self.port.get_extra_info("sockname")[:2]
        self.sender = socket.socket(family, socket.SOCK_DGRAM)
        self.packets: list[tuple[bytes, int]] = []
        self.port.on_rtp = lambda data, at_ns: self.packets.append((data, at_ns))

    def send(self, *datagrams: bytes) -> None:
        for data in datagrams:
            self.sender.sendto(data, self.address)


@pytest.fixture(params=["127.0.0.1", "::1"])
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    loop = asyncio.get_running_loop()
    try:
        _, receiver = await loop.create_datagram_endpoint(Receiver, local_addr=(request.param, 0))
    except OSError:
        pytest.skip("no IPv6 here")
    take_over(receiver, monotonic_ns=time.monotonic_ns)
    line = Line(receiver, socket.AF_INET6 if ":" in request.param else socket.AF_INET)
    yield line
    line.sender.close()
    line.port.close()
    line.port.close()
    await receiver.lost.wait()


async def until(packets: list[tuple[bytes, int]], count: int) -> None:
    async with asyncio.timeout(10):
        while len(packets) < count:
            await asyncio.sleep(0.005)


async def test_a_port_is_read_at_once_until_it_is_told_to_wait(line: Line) -> None:
    waiting = Ports()
    line.send(RTP)
    await until(line.packets, 1)
    line.port.wait_in(waiting)
    sent_ns = time.monotonic_ns()
    line.send(RTP, RTCP, b"", RTP)
    after_ns = time.monotonic_ns()
    await asyncio.sleep(0.03)
    assert len(line.packets) == 1
    waiting.drain()
    assert [data for data, _ in line.packets[1:]] == [RTP, RTP]
    assert all(sent_ns - 1_000_000 <= at_ns <= after_ns + 1_000_000 for _, at_ns in line.packets[1:])
    assert [data for data, _ in line.receiver.datagrams] == [RTCP, b""]
    assert {addr[:2] for _, addr in line.receiver.datagrams} == {
        (line.address[0], line.sender.getsockname()[1])
    }


async def test_more_than_one_system_call_takes_is_taken_in_order(line: Line) -> None:
    waiting = Ports()
    line.port.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    line.port.wait_in(waiting)
    sent = [RTP + number.to_bytes(2, "big") for number in range(200)]
    line.send(*sent)
    waiting.drain()
    assert [data for data, _ in line.packets] == sent
    waiting.drain()
    assert len(line.packets) == len(sent)


async def test_a_port_that_is_closed_by_what_it_brings_is_read_no_further(line: Line) -> None:
    waiting = Ports()
    line.port.wait_in(waiting)
    line.port.on_rtp = None
    line.receiver.datagram_received = lambda *_: line.port.close()  # type: ignore[method-assign]
    line.send(*[RTCP] * 70)
    waiting.drain()
    waiting.drain()
    assert line.port.is_closing()
    line.port.sendto(b"nobody hears this", line.address)
    assert line.port.get_extra_info("sockname") is None


async def test_where_datagrams_cannot_be_read_in_batches_the_stack_keeps_its_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise OSError("another system")

    monkeypatch.setattr(ports, "_shared_batch", refuse)
    loop = asyncio.get_running_loop()
    transport, receiver = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    take_over(receiver, monotonic_ns=time.monotonic_ns)
    assert receiver.transport is transport
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(RTP, transport.get_extra_info("sockname"))
        async with asyncio.timeout(10):
            while not receiver.datagrams:
                await asyncio.sleep(0.005)
    transport.close()
    await receiver.lost.wait()
