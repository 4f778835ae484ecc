"""Sound on its way into a recording's one file: encoded, cut into parts and fragments, with its waveform's peaks."""

from collections.abc import Callable

from media.encoder import AacEncoder
from media.mp4 import FRAGMENT_FRAMES, FRAME_SAMPLES, PART_FRAMES
from media.opus import SAMPLE_RATE_HZ, Pcm
from media.store import RecordingStore
from media.tracks import Tracks
from media.waveform import PeakMeter
from media.writer import Job


class Programme:
    """The open part and fragment, behind what is on disk. `put` takes what is to be written, in order."""

    def __init__(
        self, store: RecordingStore, tracks: Tracks, put: Callable[[Job], None], *, frames: int = 0
    ) -> None:
        self._store, self._tracks, self._put = store, tracks, put
        self._encoder = AacEncoder()
        self._frames: list[bytes] = []
        self._cut_frames = 0
        # Where the next sound goes, since the first audio.
        self.samples = frames * FRAME_SAMPLES
        self._meter = PeakMeter(position_samples=self.samples)

    @property
    def position_ms(self) -> int:
        """Where the next sound goes, in ms since the first audio."""
        return self.samples * 1000 // SAMPLE_RATE_HZ

    def add(self, block: Pcm | None, *, samples: int) -> None:
        """So many samples of sound; None is silence."""
        if samples <= 0:
            return
        if block is None:
            self._meter.add_silence(samples)
        else:
            self._meter.add(block)
        self.samples += samples
        wanted = PART_FRAMES - len(self._frames)
        self._frames += self._encoder.push(block, samples=samples, wanted=wanted)
        while len(self._frames) >= PART_FRAMES:
            self._cut()

    def flush(self) -> None:
        """Close the open fragment now."""
        self._frames += self._encoder.drain()
        padding = -self.samples % FRAME_SAMPLES
        self._meter.add_silence(padding)
        self.samples += padding
        while self._frames:
            self._cut()
        self._keep()

    def fill(self, frames: int) -> None:
        """Whole frames of silence, behind a fragment that is closed."""
        self._meter.add_silence(frames * FRAME_SAMPLES)
        self.samples += frames * FRAME_SAMPLES
        peaks = self._meter.take()

        def append() -> None:
            self._store.append_silence(frames)
            self._store.append_peaks(peaks)

        self._put(Job(do=append, frames=frames))

    def forget(self) -> None:
        """Drop the open part."""
        self._frames.clear()

    def _cut(self) -> None:
        """A part: who listens live can have it from now on."""
        frames = self._frames[:PART_FRAMES]
        del self._frames[:PART_FRAMES]
        self._put(Job(do=lambda: self._store.append(frames)))
        self._cut_frames += len(frames)
        if self._cut_frames >= FRAGMENT_FRAMES:
            self._keep()

    def _keep(self) -> None:
        """A fragment is complete, with all that belongs to it."""
        frames, self._cut_frames = self._cut_frames, 0
        peaks, pages = self._meter.take(), self._tracks.take()

        def keep() -> None:
            self._store.end_fragment()
            self._store.append_peaks(peaks)
            self._store.append_tracks(pages)

        self._put(Job(do=keep, frames=frames))
