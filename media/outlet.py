"""Where a listener's packets enter the WebRTC stack: one interface, two ways, as in `media.tap`.

`SocketOutlet` builds the RTP packet, encrypts it and hands it to the socket within the tick that made it:
no task, no queue, no history. `TrackOutlet` gives packets to aiortc's own sender, which takes them one
task switch later. Both send nothing before ICE and DTLS are done.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from fractions import Fraction
from struct import Struct
from typing import Any, Protocol

import av
import pylibsrtp
from aiortc import RTCRtpSender
from aiortc.clock import current_ntp_time
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from media.datagrams import Onwards
from media.opus import SAMPLE_RATE_HZ

log = logging.getLogger(__name__)

_HEADER = Struct(">BBHII")
_VERSION = 0x80
_MARKER = 0x80
# The sender report's clock is read once in so many packets: every half second.
_REPORT_EVERY_PACKETS = 25
MAX_QUEUED_PACKETS = 10


class PacketOutlet(Protocol):
    """Sends Opus packets. `last_seen_ns` is when anything last came from the listener."""

    @property
    def last_seen_ns(self) -> int: ...

    def send(self, payload: bytes, *, at_samples: int, first: bool) -> None:
        """A packet that begins at a position of the listener's stream; `first` of it or after a pause."""

    def close(self) -> None:
        """Send nothing more."""


class PacketTrack(MediaStreamTrack):
    """What aiortc's sender reads, which takes encoded packets too: those, or nothing at all."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets: asyncio.Queue[Any] = asyncio.Queue(MAX_QUEUED_PACKETS)

    def put(self, payload: bytes, *, at_samples: int) -> None:
        """Queue a packet; the oldest is dropped when the sender does not keep up."""
        packet: Any = av.Packet(payload)
        packet.pts = at_samples
        packet.time_base = Fraction(1, SAMPLE_RATE_HZ)
        if self._packets.full():
            self._packets.get_nowait()
        self._packets.put_nowait(packet)

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        return await self._packets.get()


class SocketOutlet:
    """RTP by hand. Leans on private attributes of aiortc 1.16 and aioice 0.13."""

    def __init__(self, sender: Any, *, payload_type: int, monotonic_ns: Callable[[], int]) -> None:
        """Raises `AttributeError` when the stack is not the one this was written for."""
        self._sender = sender
        self._dtls: Any = sender.transport
        self._srtp: Any = self._dtls._tx_srtp
        self._nominated: dict[int, Any] = self._dtls.transport._connection._nominated
        self._counted: int = self._sender._RTCRtpSender__packet_count
        self._octets: int = self._sender._RTCRtpSender__octet_count
        self._payload_type = payload_type
        self._ssrc: int = self._sender._ssrc
        # In the lower half, for a wrap-around soon after the start breaks SRTP (RFC 3711 section 3.3.1).
        self._sequence = secrets.randbelow(0x8000)
        self._origin = secrets.randbelow(0x1_0000_0000)
        self._closed = False
        self.failed = 0
        self.last_seen_ns = monotonic_ns()
        for protocol in self._dtls.transport._connection._protocols:
            _note_datagrams(protocol, lambda: setattr(self, "last_seen_ns", monotonic_ns()))

    def send(self, payload: bytes, *, at_samples: int, first: bool) -> None:
        pair = self._nominated.get(1)
        if self._srtp is None:
            self._srtp = self._dtls._tx_srtp
        if self._closed or self._srtp is None or pair is None:
            return
        socket = pair.protocol.transport
        if socket is None or socket.is_closing():
            return
        timestamp = (self._origin + at_samples) & 0xFFFFFFFF
        second = self._payload_type | (_MARKER if first else 0)
        header = _HEADER.pack(_VERSION, second, self._sequence, timestamp, self._ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        try:
            socket.sendto(self._srtp.protect(header + payload), pair.remote_addr)
        except (pylibsrtp.Error, OSError, RuntimeError):
            self.failed += 1  # one listener's broken path must not stop the room
            return
        self._report(len(payload), timestamp=timestamp)

    def _report(self, payload_bytes: int, *, timestamp: int) -> None:
        """Let aiortc's sender reports tell of these packets, RFC 3550 section 6.4.1."""
        self._octets += payload_bytes
        if self._counted % _REPORT_EVERY_PACKETS == 0:
            self._sender._RTCRtpSender__ntp_timestamp = current_ntp_time()
            self._sender._RTCRtpSender__rtp_timestamp = timestamp
        self._counted += 1
        self._sender._RTCRtpSender__packet_count = self._counted
        self._sender._RTCRtpSender__octet_count = self._octets

    def close(self) -> None:
        self._closed = True


class TrackOutlet:
    """The plain way. It hears of the listener by the stack's own checks alone."""

    def __init__(self, track: PacketTrack, *, monotonic_ns: Callable[[], int]) -> None:
        self._track = track
        self._monotonic_ns = monotonic_ns

    @property
    def last_seen_ns(self) -> int:
        return self._monotonic_ns()

    def send(self, payload: bytes, *, at_samples: int, first: bool) -> None:  # noqa: ARG002 - aiortc marks them all
        self._track.put(payload, at_samples=at_samples)

    def close(self) -> None:
        self._track.stop()


def _note_datagrams(protocol: Any, seen: Callable[[], None]) -> None:
    onwards = Onwards(protocol.datagram_received)

    def datagram_received(data: bytes, address: tuple[Any, ...]) -> None:
        seen()
        onwards(data, address)

    protocol.datagram_received = datagram_received


def open_outlet(
    sender: RTCRtpSender, *, track: PacketTrack, payload_type: int, monotonic_ns: Callable[[], int]
) -> PacketOutlet:
    """The best outlet that works with the installed stack."""
    try:
        return SocketOutlet(sender, payload_type=payload_type, monotonic_ns=monotonic_ns)
    except AttributeError as error:
        log.warning("packets cannot be sent by hand, using the slower way: %s", error)
        return TrackOutlet(track, monotonic_ns=monotonic_ns)
