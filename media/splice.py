"""Some fragments of a programme as one file that begins at zero: what a clip, or a trimmed recording, is
to a player that takes one file. Nothing is copied; the bytes are put together while they are read."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from media.mp4 import Fragment, shift_times
from media.plain import Openable
from media.playlist import Index

_CHUNK_BYTES = 256 * 1024


class Splice:
    """The init segment and fragments `first` up to, not including, `last` of a programme."""

    def __init__(self, index: Index, *, first: int, last: int) -> None:
        self._init_bytes = index.init_bytes
        self._fragments = index.fragments[first:last]
        # Decode times count from the first fragment of the splice.
        self._shift_frames = sum(fragment.frames for fragment in index.fragments[:first])
        self._ends = list(
            accumulate((fragment.length for fragment in self._fragments), initial=self._init_bytes)
        )

    @property
    def size_bytes(self) -> int:
        """Length of the whole."""
        return self._ends[-1]

    def read(self, programme: Openable, start: int, end: int) -> Iterator[bytes]:
        """Bytes `start` up to, not including, `end`, in pieces. Ends short when the file goes meanwhile. Blocks."""
        with programme.open() as file:
            if start < self._init_bytes:
                yield file.read(self._init_bytes)[start:end]
            at = max(start, self._init_bytes)
            while at < end:
                number = bisect_right(self._ends, at) - 1
                run = self._run(number, end)
                file.seek(run[0].offset)
                data = bytearray(file.read(sum(fragment.length for fragment in run)))
                if self._shift_frames:
                    shift_times(data, frames=-self._shift_frames)
                begin = self._ends[number]
                if begin + len(data) <= at:
                    return
                yield bytes(data[at - begin : end - begin])
                at = begin + len(data)

    def _run(self, number: int, end: int) -> list[Fragment]:
        """Fragments, which lie side by side in the file, for one read."""
        run: list[Fragment] = []
        size = 0
        for place in range(number, len(self._fragments)):
            if run and (self._ends[place] >= end or size >= _CHUNK_BYTES):
                break
            run.append(self._fragments[place])
            size += self._fragments[place].length
        return run
