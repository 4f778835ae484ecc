"""A real WHIP publisher for tests: an aiortc peer that plays a signal in real time.

The signal is mono float32 at 48 kHz. It is sent as stereo with equal channels, for a mono frame
comes out of aiortc's Opus encoder 3 dB down; so what is published has the level of the array.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 48_000
FRAME_SAMPLES = 960

Exchange = Callable[[str], Awaitable[str]]


def tone(*, frequency_hz: float, seconds: float, level: float = 0.2) -> NDArray[np.float32]:
    """A sine; `level` is its peak."""
    moments = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (level * np.sin(2 * np.pi * frequency_hz * moments)).astype(np.float32)


class SignalTrack(MediaStreamTrack):
    """Plays an array in real time, once and then silence, or over and over, until it is stopped."""

    kind = "audio"

    def __init__(self, signal: NDArray[np.float32], *, repeat: bool = False) -> None:
        super().__init__()
        self._signal = signal
        self._repeat = repeat
        self._sent_samples = 0
        self._started_s: float | None = None
        self.played = asyncio.Event()

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if self._sent_samples:
            now_s = time.monotonic()
            # The first frame goes at once; when the next is asked for, the encoder's thread has started.
            if self._started_s is None:
                self._started_s = now_s - FRAME_SAMPLES / SAMPLE_RATE_HZ
            due_s = self._started_s + self._sent_samples / SAMPLE_RATE_HZ
            await asyncio.sleep(max(0.0, due_s - now_s))
        at = self._sent_samples % len(self._signal) if self._repeat else self._sent_samples
        block = self._signal[at : at + FRAME_SAMPLES]
        if self._sent_samples >= len(self._signal):
            self.played.set()
        padded = np.zeros(FRAME_SAMPLES, np.float32)
        padded[: len(block)] = block
        samples = np.round(np.clip(padded, -1, 1) * 32767).astype(np.int16)
        frame = AudioFrame.from_ndarray(np.repeat(samples, 2).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = self._sent_samples
        frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
        self._sent_samples += FRAME_SAMPLES
        return frame


class Publisher:
    """Offers over `exchange` (an SDP offer in, the SDP answer out) and plays once connected."""

    def __init__(self, signal: NDArray[np.float32], *, repeat: bool = False) -> None:
        self.track = SignalTrack(signal, repeat=repeat)
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connected = asyncio.Event()
        self._peer.on("connectionstatechange", self._state_changed)

    async def start(self, exchange: Exchange, *, timeout_s: float = 10.0) -> None:
        """Return once the audio path is up; the first packet leaves now."""
        self._peer.addTransceiver(self.track, direction="sendonly")
        bind_loopback(self._peer)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        answer = await exchange(self._peer.localDescription.sdp)
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(timeout_s):
            await self._connected.wait()

    async def play_to_end(self) -> None:
        """Wait until the whole signal has been sent."""
        await self.track.played.wait()

    async def close(self) -> None:
        """Hang up, as a closed browser tab does."""
        self.track.stop()
        await self._peer.close()

    @property
    def state(self) -> str:
        """As `RTCPeerConnection.connectionState` has it."""
        return self._peer.connectionState

    def _state_changed(self) -> None:
        if self._peer.connectionState == "connected":
            self._connected.set()


def bind_loopback(peer: RTCPeerConnection) -> None:
    """Make aioice gather on loopback, which it would leave out."""
    connection: Any = peer.getTransceivers()[0].sender.transport.transport._connection
    gather = connection.get_component_candidates

    async def gather_on_loopback(**arguments: Any) -> Any:
        return await gather(**{**arguments, "addresses": ["127.0.0.1"]})

    connection.get_component_candidates = gather_on_loopback
