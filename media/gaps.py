"""The gaps of a recording that is being written: those that have ended, and one that has not."""

from media import journal
from media.engine import Gap, GapCause
from media.journal import Journal, OpenGap

BY_DISK = frozenset({GapCause.DISK_FULL, GapCause.DISK_ERROR})


class GapBook:
    """Positions in ms since the first audio."""

    def __init__(self, kept: Journal | None = None) -> None:
        self._ended: list[Gap] = list(kept.gaps) if kept is not None else []
        self.open: OpenGap | None = kept.open_gap if kept is not None else None

    @property
    def any_by_disk(self) -> bool:
        """Whether the disk has ever made one."""
        open_ = [self.open.cause] if self.open is not None else []
        return not BY_DISK.isdisjoint([*(gap.cause for gap in self._ended), *open_])

    def begin(self, position_ms: int, cause: GapCause) -> None:
        """No sound from here on."""
        self.open = OpenGap(start_ms=position_ms, cause=cause)

    def end(self, position_ms: int) -> None:
        """Sound again; a gap without length was none."""
        gap, self.open = self.open, None
        if gap is not None and position_ms > gap.start_ms:
            self._ended.append(Gap(start_ms=gap.start_ms, end_ms=position_ms, cause=gap.cause))

    def cut_back(self, written_ms: int, cause: GapCause) -> None:
        """A gap from the last byte on disk on; one that was ended by what is lost has not ended."""
        undone = [gap for gap in self._ended if gap.end_ms > written_ms]
        self._ended = [gap for gap in self._ended if gap.end_ms <= written_ms]
        if undone:
            self.begin(min(undone[0].start_ms, written_ms), undone[0].cause)
        elif self.open is None or self.open.start_ms > written_ms:
            self.begin(written_ms, cause)

    def told(self, reached_ms: int) -> tuple[Gap, ...]:
        """All that have ended, and an open one that the disk makes, up to now."""
        open_ = self.open
        if open_ is None or open_.cause not in BY_DISK:
            return tuple(self._ended)
        end_ms = max(open_.start_ms + 1, reached_ms)
        return (*self._ended, Gap(start_ms=open_.start_ms, end_ms=end_ms, cause=open_.cause))

    def lines(self, reached_ms: int, *, at_ms: int) -> bytes:
        """What a journal lacks at the end of a recording whose last gap is still open."""
        if self.open is None:
            return b""
        start = journal.gap_started(position_ms=self.open.start_ms, cause=self.open.cause, at_ms=at_ms)
        return start + journal.gap_ended(position_ms=reached_ms, at_ms=at_ms)
