"""People for benchmarks: aiortc peers that send ready-made packets, so that they cost little themselves."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

SAMPLE_RATE_HZ = 48_000
PHRASE_S = 4

Exchange = Callable[[str], Awaitable[str]]


@cache
def phrase(*, frequency_hz: float, ptime_ms: int) -> list[bytes]:
    """Four seconds of a voice-like sound as Opus packets: a few partials, rising and falling."""
    codec = av.AudioCodecContext.create("libopus", "w")
    codec.bit_rate, codec.sample_rate, codec.layout, codec.format = 32_000, SAMPLE_RATE_HZ, "mono", "s16"
    codec.options = {"application": "voip", "frame_duration": str(ptime_ms)}
    moments = np.arange(PHRASE_S * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    partials = sum(np.sin(2 * np.pi * frequency_hz * number * moments) / number for number in range(1, 12))
    sound = np.asarray(partials) * (0.55 + 0.45 * np.sin(2 * np.pi * 3 * moments)) * 2000
    length = ptime_ms * SAMPLE_RATE_HZ // 1000
    packets: list[bytes] = []
    for at in range(0, len(sound) - length + 1, length):
        block = sound[at : at + length].astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, at
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


class _PacketTrack(MediaStreamTrack):
    kind = "audio"

    def __init__(self, packets: list[bytes], *, ptime_ms: int) -> None:
        super().__init__()
        self._packets = packets
        self._ptime_ms = ptime_ms
        self._begun_s: float | None = None
        self._sent = 0
        self._talks = asyncio.Event()
        self._talks.set()

    def pause(self) -> None:
        self._talks.clear()

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        await self._talks.wait()
        if self._begun_s is None:
            self._begun_s = time.monotonic()
        due_s = self._begun_s + self._sent * self._ptime_ms / 1000
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        packet: Any = av.Packet(self._packets[self._sent % len(self._packets)])
        packet.pts = self._sent * self._ptime_ms * SAMPLE_RATE_HZ // 1000
        packet.time_base = Fraction(1, SAMPLE_RATE_HZ)
        self._sent += 1
        return packet


class Peer:
    """One WHIP or WHEP client on loopback."""

    def __init__(self) -> None:
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connected = asyncio.Event()
        self._track: _PacketTrack | None = None
        self._peer.on("connectionstatechange", self._changed)

    async def talk(self, exchange: Exchange, *, frequency_hz: float, ptime_ms: int) -> None:
        """Publish a phrase again and again."""
        packets = phrase(frequency_hz=frequency_hz, ptime_ms=ptime_ms)
        track = self._track = _PacketTrack(packets, ptime_ms=ptime_ms)
        self._peer.addTransceiver(track, direction="sendonly")
        await self._connect(exchange)

    async def listen(self, exchange: Exchange) -> None:
        """Receive and throw away."""
        self._peer.addTransceiver("audio", direction="recvonly")
        await self._connect(exchange)

    async def _connect(self, exchange: Exchange) -> None:
        connection: Any = self._peer.getTransceivers()[0].sender.transport.transport._connection
        gather = connection.get_component_candidates

        async def gather_on_loopback(**arguments: Any) -> Any:
            return await gather(**{**arguments, "addresses": ["127.0.0.1"]})

        connection.get_component_candidates = gather_on_loopback
        await self._peer.setLocalDescription(await self._peer.createOffer())
        answer = await exchange(self._peer.localDescription.sdp)
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(30):
            await self._connected.wait()

    def pause(self) -> None:
        """Send nothing more, and stay."""
        if self._track is not None:
            self._track.pause()

    async def sent_packets(self) -> int:
        """How many RTP packets have been sent."""
        stats = await self._peer.getSenders()[0].getStats()
        return sum(one.packetsSent for one in stats.values() if one.type == "outbound-rtp")

    async def close(self) -> None:
        """Hang up."""
        await self._peer.close()

    def _changed(self) -> None:
        if self._peer.connectionState == "connected":
            self._connected.set()
