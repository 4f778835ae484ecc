"""A person of the demo who publishes: an Ogg Opus file, packet for packet, by WHIP (RFC 9725).

The packets go out as they are in the file: nothing is encoded again, so the level is the file's.
"""

import asyncio
import socket
import time
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import av
import httpx
from aioice.ice import get_host_addresses
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

if TYPE_CHECKING:
    from av import Packet

SAMPLE_RATE_HZ = 48_000
PACKET_SAMPLES = 960
CONNECT_TIMEOUT_S = 15.0
_TIME_BASE = Fraction(1, SAMPLE_RATE_HZ)


class NoAudio(Exception):
    """Expected an audio connection, got none."""


class Cue:
    """The moment at which every voice begins. Until it is given none sends a packet."""

    def __init__(self) -> None:
        self._given = asyncio.Event()
        self._at_s = 0.0

    def give(self) -> None:
        """Now."""
        self._at_s = time.monotonic()
        self._given.set()

    async def wait(self) -> float:
        """Wait for it; when it was, on the monotonic clock."""
        await self._given.wait()
        return self._at_s

    def elapsed_s(self) -> float:
        """How long ago it was given; 0 before."""
        return time.monotonic() - self._at_s if self._given.is_set() else 0.0


def read_packets(path: Path) -> "list[Packet[Any]]":
    """An Ogg Opus file's packets, each of 20 ms, numbered from 0."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    for number, packet in enumerate(packets):
        packet.pts, packet.time_base = number * PACKET_SAMPLES, _TIME_BASE
    return packets


class VoiceTrack(MediaStreamTrack):
    """Plays packets in real time from the cue on, once."""

    kind = "audio"

    def __init__(self, packets: "list[Packet[Any]]", *, cue: Cue) -> None:
        super().__init__()
        self._packets = iter(packets)
        self._cue = cue
        self.played = asyncio.Event()

    async def recv(self) -> "Packet[Any]":
        """The next packet when it is due; after the last, nothing until the track is stopped."""
        started_s = await self._cue.wait()
        packet = next(self._packets, None)
        if packet is None:
            self.played.set()
            await asyncio.Future()
        if packet is None or packet.pts is None or self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(started_s + packet.pts / SAMPLE_RATE_HZ - time.monotonic())
        return packet


class Voice:
    """One audio connection. `lost` is set when it fails or the server ends it."""

    def __init__(self, path: Path, *, cue: Cue, http: httpx.AsyncClient) -> None:
        self.track = VoiceTrack(read_packets(path), cue=cue)
        self.lost = asyncio.Event()
        self._http = http
        self._headers: dict[str, str] = {}
        self._session_url: str | None = None
        self._connected = asyncio.Event()
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("connectionstatechange", self._state_changed)

    async def connect(self, whip_url: str, *, token: str) -> None:
        """Return once the audio path stands; nothing is sent before the cue. Raises `NoAudio`."""
        self._headers = {"Authorization": f"Bearer {token}"}
        self._peer.addTransceiver(self.track, direction="sendonly")
        loopback = await _loopback_addresses(whip_url)
        if loopback:
            self._gather_on([*get_host_addresses(use_ipv4=True, use_ipv6=True), *loopback])
        await self._peer.setLocalDescription(await self._peer.createOffer())
        answer = await self._exchange(whip_url, self._peer.localDescription.sdp)
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await self._until_connected()

    async def hang_up(self) -> None:
        """End the session and close the connection; again does nothing more."""
        url, self._session_url = self._session_url, None
        if url is not None:
            await self._http.delete(url, headers=self._headers)
        await self.close()

    async def close(self) -> None:
        """Close the connection without a word, as a closed browser tab does."""
        self.track.stop()
        await self._peer.close()

    async def _exchange(self, whip_url: str, offer: str) -> str:
        headers = {**self._headers, "Content-Type": "application/sdp"}
        try:
            response = await self._http.post(whip_url, content=offer, headers=headers)
        except httpx.TransportError as error:
            raise NoAudio(
                f"The server wants audio at {whip_url}, where nobody answers ({error}). Is its SPACES_PUBLIC_URL"
                " right?"
            ) from error
        if response.status_code != httpx.codes.CREATED:
            raise NoAudio(f"The server refused the audio: {response.status_code} {response.text.strip()}")
        self._session_url = urljoin(whip_url, response.headers["Location"])
        return response.text

    async def _until_connected(self) -> None:
        waiting = [asyncio.create_task(event.wait()) for event in (self._connected, self.lost)]
        try:
            await asyncio.wait(waiting, timeout=CONNECT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if self.lost.is_set() or not self._connected.is_set():
            raise NoAudio(
                "No audio gets through to the server (UDP). Is SPACES_ICE_ADDRESS, as the server has it, an"
                " address that can be reached from here?"
            )

    def _state_changed(self) -> None:
        if self._peer.connectionState == "connected":
            self._connected.set()
        elif self._peer.connectionState in ("failed", "closed"):
            self.lost.set()

    def _gather_on(self, addresses: list[str]) -> None:
        """Make aioice gather on these addresses; by itself it leaves out loopback."""
        connection: Any = self._peer.getTransceivers()[0].sender.transport.transport._connection
        gather = connection.get_component_candidates

        async def gather_on(**arguments: Any) -> Any:
            return await gather(**{**arguments, "addresses": addresses})

        connection.get_component_candidates = gather_on


async def _loopback_addresses(url: str) -> list[str]:
    """The loopback addresses that a URL's host has; none for a server elsewhere."""
    host = urlsplit(url).hostname
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    addresses = dict.fromkeys(str(info[4][0]) for info in found)
    return [address for address in addresses if ip_address(address.partition("%")[0]).is_loopback]
