"""One publisher in a room: the sound of a session, muting, and whether somebody speaks."""

from collections.abc import Callable
from functools import partial
from itertools import count

from media.jitter import JitterBuffer, JitterConfig
from media.opus import Pcm, new_decoder
from media.voice import PcmQueue, SpeakingDetector, Voice

_numbers = count(1)


class Publisher:
    """A `PacketSink` that becomes a voice. Muted, it takes nothing and falls silent at once."""

    def __init__(
        self,
        *,
        participant_id: str,
        muted: bool,
        on_first_packet: Callable[[], None],
        on_play: Callable[["Publisher", bytes, int], None] | None = None,
        jitter: JitterConfig | None = None,
    ) -> None:
        self.participant_id = participant_id
        self.number = next(_numbers)
        self._on_play = partial(on_play, self) if on_play is not None else None
        self._jitter = jitter or JitterConfig()
        self.connected = False
        self.detector = SpeakingDetector()
        self.speaking_since_ms: int | None = None
        self._leaving = False
        self._muted = muted
        self._on_first_packet = on_first_packet
        self._source: Voice | PcmQueue | None = None

    @property
    def muted(self) -> bool:
        return self._muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._muted = muted
        if muted:  # what waits in the buffer was said before, but would be heard after
            self._source = None

    def delay_by(self, config: JitterConfig) -> None:
        """Change the delays from here on; what waits is heard, a little faster or slower."""
        self._jitter = config
        if isinstance(self._source, Voice):
            self._source.jitter.config = config

    @property
    def leaving(self) -> bool:
        """Whether nothing more will come; what has come is still played."""
        return self._leaving

    def leave(self) -> None:
        """The session is gone."""
        self.connected = False
        self._leaving = True
        if isinstance(self._source, PcmQueue):
            self._source.end()

    def on_packet(self, payload: bytes, *, sequence: int, timestamp: int, ssrc: int, at_ns: int = 0) -> None:
        if self._muted or self._leaving:
            return
        if not isinstance(self._source, Voice):
            jitter = JitterBuffer(config=self._jitter)
            self._source = Voice(decoder=new_decoder(), jitter=jitter, on_play=self._on_play)
            self._on_first_packet()
        self._source.push(payload, sequence=sequence, timestamp=timestamp, ssrc=ssrc, at_ns=at_ns)

    def on_pcm(self, pcm: Pcm) -> None:
        if self._muted or self._leaving:
            return
        if not isinstance(self._source, PcmQueue):
            self._source = PcmQueue()
            self._on_first_packet()
        self._source.push(pcm)

    def pull(self, tick_ns: int = 0, *, ticks: int = 1) -> Pcm | None:
        """So many times 20 ms, the first at `tick_ns`; `None` when nothing is to be heard."""
        return self._source.pull(tick_ns, ticks=ticks) if self._source is not None else None

    @property
    def packets(self) -> tuple[int, int]:
        """How many have come, and how many of them were too late or too many to be heard."""
        if not isinstance(self._source, Voice):
            return 0, 0
        counted = self._source.jitter.counters
        return counted.received, counted.late + counted.overflowed

    @property
    def drained(self) -> bool:
        """Whether all that was received has been heard."""
        return self._source is None or self._source.drained
