"""A jitter buffer for Opus over RTP (RFC 3550, RFC 7587) without clock, socket or thread.

Time is counted in samples at 48 kHz, and passes only when `next` is asked for sound: who calls it
every 20 ms for 20 ms worth of steps makes the playhead run in real time. A packet's *lead* is how
far ahead of the playhead it arrives; the buffer keeps the smallest lead of the last seconds between
two marks, by repeating (delay grows) or dropping (delay shrinks) a few milliseconds at a time. That
one rule absorbs jitter, clock drift and publishers that send faster than real time to catch up.

Promises: steps come in order; each packet is played at most once; memory is bounded by
`max_packets`; what is dropped is counted. After a burst or a stall the delay goes back, but not at
once: sound that is here is not thrown away unless more than `max_hold_ms` of it waits, and is sped up
by 3 % at most.
"""

from bisect import insort
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from media.opus import packet_samples

SAMPLES_PER_MS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class JitterConfig:
    """Delays in ms. More delay conceals less and answers later; less delay the reverse."""

    start_delay_ms: int = 60
    low_mark_ms: int = 10  # a smaller lead than this adds delay
    high_mark_ms: int = 80  # a smallest lead above this takes delay away
    max_delay_ms: int = 1000  # what comes later than this is lost
    max_hold_ms: int = 2000
    max_packets: int = 256
    conceal_ms: int = 100  # longer losses fall silent
    comfort_ms: int = 600  # a sender's own pause is filled with its comfort noise, refreshed every 400 ms
    late_reset_ms: int = 1000  # a packet this late belongs to a new timeline
    shrink_ms: int = 10  # at most dropped from one packet: a period of a low voice
    speed_up: int = 32  # one sample in so many at most, so nobody is sped up by more than 3 %
    window_ms: int = 2500


# For a room in which somebody listens in real time: half the delay, and a little more concealment.
IN_CONVERSATION = JitterConfig(start_delay_ms=30, high_mark_ms=40, max_delay_ms=400)


class StepKind(Enum):
    """What the decoder should do next."""

    PLAY = auto()
    RECOVER = auto()  # from the copy that the following packet may carry
    CONCEAL = auto()
    SILENCE = auto()


class Step(NamedTuple):
    """`samples` of output; `skip` are cut from the front of a packet.

    Up to `shrink` of them should be dropped from inside it; who does so says how many by `shrunk`.
    """

    kind: StepKind
    samples: int
    payload: bytes = b""
    skip: int = 0
    shrink: int = 0


@dataclass(slots=True)
class JitterCounters:
    """What happened so far. `lost` counts packets, `concealed_samples` sound that was made up."""

    received: int = 0
    malformed: int = 0
    duplicates: int = 0
    late: int = 0
    overflowed: int = 0
    lost: int = 0
    resets: int = 0
    concealed_samples: int = 0
    recovered_samples: int = 0
    stretched_samples: int = 0
    shrunk_samples: int = 0


class _Queued(NamedTuple):
    at: int
    sequence: int
    samples: int
    payload: bytes


class _LeadWindow:
    """Smallest and largest lead over the last one to two windows, in two buckets."""

    def __init__(self, *, length: int) -> None:
        self._length = length
        self.clear()

    def clear(self) -> None:
        self._left = self._length
        self._now: list[int] = []
        self._before: list[int] = []

    def add(self, lead: int) -> None:
        if not self._now:
            self._now = [lead, lead]
        elif lead < self._now[0]:
            self._now[0] = lead
        elif lead > self._now[1]:
            self._now[1] = lead

    def pass_time(self, samples: int) -> None:
        self._left -= samples
        if self._left <= 0:
            self._left = self._length
            self._before, self._now = self._now, []

    def shift(self, samples: int) -> None:
        self._now = [lead + samples for lead in self._now]
        self._before = [lead + samples for lead in self._before]

    @property
    def full(self) -> bool:
        return bool(self._before)

    @property
    def bounds(self) -> tuple[int, int] | None:
        leads = self._now + self._before
        return (min(leads), max(leads)) if leads else None


