"""What each listener of a room hears in real time: everyone but oneself, mixed.

Who makes no sound hears the room's own mix, which is encoded once for all of them. Who does has a mix and
an encoder of their own, until they have been quiet for half a second. Where a listener goes over from one
stream to the other, its next packet leans on none before it, so the change is not heard.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from media.mixer import Mixer
from media.opus import Pcm
from media.opus_encoder import Encoder, new_encoder
from media.voice import TICK_SAMPLES

if TYPE_CHECKING:
    from media.outlet import PacketOutlet

AUDIBLE_PEAK = 0.001  # -60 dBFS
QUIET_AFTER_TICKS = 25
# An encoder has heard enough after so many packets to go on where another one stops.
WARM_UP_TICKS = 3
# Silence is sent for 100 ms and then as one packet every 400 ms: the receiver fills in.
SILENT_AFTER_TICKS = 5
REFRESH_TICKS = 20

_SILENCE: Pcm = np.zeros(TICK_SAMPLES, np.float32)

Spoken = tuple[str, Pcm]
"""Who spoke in a tick, and what."""


class Listener:
    """One listening session in a room."""

    def __init__(self, *, participant_id: str) -> None:
        self.participant_id = participant_id
        self.connected = False
        self.outlet: PacketOutlet | None = None
        self.hears: _Stream | None = None
        self._at_samples = 0
        self._paused = True

    def take(self, payload: bytes | None) -> None:
        """Send one tick's packet, or pass its time without one."""
        if payload is not None and self.outlet is not None and self.connected:
            self.outlet.send(payload, at_samples=self._at_samples, first=self._paused)
        self._paused = payload is None
        self._at_samples += TICK_SAMPLES


def _pieces(pcm: Pcm | None, *, ticks: int) -> list[Pcm | None]:
    if pcm is None:
        return [None] * ticks
    return [pcm[at : at + TICK_SAMPLES] for at in range(0, ticks * TICK_SAMPLES, TICK_SAMPLES)]


class _Stream:
    """One mix, encoded once a tick however many hear it."""

    def __init__(self) -> None:
        self._encoder: Encoder = new_encoder()
        self._silent_ticks = 0
        self.joined = True
        self.runs = False

    def begin(self, before: Iterable[Pcm | None]) -> None:
        """Go on behind what another stream has sent: packets overlap, and a cold start would click."""
        self._silent_ticks = 0
        self.runs = True
        for pcm in before:
            self._encoder.encode(pcm if pcm is not None else _SILENCE)

    def encode_all(self, pcm: Pcm | None, *, ticks: int) -> list[bytes | None]:
        """Each tick's packet."""
        return [self.encode(piece) for piece in _pieces(pcm, ticks=ticks)]

    def encode(self, pcm: Pcm | None) -> bytes | None:
        """This tick's packet; None when nothing need be sent."""
        independent, self.joined = self.joined, False
        if pcm is not None:
            self._silent_ticks = 0
            return self._encoder.encode(pcm, independent=independent)
        self._silent_ticks += 1
        if self._silent_ticks > SILENT_AFTER_TICKS and self._silent_ticks % REFRESH_TICKS:
            self.joined = independent
            return None
        return self._encoder.encode(_SILENCE, independent=independent)


class _Own:
    """The mix without one participant."""

    def __init__(self, mixer: Mixer) -> None:
        self.stream = _Stream()
        self.mixer = mixer
        self.quiet_ticks = 0


class ReturnMix:
    """All that is sent back into one room. `prepare` before the room mixes a tick, `send` after."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self._shared = _Stream()
        self._own: dict[str, _Own] = {}
        self._mixed_before: deque[Pcm | None] = deque([None], maxlen=WARM_UP_TICKS)

    def add(self, participant_id: str) -> Listener:
        """A listener whose session is being set up."""
        listener = Listener(participant_id=participant_id)
        self.listeners.append(listener)
        return listener

    def remove(self, listener: Listener) -> None:
        """Nothing more is sent to this one."""
        if listener in self.listeners:
            self.listeners.remove(listener)
        if all(other.participant_id != listener.participant_id for other in self.listeners):
            self._own.pop(listener.participant_id, None)

    def prepare(self, spoken: Sequence[Spoken], *, mixer: Mixer, ticks: int = 1) -> None:
        """Give a mix of their own to those who now speak, beginning with what the room's holds back."""
        audible = {who for who, pcm in spoken if max(pcm.max(), -pcm.min()) > AUDIBLE_PEAK}
        for who in {listener.participant_id for listener in self.listeners}:
            own = self._own.get(who)
            if who in audible:
                if own is None:
                    own = self._own[who] = _Own(mixer.fork())
                own.quiet_ticks = 0
            elif own is not None:
                own.quiet_ticks += ticks
                if own.quiet_ticks > QUIET_AFTER_TICKS:
                    del self._own[who]

    def send(self, spoken: Sequence[Spoken], mixed: Pcm | None, *, ticks: int = 1) -> None:
        """These ticks to everyone: `mixed` is the room's mix of all that was spoken."""
        packets: dict[_Stream, list[bytes | None]] = {}
        streams = [self._stream_of(listener) for listener in self.listeners]
        self._shared.runs = self._shared in streams
        for who, own in self._own.items():
            others = [pcm for speaker, pcm in spoken if speaker != who]
            packets[own.stream] = own.stream.encode_all(own.mixer.mix(others, ticks=ticks), ticks=ticks)
        if self._shared.runs:
            packets[self._shared] = self._shared.encode_all(mixed, ticks=ticks)
        for listener, stream in zip(self.listeners, streams, strict=True):
            for packet in packets[stream]:
                listener.take(packet)
        self._mixed_before.extend(_pieces(mixed, ticks=ticks))

    def _stream_of(self, listener: Listener) -> _Stream:
        own = self._own.get(listener.participant_id)
        stream = own.stream if own is not None else self._shared
        if listener.hears is not stream:
            listener.hears = stream
            stream.joined = True
            if not stream.runs:
                stream.begin(self._mixed_before)
        return stream
