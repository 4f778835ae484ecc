"""Makes a recording whole after a crash: what is torn is cut off, what can be derived is rebuilt.

The programme's own boxes are the truth; playlist and peaks follow it. Idempotent, and safe to be
killed at any point. Must not run on a directory that is being written.
"""

import mmap
import os
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from media import journal as journal_lines
from media.claim import claim
from media.elapsed import Moment, elapsed_ms
from media.engine import GapCause, RecordingFacts
from media.journal import JOURNAL, Journal
from media.mp4 import FRAME_SAMPLES, Scan, scan
from media.playlist import PLAYLIST, PROGRAMME, frames_to_ms, render_index
from media.tracks import repair_tracks
from media.waveform import PEAKS, peaks_for

_NOTHING = Scan(init_bytes=0, fragments=(), whole_bytes=0, frames=0, next_sequence=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A whole recording. `started_at_ms` is None exactly when no audio ever came."""

    scan: Scan
    journal: Journal
    started_at_ms: int | None
    tracks: dict[str, int] = field(default_factory=dict)

    @property
    def duration_ms(self) -> int:
        return frames_to_ms(self.scan.frames)

    def facts(self, *, recording_id: str) -> RecordingFacts:
        return RecordingFacts(
            recording_id=recording_id,
            started_at_ms=self.started_at_ms,
            duration_ms=self.duration_ms,
            size_bytes=self.scan.whole_bytes,
            gaps=self.journal.gaps,
        )


def repair(directory: str | Path, *, recording_id: str) -> RecordingFacts:
    """Make a directory whole and say what is there. Blocks on the disk."""
    return repair_files(directory).facts(recording_id=recording_id)


def finish(
    directory: str | Path, *, recording_id: str, ended_at_ms: int | None = None, now: Moment | None = None
) -> RecordingFacts:
    """Repair and end a recording whose room is not open. Blocks on the disk.

    Time between the last sound and `ended_at_ms` is told as a gap, not filled; with `now` also where the
    wall clock was set meanwhile. A recording that has ended before stays as it is.
    """
    folder = Path(directory)
    if not folder.exists():
        return repair_files(folder).facts(recording_id=recording_id)
    with closing(claim(folder)):
        repaired = repair_files(folder)
        if repaired.started_at_ms is not None and not repaired.journal.ended:
            end_recording(folder, repaired=repaired, ended_at_ms=ended_at_ms, now=now)
            repaired = repair_files(folder)
    return repaired.facts(recording_id=recording_id)


def end_recording(
    folder: Path, *, repaired: Repaired, ended_at_ms: int | None, now: Moment | None = None
) -> None:
    """Write the last lines of a whole recording: its trailing gap and its end."""
    assert repaired.started_at_ms is not None
    at_ms = ended_at_ms or repaired.started_at_ms + repaired.duration_ms
    end_ms = _position_at(at_ms, repaired=repaired, now=now)
    lines = b""
    if repaired.journal.open_gap is None and ended_at_ms is not None:
        lines += journal_lines.gap_started(
            position_ms=repaired.duration_ms, cause=GapCause.RESTART, at_ms=at_ms
        )
    lines += journal_lines.gap_ended(position_ms=end_ms, at_ms=at_ms)
    lines += journal_lines.ended(duration_ms=repaired.duration_ms, at_ms=at_ms)
    with (folder / JOURNAL).open("ab") as file:
        file.write(lines)
        file.flush()
        os.fdatasync(file.fileno())


def _position_at(at_ms: int, *, repaired: Repaired, now: Moment | None) -> int:
    """The position of an instant that the wall clock has shown, or of now where it has gone back since."""
    assert repaired.started_at_ms is not None
    if now is None:
        return max(at_ms - repaired.started_at_ms, repaired.duration_ms)
    position_ms = elapsed_ms(
        repaired.journal.anchor,
        started_at_ms=repaired.started_at_ms,
        written_ms=repaired.duration_ms,
        now=now,
    )
    return max(position_ms - max(0, now.wall_ms - at_ms), repaired.duration_ms)


def repair_files(directory: str | Path) -> Repaired:
    """Make a directory whole; one without audio, or none at all, is whole."""
    folder = Path(directory)
    found = _repair_programme(folder / PROGRAMME)
    journal = _repair_journal(folder / JOURNAL)
    started_at_ms = journal.started_at_ms
    if started_at_ms is None and found.frames:
        # The journal is gone: the file's last write is the best witness left.
        written_at_ms = round((folder / PROGRAMME).stat().st_mtime * 1000)
        started_at_ms = written_at_ms - frames_to_ms(found.frames)
    repaired = Repaired(
        scan=found,
        journal=journal,
        started_at_ms=started_at_ms,
        tracks=repair_tracks(folder),
    )
    _repair_playlist(folder / PLAYLIST, repaired=repaired)
    _repair_peaks(folder / PEAKS, count=peaks_for(found.frames * FRAME_SAMPLES))
    return repaired


def _repair_programme(path: Path) -> Scan:
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return _NOTHING
    with file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return _NOTHING
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as data:
            found = scan(data)
        # An init segment without a fragment is written anew with the first one.
        whole = found.whole_bytes if found.fragments else 0
        if whole < size:
            file.truncate(whole)
            os.fsync(file.fileno())
    return found if found.fragments else _NOTHING


def _repair_journal(path: Path) -> Journal:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Journal()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    return journal_lines.parse(data[:whole])


def _repair_playlist(path: Path, *, repaired: Repaired) -> None:
    if not repaired.scan.fragments:
        path.unlink(missing_ok=True)
        return
    text = render_index(
        repaired.scan.fragments,
        init_bytes=repaired.scan.init_bytes,
        started_at_ms=repaired.started_at_ms,
        ended=repaired.journal.ended,
    )
    if path.exists() and path.read_text("ascii", errors="replace") == text:
        return
    draft = path.with_suffix(".tmp")
    draft.write_text(text, "ascii")
    draft.replace(path)


def _repair_peaks(path: Path, *, count: int) -> None:
    if not count:
        path.unlink(missing_ok=True)
        return
    size = path.stat().st_size if path.exists() else 0
    if size > count:
        os.truncate(path, count)
    elif size < count:
        with path.open("ab") as file:
            file.write(bytes(count - size))
