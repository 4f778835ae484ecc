"""A zip of files that are already compressed, made while it is sent: nothing is copied, nothing held."""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from media.plain import Openable

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of the archive: what is kept, or a few bytes."""

    name: str
    content: Openable | bytes


class _Pipe:
    """What zipfile writes to: it cannot be wound back, so sizes follow each file (APPNOTE 4.3.9)."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def zip_chunks(entries: Sequence[Entry], *, at: datetime) -> Iterator[bytes]:
    """The archive, piece by piece. Blocks on the disk. A file that is gone by its turn ends it short."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]  # it needs no more
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, at.timetuple()[:6])
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as file:
                for piece in _pieces(entry.content):
                    file.write(piece)
                    yield pipe.take()
    yield pipe.take()


def _pieces(content: Openable | bytes) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open() as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece
