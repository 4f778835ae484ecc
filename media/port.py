"""A UDP socket that is read when the room wants it, not when a packet comes.

Waking up for each packet costs ten times what the packet does. So once a session is connected its socket is
left alone until the ticker drains it, every datagram in one system call, each with the time at which the
kernel took it. Until then, and where that is not to be had, it is read at once like any other.
"""

import asyncio
import ctypes
import logging
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from struct import Struct
from typing import Any

log = logging.getLogger(__name__)

MAX_DATAGRAM_BYTES = 2048
# One system call takes so many; a flood is left to the kernel, which drops what does not fit its buffer.
_DATAGRAMS_A_CALL = 64
_CALLS_A_DRAIN = 16

# struct mmsghdr of Linux on 64-bit machines: name, its length, vector, its length, control, its length,
# flags, and how many bytes came.
_MESSAGE = Struct("@PI4xPNPNi4xI4x")
_VECTOR = Struct("@PN")
_CONTROL_BYTES = 32
_TIMESTAMP = Struct("@NiiqQ")  # cmsghdr and timespec
_NAME_BYTES = 28
_PORT = Struct(">H")

Datagram = Callable[[bytes, tuple[Any, ...]], None]
Rtp = Callable[[bytes, int], None]


def is_rtp(data: bytes) -> bool:
    """Whether it is RTP: 128 to 191 by RFC 7983, without RTCP's types 64 to 95 of RFC 5761."""
    return len(data) > 12 and 127 < data[0] < 192 and not 64 <= data[1] & 0x7F < 96


class _Batch:
    """Memory for one system call's datagrams, the same for every port of a process."""

    def __init__(self) -> None:
        """Raises OSError where the kernel's structures are not those that are known here."""
        if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8 or _MESSAGE.size != 64:
            raise OSError("expected 64-bit Linux")
        # Does not wait, so the lock of the interpreter need not be given up.
        self._receive = ctypes.PyDLL(None).recvmmsg
        self._receive.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
        self._bodies = bytearray(_DATAGRAMS_A_CALL * MAX_DATAGRAM_BYTES)
        self._names = bytearray(_DATAGRAMS_A_CALL * _NAME_BYTES)
        self._controls = bytearray(_DATAGRAMS_A_CALL * _CONTROL_BYTES)
        self._vectors = bytearray(_DATAGRAMS_A_CALL * _VECTOR.size)
        self._messages = bytearray(_DATAGRAMS_A_CALL * _MESSAGE.size)
        bodies, names, controls, vectors = map(
            _address, (self._bodies, self._names, self._controls, self._vectors)
        )
        for number in range(_DATAGRAMS_A_CALL):
            body = bodies + number * MAX_DATAGRAM_BYTES
            _VECTOR.pack_into(self._vectors, number * _VECTOR.size, body, MAX_DATAGRAM_BYTES)
            name, vector = names + number * _NAME_BYTES, vectors + number * _VECTOR.size
            parts = (name, _NAME_BYTES, vector, 1, controls + number * _CONTROL_BYTES, _CONTROL_BYTES, 0, 0)
            _MESSAGE.pack_into(self._messages, number * _MESSAGE.size, *parts)
        self._fresh = bytes(self._messages)
        self._pointer = _address(self._messages)
        # How many bytes came, seen without unpacking the rest.
        self._lengths = memoryview(self._messages).cast("I")[14::16]

    def receive(self, descriptor: int) -> int:
        """How many datagrams came; none when the socket has none, or an error to tell."""
        self._messages[:] = self._fresh
        count: int = self._receive(descriptor, self._pointer, _DATAGRAMS_A_CALL, socket.MSG_DONTWAIT, None)
        return max(0, count)

    def body(self, number: int) -> bytes:
        start = number * MAX_DATAGRAM_BYTES
        return bytes(self._bodies[start : start + self._lengths[number]])

    def at_ns(self, number: int) -> int:
        """When the kernel took it, on the wall clock; 0 when it does not say."""
        _, level, kind, seconds, nanoseconds = _TIMESTAMP.unpack_from(self._controls, number * _CONTROL_BYTES)
        return seconds * 1_000_000_000 + nanoseconds if (level, kind) == _STAMPED else 0

    def sender(self, number: int) -> tuple[str, int]:
        start = number * _NAME_BYTES
        name = self._names[start : start + _NAME_BYTES]
        family = int.from_bytes(name[:2], sys.byteorder)
        host = name[4:8] if family == socket.AF_INET else name[8:24]
        return socket.inet_ntop(family, bytes(host)), _PORT.unpack_from(name, 2)[0]