class JitterBuffer:
    """One publisher's stream; survives wrap-around, reordering, loss, pauses and new SSRCs."""

    def __init__(self, *, config: JitterConfig | None = None) -> None:
        self.config = config or JitterConfig()
        self.counters = JitterCounters()
        self._queue: list[_Queued] = []
        self._head = 0
        self._leads = _LeadWindow(length=self.config.window_ms * SAMPLES_PER_MS)
        self._ssrc: int | None = None
        self._last_timestamp = 0
        self._last_sequence = 0
        self._extended_timestamp = 0
        self._extended_sequence = 0
        self._offset = 0
        self._strays = 0
        self._played_sequence: int | None = None
        self._concealed_run = 0
        self._pausing = False
        self._shrink_pause = 0
        # Decoded and not yet played, told by the caller: a 60 ms packet is decoded in one step.
        self.backlog_samples = 0

    @property
    def pending_samples(self) -> int:
        """From the playhead to the end of what is queued; 0 when all was played."""
        return max(0, self._queue[-1].at + self._queue[-1].samples - self._head) if self._queue else 0

    def push(self, payload: bytes, *, sequence: int, timestamp: int, ssrc: int) -> bool:
        """Take a packet; False when it was dropped. Never raises."""
        samples = packet_samples(payload)
        if samples == 0:
            self.counters.malformed += 1
            return False
        self.counters.received += 1
        if ssrc != self._ssrc:
            self._anchor(sequence=sequence, timestamp=timestamp, ssrc=ssrc)
        at, extended = self._unwrap(sequence=sequence, timestamp=timestamp)
        if not self._plausible(at):
            self._strays += 1
            if self._strays < 2:  # one stray packet does not move the timeline, two do
                self.counters.late += 1
                return False
            self._anchor(sequence=sequence, timestamp=timestamp, ssrc=ssrc)
            at, extended = self._unwrap(sequence=sequence, timestamp=timestamp)
        self._strays = 0
        return self._insert(_Queued(at, extended, samples, payload))

    def next(self, samples: int) -> Step:
        """One step of at most about `samples` of output; a packet is never split over two steps."""
        self._adapt()
        head = self._head
        while self._queue and self._queue[0].at + self._queue[0].samples <= head:
            self._queue.pop(0)
        if self._queue and self._queue[0].at <= head:
            step = self._play()
        elif self._queue:
            step = self._bridge(self._queue[0], samples)
        else:
            step = self._conceal(samples)
        self._leads.pass_time(step.samples)
        return step

    # --- the way in ---

    def _anchor(self, *, sequence: int, timestamp: int, ssrc: int) -> None:
        """Begin a new timeline behind what is still queued, or one start delay ahead."""
        if self._ssrc is not None:
            self.counters.resets += 1
        queued_end = self._queue[-1].at + self._queue[-1].samples if self._queue else 0
        start = max(queued_end, self._head + self.config.start_delay_ms * SAMPLES_PER_MS)
        self._ssrc = ssrc
        self._last_timestamp = timestamp
        self._last_sequence = sequence
        self._extended_timestamp = 0
        # A step of its own, so that the join is heard as a pause and not as lost packets.
        self._extended_sequence += 1
        self._offset = start
        self._strays = 0
        self._leads.clear()

    def _unwrap(self, *, sequence: int, timestamp: int) -> tuple[int, int]:
        """Position and sequence number without wrap-around, RFC 3550 appendix A.1."""
        time_step = ((timestamp - self._last_timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        sequence_step = ((sequence - self._last_sequence + 0x8000) & 0xFFFF) - 0x8000
        at = self._extended_timestamp + time_step + self._offset
        extended = self._extended_sequence + sequence_step
        if time_step > 0 and sequence_step > 0 and self._plausible(at):
            self._extended_timestamp += time_step
            self._extended_sequence = extended
            self._last_timestamp = timestamp
            self._last_sequence = sequence
        return at, extended

    def _plausible(self, at: int) -> bool:
        lead = at - self._head
        config = self.config
        return -config.late_reset_ms * SAMPLES_PER_MS < lead < 2 * config.max_hold_ms * SAMPLES_PER_MS

    def _insert(self, packet: _Queued) -> bool:
        lead = packet.at - self._head
        if any(other.at == packet.at for other in reversed(self._queue)):
            self.counters.duplicates += 1
            return False
        if lead < 0:
            if self._played_sequence is not None and packet.sequence <= self._played_sequence:
                self.counters.late += 1
                return False
            lead += self._stretch(wanted=self.config.low_mark_ms * SAMPLES_PER_MS - lead)
        if lead + packet.samples <= 0:
            self.counters.late += 1
            return False
        self._leads.add(lead + self.backlog_samples)
        insort(self._queue, packet)
        self._bound()
        return True

    def _bound(self) -> None:
        limit = self._head + self.config.max_hold_ms * SAMPLES_PER_MS
        while len(self._queue) > self.config.max_packets or self._queue[-1].at > limit:
            self._queue.pop(0)
            self.counters.overflowed += 1
            if not self._queue:
                return
            skipped = self._queue[0].at - self._head
            self._move_head(skipped)
            limit += skipped

    # --- the way out ---

    def _play(self) -> Step:
        packet = self._queue.pop(0)
        self._played_sequence = packet.sequence
        self._concealed_run = 0
        # Discontinuous transmission ends in a packet without sound, RFC 6716 section 2.1.9.
        self._pausing = len(packet.payload) <= 2
        skip = self._head - packet.at
        samples = packet.samples - skip
        shrink = self._shrink_now(samples)
        self._head += samples
        return Step(StepKind.PLAY, samples, packet.payload, skip, shrink)

    def _bridge(self, packet: _Queued, samples: int) -> Step:
        """Nothing at the playhead, but something behind it: a loss or a sender's pause."""
        gap = packet.at - self._head
        missing = packet.sequence - self._played_sequence - 1 if self._played_sequence is not None else 0
        if missing <= 0:
            return self._pause(min(gap, samples), gap=gap)
        if gap <= packet.samples:
            self._played_sequence = packet.sequence - 1
            self.counters.lost += missing
            self.counters.recovered_samples += gap
            self._head += gap
            return Step(StepKind.RECOVER, gap, packet.payload)
        # The part that the copy in `packet` cannot cover; a short rest would make two steps of one.
        return self._conceal(min(samples, gap - packet.samples))

    def _pause(self, samples: int, *, gap: int) -> Step:
        """Discontinuous transmission: nothing was sent. Delay is given back here, unheard."""
        bounds = self._leads.bounds
        if self._leads.full and bounds and bounds[0] > self.config.high_mark_ms * SAMPLES_PER_MS:
            spare = bounds[0] - self.config.start_delay_ms * SAMPLES_PER_MS
            skipped = min(gap - samples, spare)
            if skipped > 0:
                self.shrunk(skipped)
                self._head += skipped
        return self._conceal(samples)

    def _conceal(self, samples: int) -> Step:
        self._head += samples
        self._concealed_run += samples
        limit_ms = self.config.comfort_ms if self._pausing else self.config.conceal_ms
        if self._played_sequence is None or self._concealed_run > limit_ms * SAMPLES_PER_MS:
            return Step(StepKind.SILENCE, samples)
        if not self._pausing:
            self.counters.concealed_samples += samples
        return Step(StepKind.CONCEAL, samples)

    # --- delay ---

    def _adapt(self) -> None:
        bounds = self._leads.bounds
        if bounds is None or not self._leads.full:
            return
        low = self.config.low_mark_ms * SAMPLES_PER_MS
        if bounds[0] < low:
            self._stretch(wanted=2 * low)

    def _stretch(self, *, wanted: int) -> int:
        """Move the playhead back, as far as the longest delay allows."""
        bounds = self._leads.bounds
        largest = bounds[1] if bounds else 0
        samples = min(wanted, self.config.max_delay_ms * SAMPLES_PER_MS - largest)
        if samples <= 0:
            return 0
        self.counters.stretched_samples += samples
        self._move_head(-samples)
        return samples

    def _shrink_now(self, available: int) -> int:
        bounds = self._leads.bounds
        shrink = self.config.shrink_ms * SAMPLES_PER_MS
        if bounds is None or available < 2 * shrink:
            return 0
        over_mark = self._leads.full and bounds[0] > self.config.high_mark_ms * SAMPLES_PER_MS
        # A burst shows at once in what is queued; waiting for the window would only add delay.
        over_limit = self.pending_samples > self.config.max_delay_ms * SAMPLES_PER_MS + available
        if not (over_mark or over_limit) or self._shrink_pause > 0:
            self._shrink_pause = max(0, self._shrink_pause - available)
            return 0
        return shrink

    def shrunk(self, samples: int) -> None:
        """So many samples were dropped, of those that a step allowed."""
        self._shrink_pause = samples * self.config.speed_up
        self.counters.shrunk_samples += samples
        self._leads.shift(-samples)

    def _move_head(self, samples: int) -> None:
        self._head += samples
        self._leads.shift(-samples)
