"""The files of one recording that is being written. Everything here blocks: call it in a thread."""

import os
from collections.abc import Sequence
from pathlib import Path

from media.claim import Claim, claim
from media.disk import Reserve
from media.encoder import programme_init, silent_frame
from media.journal import JOURNAL, track_begun
from media.mp4 import FRAGMENT_FRAMES, PART_FRAMES, Fragment, fragment, joined, part
from media.playlist import ENDLIST, PLAYLIST, PROGRAMME, entry, header
from media.repair import Repaired, repair_files
from media.tracks import TRACKS, Pages
from media.waveform import PEAKS

# Silence is written in pieces of about 4 minutes, some 180 kB.
_SILENT_FRAGMENTS_A_WRITE = 256


class RecordingStore:
    """Appends parts, which can be read at once; three are a fragment, which is on disk before the playlist names it.

    After an `OSError` the file is cut back to its last whole part; `reopen` repairs what else was torn.
    """

    def __init__(self, directory: str | Path, *, reserve: Reserve | None = None) -> None:
        self._folder = Path(directory)
        self._reserve = reserve or Reserve()
        self._claim: Claim | None = None
        self._programme = -1
        self._init_bytes = 0
        self._next_sequence = 1
        self._started_at_ms: int | None = None
        self.frames = 0
        self.size_bytes = 0
        self._growing: Fragment | None = None

    def open(self) -> Repaired:
        """Repair what is there, so that writing can go on behind it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._claim = self._claim or claim(self._folder)
        repaired = repair_files(self._folder)
        self._started_at_ms = repaired.started_at_ms
        self._init_bytes = repaired.scan.init_bytes
        self._next_sequence = repaired.scan.next_sequence
        self.frames = repaired.scan.frames
        self.size_bytes = repaired.scan.whole_bytes
        self._growing = None
        return repaired

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever written here."""
        return not self._folder.exists()

    @property
    def has_room(self) -> bool:
        """Whether more may be written without touching the reserve."""
        return not self._reserve.is_touched(self._folder)

    def reopen(self) -> Repaired:
        """Go on after an error. Raises OSError while there is no room, or while the disk refuses."""
        self._reserve.expect_room(self._folder)
        self.close()
        return self.open()

    def begin(self, *, at_ms: int) -> None:
        """Remember when the first audio came; the playlist tells it."""
        self._started_at_ms = at_ms

    def append(self, frames: Sequence[bytes]) -> None:
        """One part. One that is shorter than others is its fragment's last."""
        growing = self._growing
        data = part(frames, sequence=self._next_sequence, start_frame=self.frames, begins=growing is None)
        init = self._write_bytes([data])
        self._next_sequence += 1
        written = Fragment(self.size_bytes - len(data), len(data), len(frames))
        self.frames += len(frames)
        growing = self._growing = joined(growing, written) if growing is not None else written
        if init:
            self._append_playlist(init)
        if len(frames) < PART_FRAMES or growing.frames >= FRAGMENT_FRAMES:
            self.end_fragment()

    def end_fragment(self) -> None:
        """What comes next begins another fragment."""
        growing, self._growing = self._growing, None
        if growing is None:
            return
        try:
            os.fdatasync(self._programme)
        except OSError:
            self._cut_back(to_bytes=growing.offset, frames=self.frames - growing.frames)
            raise
        self._append_playlist(entry(growing))

    def append_silence(self, frames: int) -> None:
        """So many frames of silence, in fragments of the usual length."""
        self.end_fragment()
        quiet = [silent_frame()] * FRAGMENT_FRAMES
        while frames > 0:
            pieces: list[bytes] = []
            lines, sequence = "", self._next_sequence
            start, at = self.frames, self.size_bytes or len(programme_init())
            while frames > 0 and len(pieces) < _SILENT_FRAGMENTS_A_WRITE:
                count = min(frames, FRAGMENT_FRAMES)
                pieces.append(fragment(quiet[:count], sequence=sequence, start_frame=start))
                lines += entry(Fragment(at, len(pieces[-1]), count))
                sequence += -(-count // PART_FRAMES)
                start, at, frames = start + count, at + len(pieces[-1]), frames - count
            before_bytes = self.size_bytes
            init = self._write_bytes(pieces)
            try:
                os.fdatasync(self._programme)
            except OSError:
                self._cut_back(to_bytes=before_bytes, frames=self.frames)
                raise
            self._next_sequence, self.frames = sequence, start
            self._append_playlist(init + lines)

    def append_peaks(self, peaks: bytes) -> None:
        """Peaks of what was appended; not synced, for a repair can do without them."""
        if peaks:
            with (self._folder / PEAKS).open("ab") as file:
                file.write(peaks)

    def append_tracks(self, taken: Sequence[Pages]) -> None:
        """Pages of speakers' tracks; written, not synced: a power cut may cost seconds of a track."""
        for pages in taken:
            if pages.begins:
                (self._folder / TRACKS).mkdir(exist_ok=True)
                self.append_journal(track_begun(participant_id=pages.participant_id, file=pages.file))
            with (self._folder / pages.file).open("ab") as file:
                file.write(pages.data)

    def append_journal(self, lines: bytes) -> None:
        """Lines that must survive."""
        with (self._folder / JOURNAL).open("ab") as file:
            file.write(lines)
            file.flush()
            os.fdatasync(file.fileno())

    def end(self) -> None:
        """The playlist is complete."""
        self.end_fragment()
        if self.frames:
            self._append_playlist(ENDLIST)

    def end_after_all(self, lines: bytes) -> None:
        """Repair, and end a recording that could not be written any more. Raises OSError."""
        self.open()
        self.append_journal(lines)
        self.end()
        self.close()

    def close(self) -> None:
        """Let go of the files. Can be called twice."""
        if self._programme >= 0:
            os.close(self._programme)
            self._programme = -1
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _write_bytes(self, pieces: Sequence[bytes]) -> str:
        """Append; the playlist's head when these are the first bytes of all."""
        if self._programme < 0:
            path = self._folder / PROGRAMME
            self._programme = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            _sync_folder(self._folder)
        init = b"" if self._init_bytes else programme_init()
        data = init + b"".join(pieces)
        try:
            _write_all(self._programme, data)
        except OSError:
            self._cut_back(to_bytes=self.size_bytes, frames=self.frames)
            raise
        self.size_bytes += len(data)
        if not init:
            return ""
        self._init_bytes = len(init)
        return header(init_bytes=len(init), started_at_ms=self._started_at_ms, uri=PROGRAMME)

    def _cut_back(self, *, to_bytes: int, frames: int) -> None:
        os.ftruncate(self._programme, to_bytes)
        self.size_bytes, self.frames = to_bytes, frames

    def _append_playlist(self, lines: str) -> None:
        with (self._folder / PLAYLIST).open("a", encoding="ascii") as file:
            file.write(lines)


def _sync_folder(folder: Path) -> None:
    """Let the names of new files survive a power cut too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