def _address(buffer: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


_SO_TIMESTAMPNS = 35
_STAMPED = (socket.SOL_SOCKET, _SO_TIMESTAMPNS)
_batch: _Batch | None = None


def _shared_batch() -> _Batch:
    global _batch  # noqa: PLW0603 - 140 kB that every port can share
    _batch = _batch or _Batch()
    return _batch


class Ports:
    """The ports of a room that wait to be drained; one system call says which of them have something."""

    def __init__(self) -> None:
        self._ports: dict[int, Port] = {}
        self._ready: Any = None

    def add(self, port: "Port", descriptor: int) -> None:
        if self._ready is None:
            self._ready = select.epoll()
        self._ports[descriptor] = port
        self._ready.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int) -> None:
        if self._ports.pop(descriptor, None) is not None:
            self._ready.unregister(descriptor)
        if not self._ports and self._ready is not None:
            self._ready.close()
            self._ready = None

    def drain(self) -> None:
        """Hand on everything that has come."""
        if self._ready is None:
            return
        for descriptor, _ in self._ready.poll(0):
            port = self._ports.get(descriptor)  # closed meanwhile by what another one brought
            if port is not None:
                port.drain()


class Port(asyncio.DatagramTransport):
    """A transport for one of aioice's protocols, over a duplicate of the socket that it has bound."""

    def __init__(
        self, descriptor: int, *, protocol: asyncio.DatagramProtocol, monotonic_ns: Callable[[], int]
    ) -> None:
        """Takes the descriptor over. Raises OSError where datagrams cannot be read in batches."""
        super().__init__()
        self._batch = _shared_batch()
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._monotonic_ns = monotonic_ns
        self._waiting_in: Ports | None = None
        self._closed = False
        self.on_rtp: Rtp | None = None
        self._loop.add_reader(descriptor, self.drain)

    def wait_in(self, ports: Ports) -> None:
        """Do not wake up for packets from here on; somebody drains these ports soon, and again and again."""
        if self._waiting_in is None and not self._closed:
            self._waiting_in = ports
            self._loop.remove_reader(self._descriptor)
            ports.add(self, self._descriptor)

    def drain(self) -> None:
        """Hand on everything that has come."""
        for _ in range(_CALLS_A_DRAIN):
            # While it hands on, the session may be closed.
            count = 0 if self._closed else self._batch.receive(self._descriptor)
            if count:
                self._hand_on(count)
            if count < _DATAGRAMS_A_CALL:
                return

    def _hand_on(self, count: int) -> None:
        now_ns = self._monotonic_ns()
        # The difference of two clocks, so that one of them can be told from the other.
        behind_ns = time.clock_gettime_ns(time.CLOCK_REALTIME) - now_ns
        batch, on_rtp = self._batch, self.on_rtp
        # All are taken out first: who is called may drain another port, into the same memory.
        others: list[tuple[bytes, tuple[str, int]]] = []
        packets: list[tuple[bytes, int]] = []
        for number in range(count):
            data = batch.body(number)
            if on_rtp is not None and is_rtp(data):
                taken_ns = batch.at_ns(number)
                packets.append((data, min(taken_ns - behind_ns, now_ns) if taken_ns else now_ns))
            else:
                others.append((data, batch.sender(number)))
        if on_rtp is not None:
            for data, at_ns in packets:
                on_rtp(data, at_ns)
        for data, sender in others:
            self._protocol.datagram_received(data, sender)

    def sendto(self, data: Any, addr: Any = None) -> None:
        if self._closed:
            return
        try:
            self._socket.sendto(data, addr)
        except (BlockingIOError, InterruptedError):
            log.debug("a datagram was dropped: the socket's buffer is full")
        except OSError as error:
            self._protocol.error_received(error)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self._closed:
            return default
        if name == "sockname":
            return self._socket.getsockname()
        return self._socket if name == "socket" else default

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        if self._closed:
            return
        if self._waiting_in is not None:
            self._waiting_in.remove(self._descriptor)
        else:
            self._loop.remove_reader(self._descriptor)
        self._closed = True
        self.on_rtp = None
        self._socket.close()
        self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()


def take_over(protocol: Any, *, monotonic_ns: Callable[[], int]) -> None:
    """Give an aioice protocol that has bound a socket a `Port` on it, if it can have one."""
    transport = protocol.transport
    bound = transport.get_extra_info("socket")
    if isinstance(transport, Port) or bound is None or bound.type != socket.SOCK_DGRAM:
        return  # a relay's
    descriptor = os.dup(bound.fileno())
    try:
        port = Port(descriptor, protocol=protocol, monotonic_ns=monotonic_ns)
    except (OSError, AttributeError) as error:
        os.close(descriptor)
        log.warning("packets are read one by one: %s", error)
        return
    # Closes its own descriptor and tells nobody; the socket lives on in ours.
    transport.set_protocol(asyncio.DatagramProtocol())
    transport.close()
    protocol.transport = port
