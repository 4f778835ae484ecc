"""One publisher's sound: packets in as they come, 20 ms of PCM out at every tick."""

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from media.jitter import JitterBuffer, Step, StepKind
from media.opus import Decoder, Pcm

TICK_SAMPLES = 960
FADE_SAMPLES = 240
TICK_NS = 20_000_000
# So many ticks are made at once where nobody listens in real time.
MAX_TICKS = 8
# What was decoded elsewhere is there when it is decoded, so one such block must be.
START_DELAY_SAMPLES = (MAX_TICKS + 1) * TICK_SAMPLES
MAX_QUEUED_SAMPLES = 20 * TICK_SAMPLES
# Far more than come between two blocks of ticks.
MAX_ARRIVED = 2048

SPEAKING_RMS = 0.0056  # -45 dBFS
QUIET_RMS = 0.0032  # -50 dBFS
SPEAKING_AFTER_TICKS = 2
QUIET_AFTER_TICKS = 15  # 300 ms
_SPEAKING_ENERGY, _QUIET_ENERGY = (rms * rms * TICK_SAMPLES for rms in (SPEAKING_RMS, QUIET_RMS))


# For cutting: compared at 8 kHz, over the length of the cross-fade; at least 2 ms are cut.
_COARSE = 6
_ALIKE = FADE_SAMPLES // _COARSE
_LEAST_CUT = 16
_QUIET = 1e-9
_FADE = np.linspace(0.0, 1.0, FADE_SAMPLES, dtype=np.float32)


class Voice:
    """Decodes what the jitter buffer lets through. `pull` is `None` while nothing is to be heard."""

    def __init__(
        self,
        *,
        decoder: Decoder,
        jitter: JitterBuffer | None = None,
        on_play: Callable[[bytes, int], None] | None = None,
    ) -> None:
        """`on_play` hears of each packet when it is played, in order, and at which sample of this tick."""
        self._on_play = on_play
        self.jitter = jitter or JitterBuffer()
        self.decoder = decoder
        self._rest: Pcm = np.zeros(0, np.float32)
        self._arrived: deque[tuple[int, bytes, int, int, int]] = deque()

    def push(self, payload: bytes, *, sequence: int, timestamp: int, ssrc: int, at_ns: int = 0) -> None:
        """Take one RTP payload, which came at `at_ns`: before the first tick from then on it is there."""
        if len(self._arrived) >= MAX_ARRIVED:
            self._arrived.popleft()
            self.jitter.counters.overflowed += 1
        self._arrived.append((at_ns, payload, sequence, timestamp, ssrc))

    @property
    def drained(self) -> bool:
        """Whether all that was received has been heard."""
        return not len(self._rest) and not self._arrived and self.jitter.pending_samples == 0

    def pull(self, tick_ns: int = 0, *, ticks: int = 1) -> Pcm | None:
        """The next 960 samples of each tick at unity level, the first tick being at `tick_ns`.

        However many ticks are made at once, each sees only what had come by then.
        """
        parts = [self._rest] if len(self._rest) else []
        have, heard = len(self._rest), len(self._rest) > 0
        for tick in range(ticks):
            begun = tick * TICK_SAMPLES
            self.jitter.backlog_samples = have - begun
            self._let_in(tick_ns + tick * TICK_NS)
            while have < begun + TICK_SAMPLES:
                step = self.jitter.next(begun + TICK_SAMPLES - have)
                heard = heard or step.kind is not StepKind.SILENCE
                if step.kind is StepKind.PLAY and self._on_play is not None:
                    self._on_play(step.payload, have)
                part = self._perform(step)
                have += len(part)
                parts.append(part)
        if not heard:
            return None
        pcm = parts[0] if len(parts) == 1 else np.concatenate(parts)
        wanted = ticks * TICK_SAMPLES
        self._rest = pcm[wanted:]
        return pcm[:wanted]

    def _let_in(self, until_ns: int) -> None:
        arrived = self._arrived
        while arrived and arrived[0][0] <= until_ns:
            _, payload, sequence, timestamp, ssrc = arrived.popleft()
            self.jitter.push(payload, sequence=sequence, timestamp=timestamp, ssrc=ssrc)

    def _perform(self, step: Step) -> Pcm:
        match step.kind:
            case StepKind.PLAY:
                pcm = self.decoder.decode(step.payload)
                if len(pcm) != step.samples:
                    pcm = _fit(pcm, step)
                return self._shorten(pcm, most=step.shrink) if step.shrink else pcm
            case StepKind.RECOVER:
                return self.decoder.recover(step.payload, step.samples)
            case StepKind.CONCEAL:
                return self.decoder.conceal(step.samples)
            case StepKind.SILENCE:
                return np.zeros(step.samples, np.float32)

    def _shorten(self, pcm: Pcm, *, most: int) -> Pcm:
        shorter = shortened(pcm, most=most)
        if len(shorter) < len(pcm):
            self.jitter.shrunk(len(pcm) - len(shorter))
        return shorter


