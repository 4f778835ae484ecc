"""Writes one room's programme: every tick's sound onto an exact timeline, safely onto the disk.

The timeline begins with the first audio. While somebody is connected to publish, every tick is
written, silence included; while nobody is, nothing is, and what was missed is filled with silence as
soon as somebody comes back. A crash loses at most the open fragment (0.98 s) and what is on its way.
While the disk is full or refuses, nothing is written either; it is tried again every second.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from media import journal
from media.disk import NoRoom, cause_of
from media.elapsed import Anchor, Moment, elapsed_ms, this_moment
from media.encoder import AacEncoder
from media.engine import (
    EngineEvent,
    Gap,
    GapCause,
    RecorderChanged,
    RecorderProgress,
    RecorderState,
    RecordingFacts,
)
from media.journal import OpenGap, Spoke
from media.mp4 import FRAGMENT_FRAMES, FRAME_SAMPLES
from media.opus import SAMPLE_RATE_HZ, Pcm
from media.playlist import frames_to_ms
from media.repair import Repaired
from media.store import RecordingStore
from media.tracks import Tracks
from media.voice import TICK_SAMPLES
from media.waveform import PeakMeter

log = logging.getLogger(__name__)

# A disk that hangs for two minutes has failed; until then nothing is lost.
MAX_QUEUED_JOBS = 150
# Ticks that were missed by less than this are silence in the stream, not a stretch of its own.
_SMALL_LAG_SAMPLES = SAMPLE_RATE_HZ
_RETRY_NS = 1_000_000_000
_DISK = frozenset({GapCause.DISK_FULL, GapCause.DISK_ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """Something to do on disk, and what to tell once it is done."""

    do: Callable[[], None]
    frames: int = 0
    state: RecorderState | None = None


def _do(jobs: list[_Job]) -> None:
    for job in jobs:
        job.do()


class Recorder:
    """One recording of one room. `tick` never blocks; the disk is served by a task of its own."""

    def __init__(
        self,
        *,
        space_id: str,
        recording_id: str,
        store: RecordingStore,
        emit: Callable[[EngineEvent], None],
        now_ms: Callable[[], int],
        in_thread: Callable[[Callable[[], None]], Awaitable[None]] = asyncio.to_thread,
        moment: Callable[[], Moment] | None = None,
    ) -> None:
        self._space_id = space_id
        self._recording_id = recording_id
        self._store = store
        self._emit = emit
        self._now_ms = now_ms
        self._in_thread = in_thread
        self._moment = moment or (lambda: this_moment(wall_ms=now_ms()))
        self._encoder = AacEncoder()
        self._meter = PeakMeter()
        self._tracks = Tracks()
        self._frames: list[bytes] = []
        self._position_samples = 0
        self._origin_ns: int | None = None
        self._started_at_ms: int | None = None
        self._anchor: Anchor | None = None
        self._tick_ns = 0
        self._retry_ns = 0
        self._gaps: list[Gap] = []
        self._open_gap: OpenGap | None = None
        self._jobs: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._writer: asyncio.Task[None] | None = None
        self._told_state: RecorderState | None = None
        self.state = RecorderState.STARTING
        self.reason: str | None = None
        self._failed_by = GapCause.DISK_ERROR
        self._has_failed = False

    async def open(self) -> RecordingFacts:
        """Repair and continue what is there, and arm. Raises OSError when nothing is there and nothing can be made."""
        is_new = await asyncio.to_thread(lambda: self._store.is_new)
        try:
            repaired = await asyncio.to_thread(self._store.open)
        except OSError as error:
            if is_new:
                raise
            self._fail(error.strerror or str(error), cause=cause_of(error))
        else:
            self._go_on(repaired, cause=GapCause.RESTART)
        self._writer = asyncio.create_task(self._write(), name=f"recorder {self._recording_id}")
        self._writer.add_done_callback(self._writer_done)
        return self.facts

    def _go_on(self, repaired: Repaired, *, cause: GapCause) -> None:
        """Continue behind what is on disk; the time since then is a gap of this cause."""
        self._started_at_ms = repaired.started_at_ms or self._started_at_ms
        self._anchor = repaired.journal.anchor
        self._gaps = list(repaired.journal.gaps)
        self._open_gap = repaired.journal.open_gap
        told = [*self._gaps, self._open_gap]
        self._has_failed = self._has_failed or any(gap is not None and gap.cause in _DISK for gap in told)
        self._position_samples = repaired.scan.frames * FRAME_SAMPLES
        self._tracks = Tracks(repaired.tracks)
        self._encoder = AacEncoder()
        self._meter = PeakMeter(position_samples=self._position_samples)
        self.state = RecorderState.STARTING
        if self._started_at_ms is not None:
            self.state = RecorderState.INTERRUPTED
            if repaired.started_at_ms is None:  # the first line of all is the one that did not fit
                self._begin(self._started_at_ms)
            self._journal(journal.restarted(at_ms=self._now_ms()))
            if self._open_gap is None:
                self._begin_gap(cause)
        self._queue(lambda: None, state=self.state)

    @property
    def has_failed(self) -> bool:
        """Whether the disk failed it now or before: who listens live has had to go on from memory."""
        return self._has_failed

    @property
    def position_ms(self) -> int:
        """Where the next sound goes, in ms since the first audio."""
        return self._position_samples * 1000 // SAMPLE_RATE_HZ

    @property
    def facts(self) -> RecordingFacts:
        """What is on disk now. A gap that is still open is not among them, but for one that the disk makes."""
        gaps = list(self._gaps)
        started = self._started_at_ms is not None
        if started and self._open_gap is not None and self._open_gap.cause in _DISK:
            start_ms, cause = self._open_gap.start_ms, self._open_gap.cause
            reached_ms = (
                self._expected_samples(self._tick_ns) * 1000 // SAMPLE_RATE_HZ if self._tick_ns else 0
            )
            gaps.append(Gap(start_ms=start_ms, end_ms=max(start_ms + 1, reached_ms), cause=cause))
        return RecordingFacts(
            recording_id=self._recording_id,
            started_at_ms=self._started_at_ms,
            duration_ms=frames_to_ms(self._store.frames),
            size_bytes=self._store.size_bytes,
            gaps=tuple(gaps),
        )

    # --- the timeline ---

    def tick(self, block: Pcm | None, *, present: bool, tick_ns: int, first_audio_ms: int | None) -> None:
        """20 ms of programme that begin at `tick_ns` on the monotonic clock.

        `present` is whether somebody is connected to publish, `first_audio_ms` the Unix time at which
        the room's first packet came.
        """
        if self._closed:
            return
        self._tick_ns = tick_ns
        if self.state is RecorderState.FAILED:
            if tick_ns >= self._retry_ns:
                self._retry_ns = tick_ns + _RETRY_NS
                self._wake.set()
            return
        if self.state is RecorderState.STARTING:
            if block is None or first_audio_ms is None:
                return
            self._start(tick_ns=tick_ns, at_ms=first_audio_ms)
        elif self.state is RecorderState.INTERRUPTED:
            if not present:
                return
            self._resume(tick_ns=tick_ns)
        elif not present:
            self._interrupt(GapCause.NO_PUBLISHER)
            return
        self._put(block, tick_ns=tick_ns)

    def keep_packet(
        self, participant_id: str, session: int, payload: bytes, *, tick_ns: int, offset_samples: int
    ) -> None:
        """A packet of a speaker's session, for its track; it is heard so far into the tick at `tick_ns`."""
        if self._closed or self.state is RecorderState.FAILED:
            return
        # The first sound is where the programme begins.
        at = 0 if self.state is RecorderState.STARTING else self._expected_samples(tick_ns)
        self._tracks.add(participant_id, session, payload, at_samples=at + offset_samples)

    def end_track(self, session: int) -> None:
        """A session is over; its track is ended with the next fragment."""
        self._tracks.end(session)

    def spoke(self, stretch: Spoke) -> None:
        """Note who spoke when."""
        if self._started_at_ms is not None and not self._closed:
            self._journal(journal.spoke(stretch))

    def _start(self, *, tick_ns: int, at_ms: int) -> None:
        self._started_at_ms = at_ms
        self._origin_ns = tick_ns
        self._begin(at_ms, state=RecorderState.RECORDING)
        self._keep_clocks()
        self.state = RecorderState.RECORDING

    def _begin(self, at_ms: int, *, state: RecorderState | None = None) -> None:
        self._queue(lambda: self._store.begin(at_ms=at_ms))
        self._journal(journal.started(at_ms=at_ms), state=state)

    def _keep_clocks(self) -> None:
        self._anchor = Anchor(position_ms=self.position_ms, at=self._moment())
        self._journal(journal.clocks(self._anchor))

    def _interrupt(self, cause: GapCause) -> None:
        self._flush()
        self._begin_gap(cause, state=RecorderState.INTERRUPTED)
        self.state = RecorderState.INTERRUPTED

    def _begin_gap(self, cause: GapCause, *, state: RecorderState | None = None) -> None:
        gap = OpenGap(start_ms=self.position_ms, cause=cause)
        self._open_gap = gap
        line = journal.gap_started(position_ms=gap.start_ms, cause=cause, at_ms=self._now_ms())
        self._journal(line, state=state)

    def _resume(self, *, tick_ns: int) -> None:
        """Fill what was missed, so that every position stays the time since the first audio."""
        missed = self._expected_samples(tick_ns) - self._position_samples
        frames = max(0, missed) // FRAME_SAMPLES
        if frames:
            self._fill(frames)
        self._end_gap(self.position_ms, state=RecorderState.RECORDING)
        self._keep_clocks()
        self.state = RecorderState.RECORDING

    def _elapsed_since_start_ns(self) -> int:
        assert self._started_at_ms is not None
        return 1_000_000 * elapsed_ms(
            self._anchor,
            started_at_ms=self._started_at_ms,
            written_ms=-(-self._position_samples * 1000 // SAMPLE_RATE_HZ),
            now=self._moment(),
        )

    def _end_gap(self, position_ms: int, *, state: RecorderState | None = None) -> None:
        gap, self._open_gap = self._open_gap, None
        if gap is not None and position_ms > gap.start_ms:
            self._gaps.append(Gap(start_ms=gap.start_ms, end_ms=position_ms, cause=gap.cause))
        self._journal(journal.gap_ended(position_ms=position_ms, at_ms=self._now_ms()), state=state)

    def _expected_samples(self, tick_ns: int) -> int:
        if self._origin_ns is None:
            self._origin_ns = tick_ns - self._elapsed_since_start_ns()
        # Ticks are whole multiples of 20 ms apart, so this does not drift.
        return (tick_ns - self._origin_ns) * (SAMPLE_RATE_HZ // 1000) // 1_000_000

    def _put(self, block: Pcm | None, *, tick_ns: int) -> None:
        lag = self._expected_samples(tick_ns) - self._position_samples
        if lag >= _SMALL_LAG_SAMPLES:
            self._flush()
            self._fill(lag // FRAME_SAMPLES)
            lag %= FRAME_SAMPLES
        if lag > 0:
            self._encode(None, samples=lag)
        elif lag < 0:  # rounding up to a whole frame put us ahead
            block = block[-lag:] if block is not None else None
        self._encode(block, samples=TICK_SAMPLES + min(lag, 0))

    def _encode(self, block: Pcm | None, *, samples: int) -> None:
        if samples <= 0:
            return
        if block is None:
            self._meter.add_silence(samples)
        else:
            self._meter.add(block)
        self._position_samples += samples
        wanted = FRAGMENT_FRAMES - len(self._frames)
        self._frames += self._encoder.push(block, samples=samples, wanted=wanted)
        while len(self._frames) >= FRAGMENT_FRAMES:
            self._cut()

    def _flush(self) -> None:
        """Close the open fragment now."""
        self._frames += self._encoder.drain()
        padding = -self._position_samples % FRAME_SAMPLES
        self._meter.add_silence(padding)
        self._position_samples += padding
        while self._frames:
            self._cut()

    def _cut(self) -> None:
        frames = self._frames[:FRAGMENT_FRAMES]
        del self._frames[:FRAGMENT_FRAMES]
        peaks, pages = self._meter.take(), self._tracks.take()

        def append() -> None:
            self._store.append(frames)
            self._store.append_peaks(peaks)
            self._store.append_tracks(pages)

        self._queue(append, frames=len(frames))

    def _fill(self, frames: int) -> None:
        self._meter.add_silence(frames * FRAME_SAMPLES)
        self._position_samples += frames * FRAME_SAMPLES
        peaks = self._meter.take()

        def append() -> None:
            self._store.append_silence(frames)
            self._store.append_peaks(peaks)

        self._queue(append, frames=frames)

    # --- the end ---

    async def finish(self, *, tick_ns: int) -> RecordingFacts:
        """Flush, ENDLIST, close. Only what is not yet on disk takes time."""
        if not self._closed:
            if self.state is RecorderState.RECORDING:
                self._flush()
            if self._started_at_ms is not None and self.state is not RecorderState.FAILED:
                self._write_end(tick_ns=tick_ns)
            await self._close()
            if self.state is RecorderState.FAILED:
                await self._end_failed(tick_ns=tick_ns)
        return self.facts

    async def _end_failed(self, *, tick_ns: int) -> None:
        """The hole at the end is told. Perhaps its lines still fit; a repair would find the end without them."""
        self._tick_ns = tick_ns
        lines = b"".join(
            journal.gap_started(position_ms=gap.start_ms, cause=gap.cause, at_ms=self._now_ms())
            + journal.gap_ended(position_ms=gap.end_ms, at_ms=self._now_ms())
            for gap in self.facts.gaps[len(self._gaps) :]
        )
        lines += journal.ended(duration_ms=frames_to_ms(self._store.frames), at_ms=self._now_ms())

        def end() -> None:
            self._store.open()
            self._store.append_journal(lines)
            self._store.end()
            self._store.close()

        if self._started_at_ms is not None:
            with suppress(OSError):
                await self._in_thread(end)

    def _write_end(self, *, tick_ns: int) -> None:
        if self._open_gap is not None:
            self._end_gap(self._expected_samples(tick_ns) * 1000 // SAMPLE_RATE_HZ)
        pages = self._tracks.finish()
        self._queue(lambda: self._store.append_tracks(pages))
        self._journal(journal.ended(duration_ms=self.position_ms, at_ms=self._now_ms()))
        self._queue(self._store.end)

    async def suspend(self) -> RecordingFacts:
        """Close the open fragment; another process will go on."""
        if not self._closed:
            if self.state is RecorderState.RECORDING:
                self._interrupt(GapCause.RESTART)
            pages = self._tracks.take()
            self._queue(lambda: self._store.append_tracks(pages))
            await self._close()
        return self.facts

    async def _close(self) -> None:
        self._closed = True
        self._wake.set()
        if self._writer is not None:
            await asyncio.wait([self._writer])
        await self._in_thread(self._store.close)

    # --- the disk ---

    def _journal(self, line: bytes, *, state: RecorderState | None = None) -> None:
        self._queue(lambda: self._store.append_journal(line), state=state)

    def _queue(self, do: Callable[[], None], *, frames: int = 0, state: RecorderState | None = None) -> None:
        if self.state is RecorderState.FAILED:
            return
        if len(self._jobs) >= MAX_QUEUED_JOBS:
            self._fail("the disk is too slow: two minutes of sound wait to be written")
            return
        self._jobs.append(_Job(do=do, frames=frames, state=state))
        self._wake.set()

    async def _write(self) -> None:
        while not (self._closed and not self._jobs):
            await self._wake.wait()
            self._wake.clear()
            if self.state is RecorderState.FAILED and not self._closed:
                await self._try_again()
            while self._jobs and self.state is not RecorderState.FAILED:
                jobs = list(self._jobs)
                self._jobs.clear()
                await self._perform(jobs)

    def _writer_done(self, writer: asyncio.Task[None]) -> None:
        if writer.cancelled():
            self._fail("the recorder was stopped")
        elif (error := writer.exception()) is not None:
            log.error("recorder %s failed", self._recording_id, exc_info=error)
            self._fail("the recorder failed; see the log")

    async def _perform(self, jobs: list[_Job]) -> None:
        has_room = True

        def do_all() -> None:
            nonlocal has_room
            _do(jobs)
            has_room = self._store.has_room

        try:
            await self._in_thread(do_all)
        except OSError as error:
            await self._give_up(error)
            return
        if self.state is RecorderState.FAILED:
            return  # it took so long that it had been given up
        self._tell(jobs)
        if not has_room and self.state is RecorderState.RECORDING and not self._closed:
            await self._stop_at_reserve()

    async def _stop_at_reserve(self) -> None:
        """What is in memory is still written: the reserve is there for that."""
        self._flush()
        jobs = list(self._jobs)
        self._jobs.clear()
        error: OSError = NoRoom()
        try:
            await self._in_thread(lambda: _do(jobs))
        except OSError as worse:
            error = worse
        else:
            self._tell(jobs)
        await self._give_up(error)

    async def _give_up(self, error: OSError) -> None:
        """Stop for now. The line that tells since when may fit where sound does not."""
        cause = cause_of(error)
        self._fail(error.strerror or str(error), cause=cause)
        gap = self._open_gap
        if gap is not None and gap.cause is cause and self._started_at_ms is not None:
            line = journal.gap_started(position_ms=gap.start_ms, cause=cause, at_ms=self._now_ms())
            with suppress(OSError):
                await self._in_thread(lambda: self._store.append_journal(line))

    async def _try_again(self) -> None:
        found: list[Repaired] = []
        try:
            await self._in_thread(lambda: found.append(self._store.reopen()))
        except OSError:
            self._emit_failed()
            return
        log.warning("recording %s goes on: the disk takes more again", self._recording_id)
        self.reason = None
        self._go_on(found[0], cause=self._failed_by)

    def _tell(self, jobs: list[_Job]) -> None:
        for job in jobs:
            if job.state is not None:
                self._told_state = job.state
                self._emit(RecorderChanged(space_id=self._space_id, state=job.state, facts=self.facts))
        if self._told_state is RecorderState.RECORDING and any(job.frames for job in jobs):
            self._emit(RecorderProgress(space_id=self._space_id, facts=self.facts))

    def _fail(self, reason: str, *, cause: GapCause = GapCause.DISK_ERROR) -> None:
        """Stop for now: what waits is lost, and from the last fragment on disk there is a gap."""
        if self.state is RecorderState.FAILED:
            return
        log.error("recording %s stopped: %s", self._recording_id, reason)
        self.state, self._has_failed = RecorderState.FAILED, True
        self.reason, self._failed_by = reason, cause
        self._retry_ns = self._tick_ns + _RETRY_NS
        self._jobs.clear()
        self._frames.clear()
        if self._started_at_ms is not None:
            self._open_gap_at(frames_to_ms(self._store.frames), cause=cause)
        self._emit_failed()

    def _open_gap_at(self, written_ms: int, *, cause: GapCause) -> None:
        """A gap from the last byte on disk on; one that was ended by what is lost has not ended."""
        undone = [gap for gap in self._gaps if gap.end_ms > written_ms]
        self._gaps = [gap for gap in self._gaps if gap.end_ms <= written_ms]
        if undone:
            self._open_gap = OpenGap(start_ms=min(undone[0].start_ms, written_ms), cause=undone[0].cause)
        elif self._open_gap is None or self._open_gap.start_ms > written_ms:
            self._open_gap = OpenGap(start_ms=written_ms, cause=cause)

    def _emit_failed(self) -> None:
        failed = RecorderState.FAILED
        self._emit(
            RecorderChanged(space_id=self._space_id, state=failed, facts=self.facts, reason=self.reason)
        )
