"""Writes one room's programme: every tick's sound onto an exact timeline, safely onto the disk.

The timeline begins with the first audio. While somebody is connected to publish, every tick is
written, silence included; while nobody is, nothing is, and what was missed is filled with silence as
soon as somebody comes back. A crash loses at most the open part (0.32 s) and what is on its way. While
the disk is full or refuses, it is tried again every second.
"""

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress

from media import journal
from media.disk import cause_of
from media.elapsed import Moment, Timekeeper, this_moment
from media.engine import (
    EngineEvent,
    GapCause,
    RecorderChanged,
    RecorderProgress,
    RecorderState,
    RecordingFacts,
)
from media.gaps import GapBook
from media.journal import Spoke
from media.mp4 import FRAME_SAMPLES
from media.opus import SAMPLE_RATE_HZ, Pcm
from media.playlist import frames_to_ms
from media.programme import Programme
from media.repair import Repaired
from media.store import RecordingStore
from media.tracks import Tracks
from media.voice import TICK_SAMPLES
from media.writer import DiskWriter, Hooks, InThread, Job

log = logging.getLogger(__name__)

# Ticks that were missed by less than this are silence in the stream, not a stretch of its own.
_SMALL_LAG_SAMPLES = SAMPLE_RATE_HZ
_RETRY_NS = 1_000_000_000


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
        in_thread: InThread = asyncio.to_thread,
        moment: Callable[[], Moment] | None = None,
    ) -> None:
        self._space_id = space_id
        self._recording_id = recording_id
        self._store = store
        self._emit = emit
        self._now_ms = now_ms
        self._in_thread = in_thread
        self._time = Timekeeper(moment or (lambda: this_moment(wall_ms=now_ms())))
        self._started_at_ms: int | None = None
        self._tick_ns = 0
        self._retry_ns = 0
        self._gaps = GapBook()
        self._closed = False
        hooks = Hooks(
            done=self._tell,
            refused=self._give_up,
            nearly_full=self._write_out,
            retry=self._try_again,
            failed=self._fail,
        )
        self._disk = DiskWriter(store, in_thread=in_thread, hooks=hooks)
        self._tracks = Tracks()
        self._programme = Programme(store, self._tracks, self._disk.put)
        self._told_state: RecorderState | None = None
        self.state = RecorderState.STARTING
        self.reason: str | None = None
        self._failed_by = GapCause.DISK_ERROR
        # Whether the disk failed it now or before: who listens live has had to go on from memory.
        self.has_failed = False

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
            if not is_new and not self._store.has_room:
                # Else it would write a little into the reserve, and tell a hole that ended in between.
                self._fail(os.strerror(errno.ENOSPC), cause=GapCause.DISK_FULL)
        self._disk.start(f"recorder {self._recording_id}")
        return self.facts

    def _go_on(self, repaired: Repaired, *, cause: GapCause) -> None:
        """Continue behind what is on disk; the time since then is a gap of this cause."""
        self._started_at_ms = repaired.started_at_ms or self._started_at_ms
        self._time.anchor = repaired.journal.anchor
        self._gaps = GapBook(repaired.journal)
        self.has_failed = self.has_failed or self._gaps.any_by_disk
        self._tracks = Tracks(repaired.tracks)
        self._programme = Programme(self._store, self._tracks, self._disk.put, frames=repaired.scan.frames)
        self.state, self.reason = RecorderState.STARTING, None
        self._disk.resume()
        if self._started_at_ms is not None:
            self.state = RecorderState.INTERRUPTED
            if repaired.started_at_ms is None:  # the first line of all is the one that did not fit
                self._begin(self._started_at_ms)
            self._journal(journal.restarted(at_ms=self._now_ms()))
            if self._gaps.open is None:
                self._begin_gap(cause)
        self._queue(lambda: None, state=self.state)

    @property
    def position_ms(self) -> int:
        """Where the next sound goes, in ms since the first audio."""
        return self._programme.position_ms

    def position_at(self, tick_ns: int) -> int:
        """Where the sound of a tick goes, in ms since the first audio; also while nothing is written."""
        if self._started_at_ms is None:
            return 0
        return self._expected_samples(tick_ns) * 1000 // SAMPLE_RATE_HZ

    @property
    def _reached_ms(self) -> int:
        """The position of now."""
        return self._expected_samples(self._tick_ns) * 1000 // SAMPLE_RATE_HZ if self._tick_ns else 0

    @property
    def facts(self) -> RecordingFacts:
        """What is on disk now. A gap that is still open is not among them, but for one that the disk makes."""
        return RecordingFacts(
            recording_id=self._recording_id,
            started_at_ms=self._started_at_ms,
            duration_ms=frames_to_ms(self._store.frames),
            size_bytes=self._store.size_bytes,
            gaps=self._gaps.told(self._reached_ms) if self._started_at_ms is not None else (),
        )

    # --- the timeline ---

    def tick(
        self, block: Pcm | None, *, present: bool, tick_ns: int, first_audio_ms: int | None, ticks: int = 1
    ) -> None:
        """So many times 20 ms of programme that begin at `tick_ns` on the monotonic clock.

        `present` is whether somebody is connected to publish, `first_audio_ms` the Unix time at which
        the room's first packet came.
        """
        if self._closed:
            return
        self._tick_ns = tick_ns
        if self.state is RecorderState.FAILED:
            if tick_ns >= self._retry_ns:
                self._retry_ns = tick_ns + _RETRY_NS
                self._disk.ask_again()
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
        self._put(block, tick_ns=tick_ns, samples=ticks * TICK_SAMPLES)

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
        self._time.begin(tick_ns)
        self._begin(at_ms, state=RecorderState.RECORDING)
        self._keep_clocks()
        self.state = RecorderState.RECORDING

    def _begin(self, at_ms: int, *, state: RecorderState | None = None) -> None:
        self._queue(lambda: self._store.begin(at_ms=at_ms))
        self._journal(journal.started(at_ms=at_ms), state=state)

    def _keep_clocks(self) -> None:
        self._journal(journal.clocks(self._time.mark(self.position_ms)))

    def _interrupt(self, cause: GapCause) -> None:
        self._programme.flush()
        self._begin_gap(cause, state=RecorderState.INTERRUPTED)
        self.state = RecorderState.INTERRUPTED

    def _begin_gap(self, cause: GapCause, *, state: RecorderState | None = None) -> None:
        self._gaps.begin(self.position_ms, cause)
        line = journal.gap_started(position_ms=self.position_ms, cause=cause, at_ms=self._now_ms())
        self._journal(line, state=state)

    def _resume(self, *, tick_ns: int) -> None:
        """Fill what was missed, so that every position stays the time since the first audio."""
        missed = self._expected_samples(tick_ns) - self._programme.samples
        frames = max(0, missed) // FRAME_SAMPLES
        if frames:
            self._programme.fill(frames)
        self._end_gap(self.position_ms, state=RecorderState.RECORDING)
        self._keep_clocks()
        self.state = RecorderState.RECORDING

    def _end_gap(self, position_ms: int, *, state: RecorderState | None = None) -> None:
        self._gaps.end(position_ms)
        self._journal(journal.gap_ended(position_ms=position_ms, at_ms=self._now_ms()), state=state)

    def _expected_samples(self, tick_ns: int) -> int:
        written_ms = -(-self._programme.samples * 1000 // SAMPLE_RATE_HZ)
        passed_ns = self._time.passed_ns(tick_ns, started_at_ms=self._started_at_ms, written_ms=written_ms)
        return passed_ns * (SAMPLE_RATE_HZ // 1000) // 1_000_000

    def _put(self, block: Pcm | None, *, tick_ns: int, samples: int) -> None:
        lag = self._expected_samples(tick_ns) - self._programme.samples
        if lag >= _SMALL_LAG_SAMPLES:
            self._programme.flush()
            self._programme.fill(lag // FRAME_SAMPLES)
            lag %= FRAME_SAMPLES
        if lag > 0:
            self._programme.add(None, samples=lag)
        elif lag < 0:  # rounding up to a whole frame put us ahead
            block = block[-lag:] if block is not None else None
        self._programme.add(block, samples=samples + min(lag, 0))

    # --- the end ---

    async def finish(self, *, tick_ns: int) -> RecordingFacts:
        """Flush, ENDLIST, close. Only what is not yet on disk takes time."""
        if not self._closed:
            if self.state is RecorderState.RECORDING:
                self._programme.flush()
            can_write = self.state is not RecorderState.FAILED
            if self._started_at_ms is not None and can_write:
                self._write_end(tick_ns=tick_ns)
            await self._close()
            if self._started_at_ms is not None and not (can_write and self.state is not RecorderState.FAILED):
                await self._end_failed(tick_ns=tick_ns)
        return self.facts

    async def _end_failed(self, *, tick_ns: int) -> None:
        """The hole at the end is told. Perhaps its lines still fit; a repair would find the end without them."""
        self._tick_ns = tick_ns
        lines = self._gaps.lines(self._reached_ms, at_ms=self._now_ms())
        self._gaps.end(self._reached_ms)
        lines += journal.ended(duration_ms=frames_to_ms(self._store.frames), at_ms=self._now_ms())
        with suppress(OSError):
            await self._in_thread(lambda: self._store.end_after_all(lines))

    def _write_end(self, *, tick_ns: int) -> None:
        if self._gaps.open is not None:
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
        await self._disk.close()

    # --- the disk ---

    def _journal(self, line: bytes, *, state: RecorderState | None = None) -> None:
        self._queue(lambda: self._store.append_journal(line), state=state)

    def _queue(self, do: Callable[[], None], *, frames: int = 0, state: RecorderState | None = None) -> None:
        self._disk.put(Job(do=do, frames=frames, state=state))

    def _write_out(self) -> bool:
        """At the reserve: what is in memory is still written. False when nothing is being recorded."""
        if self.state is not RecorderState.RECORDING:
            return False
        self._programme.flush()
        return True

    async def _give_up(self, error: OSError) -> None:
        """Stop for now. The line that tells since when may fit where sound does not."""
        cause = cause_of(error)
        self._fail(error.strerror or str(error), cause=cause)
        gap = self._gaps.open
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
        self._go_on(found[0], cause=self._failed_by)

    def _tell(self, jobs: Sequence[Job]) -> None:
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
        self.state, self.has_failed = RecorderState.FAILED, True
        self.reason, self._failed_by = reason, cause
        self._retry_ns = self._tick_ns + _RETRY_NS
        self._disk.stop()
        self._programme.forget()
        if self._started_at_ms is not None:
            self._gaps.cut_back(frames_to_ms(self._store.frames), cause)
        self._emit_failed()

    def _emit_failed(self) -> None:
        state, facts, reason = self.state, self.facts, self.reason
        self._emit(RecorderChanged(space_id=self._space_id, state=state, facts=facts, reason=reason))
