"""Where a session's packets leave the WebRTC stack: one interface, two ways.

`SocketTap` takes them off the socket, before aiortc's queue, task, jitter buffer and decoder thread
(a third of the CPU a speaker costs otherwise). There is no public API for that, so it leans on
attributes of aiortc 1.16 and aioice 0.13 that are named here and nowhere else. Where one of them is
missing, `TrackTap` does the same through `track.recv()`.
"""

import asyncio
import logging
from collections.abc import Callable
from struct import Struct
from typing import Any, Protocol

import numpy as np
import pylibsrtp
from aiortc import RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError

from media.datagrams import Onwards
from media.opus import Pcm
from media.port import Port, is_rtp

log = logging.getLogger(__name__)

_HEADER = Struct(">HII")
_EXTENSION = Struct(">HH")
_RTP_HEADER_BYTES = 12


class PacketSink(Protocol):
    """Who is given the sound."""

    def on_packet(self, payload: bytes, *, sequence: int, timestamp: int, ssrc: int, at_ns: int) -> None:
        """One Opus packet, as it came, and when."""

    def on_pcm(self, pcm: Pcm) -> None:
        """Sound that was decoded on the way, 48 kHz mono."""


class PacketTap(Protocol):
    """Feeds a sink until closed. `last_seen_ns` is when anything last came from the publisher."""

    last_seen_ns: int

    def close(self) -> None: ...


class _Reception:
    """What aiortc's receiver reports ask of a stream, RFC 3550 section 6.4.1."""

    jitter = 0

    def __init__(self, *, sequence: int) -> None:
        self.max_seq = sequence
        self._base = sequence
        self._received = 0
        self._expected_before = 0
        self._received_before = 0

    def add(self, sequence: int) -> None:
        self._received += 1
        step = ((sequence - self.max_seq + 0x8000) & 0xFFFF) - 0x8000
        self.max_seq += max(step, 0)

    @property
    def packets_lost(self) -> int:
        return max(0, min(self.max_seq - self._base + 1 - self._received, 0x7FFFFF))

    @property
    def fraction_lost(self) -> int:
        expected = self.max_seq - self._base + 1
        due = expected - self._expected_before
        lost = due - (self._received - self._received_before)
        self._expected_before, self._received_before = expected, self._received
        return 0 if due <= 0 or lost <= 0 else min(255, (lost << 8) // due)


def rtp_payload_offset(data: bytes) -> int:
    """Where the payload begins, behind CSRCs and header extension; 0 when malformed. RFC 3550 5.1."""
    offset = _RTP_HEADER_BYTES + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        if len(data) < offset + 4:
            return 0
        offset += 4 + 4 * _EXTENSION.unpack_from(data, offset)[1]
    return offset if offset <= len(data) else 0


class SocketTap:
    """Decrypts RTP where it arrives and hands everything else on to the stack."""

    def __init__(
        self,
        receiver: RTCRtpReceiver,
        *,
        sink: PacketSink,
        payload_type: int,
        monotonic_ns: Callable[[], int],
    ) -> None:
        """Raises `AttributeError` when the stack is not the one this was written for."""
        self._dtls: Any = receiver.transport
        self._receiver = receiver
        self._sink = sink
        self._payload_type = payload_type
        self._monotonic_ns = monotonic_ns
        self._streams: dict[int, Any] = receiver._RTCRtpReceiver__remote_streams  # type: ignore[attr-defined]  # no public way in
        self._routes: dict[int, Any] = self._dtls._rtp_router.ssrc_table
        self._srtp: Any = self._dtls._rx_srtp
        self._ssrc: int | None = None
        self._reception = _Reception(sequence=0)
        self._closed = False
        self.last_seen_ns = monotonic_ns()
        self.rejected = 0
        for protocol in self._dtls.transport._connection._protocols:
            self._hook(protocol)

    def close(self) -> None:
        self._closed = True

    def _hook(self, protocol: Any) -> None:
        onwards = Onwards(protocol.datagram_received)

        def datagram_received(data: bytes, address: tuple[Any, ...]) -> None:
            # A DTLS record or STUN message is longer.
            if len(data) <= _RTP_HEADER_BYTES:
                return
            if is_rtp(data):
                self._take(data, self._monotonic_ns())
            else:
                self.last_seen_ns = self._monotonic_ns()
                onwards(data, address)

        protocol.datagram_received = datagram_received
        if isinstance(protocol.transport, Port):
            protocol.transport.on_rtp = self._take

    def _take(self, protected: bytes, at_ns: int) -> None:
        self.last_seen_ns = at_ns
        if self._srtp is None:
            self._srtp = self._dtls._rx_srtp
        if self._closed or self._srtp is None:
            return
        try:
            data: bytes = self._srtp.unprotect(protected)
        except pylibsrtp.Error:
            self.rejected += 1  # forged, replayed or damaged
            return
        sequence, timestamp, ssrc = _HEADER.unpack_from(data, 2)
        offset = rtp_payload_offset(data)
        if not offset or data[1] & 0x7F != self._payload_type:
            self.rejected += 1
            return
        end = len(data) - data[-1] if data[0] & 0x20 else len(data)
        if ssrc != self._ssrc:
            self._begin(ssrc, sequence=sequence)
        self._reception.add(sequence)
        if end > offset:
            self._sink.on_packet(
                data[offset:end], sequence=sequence, timestamp=timestamp, ssrc=ssrc, at_ns=at_ns
            )

    def _begin(self, ssrc: int, *, sequence: int) -> None:
        """Let the stack report on the current stream alone; a sender may not fill its tables."""
        if self._ssrc is not None:
            self._streams.pop(self._ssrc, None)
            self._routes.pop(self._ssrc, None)
        self._ssrc = ssrc
        self._reception = _Reception(sequence=sequence)
        self._streams[ssrc] = self._reception
        self._routes[ssrc] = self._receiver


class TrackTap:
    """The plain way: aiortc receives, reorders and decodes; one task carries the frames over."""

    def __init__(
        self, receiver: RTCRtpReceiver, *, sink: PacketSink, monotonic_ns: Callable[[], int]
    ) -> None:
        self._track = receiver.track
        self._sink = sink
        self._monotonic_ns = monotonic_ns
        self.last_seen_ns = monotonic_ns()
        self._task = asyncio.create_task(self._carry(), name="track tap")
        self._task.add_done_callback(_report)

    def close(self) -> None:
        self._task.cancel()

    async def _carry(self) -> None:
        while True:
            try:
                frame: Any = await self._track.recv()
            except MediaStreamError:
                return
            self.last_seen_ns = self._monotonic_ns()
            samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
            self._sink.on_pcm(samples.mean(axis=1, dtype=np.float32) / 32768)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a track tap failed", exc_info=error)


def attach(
    receiver: RTCRtpReceiver, *, sink: PacketSink, payload_type: int, monotonic_ns: Callable[[], int]
) -> PacketTap:
    """The best tap that works with the installed stack."""
    try:
        return SocketTap(receiver, sink=sink, payload_type=payload_type, monotonic_ns=monotonic_ns)
    except AttributeError as error:
        log.warning("packets cannot be tapped, using the slower way: %s", error)
        return TrackTap(receiver, sink=sink, monotonic_ns=monotonic_ns)
