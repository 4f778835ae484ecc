"""Many voices to one programme: a sum behind a limiter.

Up to full scale the limiter is transparent to the bit, so one voice alone keeps its level. Beyond it,
the gain moves along straight lines that reach their target before the peak does (5 ms of look-ahead),
and recovers over some 200 ms: nothing is ever clipped.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from media.opus import Pcm
from media.voice import TICK_SAMPLES

LOOKAHEAD_SAMPLES = 240
CEILING = 1.0
RELEASE_PER_SUB_BLOCK = 0.025  # 5 ms of a 200 ms time constant


class Limiter:
    """Delays by 5 ms. Blocks are whole ticks of 960 samples."""

    def __init__(self) -> None:
        self._held = np.zeros(LOOKAHEAD_SAMPLES, np.float32)
        self._held_target = 1.0
        self._gain = 1.0

    def process(self, block: Pcm) -> Pcm:
        """The previous block's last 5 ms and this one but for its last 5 ms, limited."""
        delayed = np.concatenate([self._held, block[:-LOOKAHEAD_SAMPLES]])
        self._held = block[-LOOKAHEAD_SAMPLES:].copy()
        if (
            self._gain == 1.0
            and self._held_target == 1.0
            and block.max() <= CEILING
            and block.min() >= -CEILING
        ):
            return delayed
        peaks = np.abs(block).reshape(-1, LOOKAHEAD_SAMPLES).max(axis=1)
        targets = [CEILING / float(peak) if peak > CEILING else 1.0 for peak in peaks]
        return delayed * self._envelope(targets)

    def _envelope(self, targets: Sequence[float]) -> NDArray[np.float32]:
        """One ramp a sub-block, each ending at or below what its own and the next peak allow."""
        ramps = []
        current = self._held_target
        for following in targets:
            allowed = min(current, following)
            released = min(1.0, self._gain + (1.0 - self._gain) * RELEASE_PER_SUB_BLOCK + 1e-4)
            end = min(allowed, released)
            ramps.append(np.linspace(self._gain, end, LOOKAHEAD_SAMPLES, dtype=np.float32))
            self._gain = end
            current = following
        self._held_target = current
        return np.concatenate(ramps)

    def fork(self) -> "Limiter":
        """One that goes on from here by itself."""
        other = Limiter()
        other._held, other._held_target, other._gain = self._held, self._held_target, self._gain
        return other

    @property
    def idle(self) -> bool:
        """Whether only silence is held back."""
        return not self._held.any()


class Mixer:
    """Sums the voices of one room. `None` in and out stands for silence, which costs nothing."""

    def __init__(self) -> None:
        self._limiter = Limiter()

    def fork(self) -> "Mixer":
        """One that goes on from here with other voices; the first sound of both is the same."""
        other = Mixer()
        other._limiter = self._limiter.fork()
        return other

    def mix(self, voices: Sequence[Pcm], *, ticks: int = 1) -> Pcm | None:
        """So many times 20 ms of the sum; the sound comes out 5 ms after it went in."""
        if not voices:
            if self._limiter.idle:
                return None
            return self._limiter.process(np.zeros(ticks * TICK_SAMPLES, np.float32))
        if len(voices) == 1:
            return self._limiter.process(voices[0])
        total = voices[0] + voices[1]
        for voice in voices[2:]:
            total += voice
        return self._limiter.process(total)


def joined(parts: Sequence[tuple[Pcm | None, int]]) -> Pcm:
    """Blocks, each with its length in ticks, as one; None is silence."""
    return np.concatenate(
        [pcm if pcm is not None else np.zeros(ticks * TICK_SAMPLES, np.float32) for pcm, ticks in parts]
    )
