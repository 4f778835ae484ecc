"""One live room: voices in, one programme out, to the recorder or to the window in memory."""

from collections.abc import Callable

from media.engine import EngineEvent, RecorderState, RecordingFacts, SpeakingChanged
from media.jitter import IN_CONVERSATION, JitterConfig
from media.journal import Spoke
from media.mixer import LOOKAHEAD_SAMPLES, Mixer, joined
from media.opus import Pcm
from media.port import Ports
from media.publisher import Publisher
from media.recorder import Recorder
from media.returns import Listener, ReturnMix, Spoken
from media.voice import MAX_TICKS, TICK_NS
from media.window import WindowBuffer

# Where somebody listens in real time: more would be heard as delay, less costs wake-ups.
TICKS_IN_CONVERSATION = 2
# The longest that a jitter buffer holds, and some.
MAX_DRAIN_TICKS = 150


class Room:
    """Driven by `tick`, for every 20 ms of monotonic time. Publishers come and go between ticks."""

    def __init__(
        self,
        *,
        space_id: str,
        emit: Callable[[EngineEvent], None],
        now_ms: Callable[[], int],
        recorder: Recorder | None = None,
    ) -> None:
        self.space_id = space_id
        self.window = WindowBuffer(now_ms=now_ms())
        self.publishers: list[Publisher] = []
        self.muted: set[str] = set()
        self.returns = ReturnMix()
        self.ports = Ports()
        self._emit = emit
        self._now_ms = now_ms
        self._recorder = recorder
        self._mixer = Mixer()
        self._first_audio_ms: int | None = None
        self._tick_ns = 0
        self._unwritten: list[tuple[Pcm | None, int]] = []
        self._unwritten_ticks = 0

    @property
    def recorder(self) -> Recorder | None:
        return self._recorder

    def add_publisher(self, participant_id: str) -> Publisher:
        """A publisher whose session is being set up."""
        publisher = Publisher(
            participant_id=participant_id,
            muted=participant_id in self.muted,
            on_first_packet=self._note_first_audio,
            on_play=self._keep_packet,
            jitter=self._delays,
        )
        self.publishers.append(publisher)
        return publisher

    def add_listener(self, participant_id: str) -> Listener:
        """Somebody who will hear the others in real time; the whole room answers faster from now on."""
        listener = self.returns.add(participant_id)
        self._set_delays()
        return listener

    def remove_listener(self, listener: Listener) -> None:
        """Nothing more is sent to this one."""
        self.returns.remove(listener)
        self._set_delays()

    @property
    def _delays(self) -> JitterConfig:
        return IN_CONVERSATION if self.returns.listeners else JitterConfig()

    def _set_delays(self) -> None:
        for publisher in self.publishers:
            publisher.delay_by(self._delays)

    def set_muted(self, participant_id: str, *, muted: bool) -> None:
        """From the next packet on, also of sessions to come."""
        self.ports.drain()  # what came before is judged by what held then
        (self.muted.add if muted else self.muted.discard)(participant_id)
        for publisher in self.publishers:
            if publisher.participant_id == participant_id:
                publisher.muted = muted

    @property
    def pace(self) -> int:
        """How many ticks are made at once. Where somebody listens in real time, each in its time."""
        return TICKS_IN_CONVERSATION if self.returns.listeners else MAX_TICKS

    def tick(self, tick_ns: int, *, ticks: int = 1) -> None:
        """Take so many times 20 ms from every voice, the first at `tick_ns`, and pass their sum on."""
        if ticks > 1 and self._recorder is not None and self._recorder.state is RecorderState.STARTING:
            for number in range(ticks):  # the programme begins with the tick that has the first sound
                self.tick(tick_ns + number * TICK_NS)
            return
        self._tick_ns = tick_ns
        self.ports.drain()
        present = any(publisher.connected or not publisher.drained for publisher in self.publishers)
        spoken: list[Spoken] = []
        for publisher in self.publishers:
            pcm = publisher.pull(tick_ns, ticks=ticks)
            if pcm is not None:
                spoken.append((publisher.participant_id, pcm))
            if publisher.detector.update(pcm, ticks=ticks):
                self._speaking_changed(
                    publisher, at_ns=tick_ns + publisher.detector.changed_at_tick * TICK_NS
                )
        if self.returns.listeners:
            self.returns.prepare(spoken, mixer=self._mixer, ticks=ticks)
        mixed = self._mixer.mix([pcm for _, pcm in spoken], ticks=ticks)
        if self.returns.listeners:
            self.returns.send(spoken, mixed, ticks=ticks)
        self._tick_ns += (ticks - 1) * TICK_NS
        self._collect(mixed, present=present, ticks=ticks)
        if any(publisher.leaving for publisher in self.publishers):
            self._let_go()

    def _keep_packet(self, publisher: Publisher, payload: bytes, offset_samples: int) -> None:
        """For the speaker's own track: a packet that this tick begins to play."""
        if self._recorder is not None:
            at = offset_samples + LOOKAHEAD_SAMPLES
            self._recorder.keep_packet(
                publisher.participant_id,
                publisher.number,
                payload,
                tick_ns=self._tick_ns,
                offset_samples=at,
            )

    def _collect(self, mixed: Pcm | None, *, present: bool, ticks: int) -> None:
        """Pass the programme on in long blocks: a short one costs nearly as much."""
        recorder = self._recorder
        goes_on = present and (recorder is None or recorder.state is RecorderState.RECORDING)
        if not goes_on:
            self._write_collected(until_ns=self._tick_ns - (ticks - 1) * TICK_NS)
        self._unwritten.append((mixed, ticks))
        self._unwritten_ticks += ticks
        if not goes_on or self._unwritten_ticks >= MAX_TICKS:
            self._write_collected(until_ns=self._tick_ns + TICK_NS, present=present)

    def _write_collected(self, *, until_ns: int, present: bool = True) -> None:
        """What has been mixed up to here goes to the recorder, or to the window."""
        ticks = self._unwritten_ticks
        if not ticks:
            return
        parts, self._unwritten, self._unwritten_ticks = self._unwritten, [], 0
        mixed = parts[0][0]
        if len(parts) > 1:
            mixed = joined(parts) if any(pcm is not None for pcm, _ in parts) else None
        self._write(mixed, present=present, tick_ns=until_ns - ticks * TICK_NS, ticks=ticks)

    def _write(self, mixed: Pcm | None, *, present: bool, tick_ns: int, ticks: int) -> None:
        recorder = self._recorder
        if recorder is not None:
            recorder.tick(
                mixed,
                present=present,
                tick_ns=tick_ns,
                first_audio_ms=self._first_audio_ms,
                ticks=ticks,
            )
        # Once the disk has failed, listeners go on from memory until the end: a player that has heard what
        # the file lacks cannot be led back to it.
        if (recorder is None or recorder.has_failed) and present and self._first_audio_ms is not None:
            self.window.push(mixed, ticks=ticks)

    def _let_go(self) -> None:
        gone = [publisher for publisher in self.publishers if publisher.leaving and publisher.drained]
        for publisher in gone:
            self.publishers.remove(publisher)
            if self._recorder is not None:
                self._recorder.end_track(publisher.number)
            if publisher.detector.speaking:
                publisher.detector.speaking = False
                self._speaking_changed(publisher, at_ns=self._tick_ns + TICK_NS)

    def _speaking_changed(self, publisher: Publisher, *, at_ns: int) -> None:
        speaking = publisher.detector.speaking
        position_ms = self._recorder.position_at(at_ns) if self._recorder is not None else None
        since_ms, publisher.speaking_since_ms = publisher.speaking_since_ms, position_ms
        if not speaking and self._recorder is not None and since_ms is not None and position_ms is not None:
            stretch = Spoke(participant_id=publisher.participant_id, start_ms=since_ms, end_ms=position_ms)
            self._recorder.spoke(stretch)
        self._emit(
            SpeakingChanged(
                space_id=self.space_id, participant_id=publisher.participant_id, speaking=speaking
            )
        )

    def _note_first_audio(self) -> None:
        if self._first_audio_ms is None:
            self._first_audio_ms = self._now_ms()

    def drain(self) -> None:
        """Play out what has been received, faster than real time. Everyone must be leaving."""
        for _ in range(MAX_DRAIN_TICKS):
            self._let_go()
            if not self.publishers:
                return
            self.tick(self._tick_ns + TICK_NS)

    async def stop_recording(self) -> RecordingFacts | None:
        """Finish the recording; from here on the programme lives in the window alone."""
        self._write_collected(until_ns=self._tick_ns + TICK_NS)
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return None
        self.window.clear()
        return await recorder.finish(tick_ns=self._tick_ns + TICK_NS)

    async def close(self) -> RecordingFacts | None:
        """Play out, finish the recording and forget the window."""
        self.drain()
        facts = await self.stop_recording()
        self.window.clear()
        return facts

    async def suspend(self) -> RecordingFacts | None:
        """Play out and close the open fragment; another process will go on."""
        self.drain()
        self._write_collected(until_ns=self._tick_ns + TICK_NS)
        recorder, self._recorder = self._recorder, None
        return await recorder.suspend() if recorder is not None else None
