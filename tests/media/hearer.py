"""A real WHEP listener for tests: an aiortc peer that keeps what it hears, with the time of it."""

import asyncio
import time
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from tests.media.publisher import Exchange, bind_loopback
from tests.media.sound import tone_level_db


class Hearer:
    """Offers over `exchange` and listens once connected."""

    def __init__(self) -> None:
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connected = asyncio.Event()
        self._blocks: list[tuple[float, NDArray[np.float32]]] = []
        self._task: asyncio.Task[None] | None = None
        self._peer.on("connectionstatechange", self._state_changed)
        self._peer.on("track", self._hear)

    async def start(self, exchange: Exchange, *, timeout_s: float = 10.0) -> None:
        """Return once the audio path is up."""
        self._peer.addTransceiver("audio", direction="recvonly")
        bind_loopback(self._peer)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        answer = await exchange(self._peer.localDescription.sdp)
        await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(timeout_s):
            await self._connected.wait()

    def heard(self, *, last_s: float | None = None) -> NDArray[np.float32]:
        """All samples so far, or those that came within the last seconds."""
        since = time.monotonic() - last_s if last_s is not None else 0.0
        parts = [block for at, block in self._blocks if at >= since]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    async def hears(self, frequency_hz: float, *, level: float = 0.2, within_s: float = 10.0) -> bool:
        """Whether a tone is heard at its level, to 1 dB, for a third of a second; waits for it."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            sound = np.pad(self.heard(last_s=0.4), (1, 0))
            off_db = tone_level_db(sound[-14_400:], frequency_hz=frequency_hz, reference=level)
            if len(sound) > 14_400 and abs(off_db) < 1:
                return True
            await asyncio.sleep(0.05)
        return False

    def first_heard_s(self, *, level: float) -> float | None:
        """When the first block louder than `level` was handed to the player, on the monotonic clock."""
        return next((at for at, block in self._blocks if np.abs(block).max() > level), None)

    def last_heard_s(self, *, level: float) -> float | None:
        """When the last one was."""
        return next((at for at, block in reversed(self._blocks) if np.abs(block).max() > level), None)

    @property
    def state(self) -> str:
        return self._peer.connectionState

    async def close(self) -> None:
        """Hang up."""
        await self._peer.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _state_changed(self) -> None:
        if self._peer.connectionState == "connected":
            self._connected.set()

    def _hear(self, track: MediaStreamTrack) -> None:
        self._task = asyncio.create_task(self._keep(track))

    async def _keep(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
            pcm = (samples.mean(axis=1) / 32768).astype(np.float32)
            self._blocks.append((time.monotonic(), pcm))