def _fit(pcm: Pcm, step: Step) -> Pcm:
    """Cut what is late from the front."""
    pcm = pcm[step.skip :]
    if len(pcm) >= step.samples:
        return pcm[: step.samples]
    return np.concatenate([pcm, np.zeros(step.samples - len(pcm), np.float32)])


def shortened(pcm: Pcm, *, most: int) -> Pcm:
    """Up to `most` samples less, cut where the sound repeats itself, so that a voice loses whole periods.

    Compares at 8 kHz, of every stretch with every later one, and joins the two most alike by a cross-fade.
    """
    whole = len(pcm) // _COARSE
    coarse = pcm[: whole * _COARSE].reshape(whole, _COARSE).mean(axis=1)
    if whole < 2 * _ALIKE:
        return pcm
    energy = _running_sum(coarse * coarse)
    best, step, at = math.inf, 0, 0
    for candidate in range(min(most // _COARSE, whole - _ALIKE), _LEAST_CUT - 1, -1):
        apart = _running_sum(np.square(coarse[candidate:] - coarse[:-candidate]))
        unlike = apart / (energy[:-candidate] + energy[candidate:] + _QUIET)
        place = int(np.argmin(unlike))
        if unlike[place] < best:
            best, step, at = float(unlike[place]), candidate, place
    at, step = at * _COARSE, step * _COARSE
    old, new = pcm[at : at + FADE_SAMPLES], pcm[at + step : at + step + FADE_SAMPLES]
    return np.concatenate([pcm[:at], old + (new - old) * _FADE, pcm[at + step + FADE_SAMPLES :]])


def _running_sum(values: Pcm) -> Pcm:
    """Of each `_ALIKE` values in a row."""
    total = np.concatenate([np.zeros(1, np.float32), np.cumsum(values)])
    sums: Pcm = total[_ALIKE:] - total[:-_ALIKE]
    return sums


class PcmQueue:
    """Sound that somebody else decoded: begins 180 ms behind, and again so after it ran dry."""

    def __init__(self) -> None:
        self._waiting: Pcm = np.zeros(0, np.float32)
        self._filling = True

    def push(self, pcm: Pcm) -> None:
        """Take more; beyond 400 ms the oldest is dropped."""
        self._waiting = np.concatenate([self._waiting, pcm])[-MAX_QUEUED_SAMPLES:]
        if len(self._waiting) >= START_DELAY_SAMPLES:
            self._filling = False

    def end(self) -> None:
        """Nothing more will come: let out what waits."""
        self._filling = False

    def pull(self, tick_ns: int = 0, *, ticks: int = 1) -> Pcm | None:  # noqa: ARG002 - it knows no times
        """The next 960 samples of each tick, `None` when they are not there."""
        wanted = ticks * TICK_SAMPLES
        if self._filling or len(self._waiting) < TICK_SAMPLES:
            self._filling = True
            return None
        pcm, self._waiting = self._waiting[:wanted], self._waiting[wanted:]
        return pcm if len(pcm) == wanted else np.concatenate([pcm, np.zeros(wanted - len(pcm), np.float32)])

    @property
    def drained(self) -> bool:
        return len(self._waiting) < TICK_SAMPLES


class SpeakingDetector:
    """Says when someone begins and stops to speak: by level, with hysteresis and a hang-over."""

    def __init__(self) -> None:
        self.speaking = False
        # Of the last block: each tick's sum of squares, and the tick that changed `speaking`.
        self.energies: list[float] = []
        self.changed_at_tick = 0
        self._run = 0

    def update(self, pcm: Pcm | None, *, ticks: int = 1) -> bool:
        """Take one tick, or several; True when `speaking` is another than before."""
        before = self.speaking
        self.energies = [0.0] * ticks if pcm is None else _energies(pcm)
        for tick, energy in enumerate(self.energies):
            self._take(energy, tick=tick)
        return self.speaking is not before

    def _take(self, energy: float, *, tick: int) -> None:
        against = energy < _QUIET_ENERGY if self.speaking else energy > _SPEAKING_ENERGY
        self._run = self._run + 1 if against else 0
        if self._run >= (QUIET_AFTER_TICKS if self.speaking else SPEAKING_AFTER_TICKS):
            self.speaking = not self.speaking
            self.changed_at_tick = tick
            self._run = 0


def _energies(pcm: Pcm) -> list[float]:
    if len(pcm) == TICK_SAMPLES:
        return [float(pcm.dot(pcm))]
    blocks = pcm.reshape(-1, TICK_SAMPLES)
    energies: list[float] = np.einsum("ij,ij->i", blocks, blocks).tolist()
    return energies
