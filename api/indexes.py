"""Indexes of recordings' files, read again only when a file has changed."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from media.plain import stat_of
from media.playlist import EMPTY_INDEX, PLAYLIST, PROGRAMME, Index, parse_index, read_index
from media.shelf import Files
from media.threads import in_store_thread
from services.errors import Unavailable
from services.playback import Stored

_MOST = 64
# What is complete in the bucket never changes.
_SHELVED = (-1, -1)


@dataclass(frozen=True, slots=True)
class _Cached:
    stamp: tuple[int, int]
    index: Index


class Indexes:
    """What of each recording can be played now."""

    def __init__(self) -> None:
        self._cached: OrderedDict[Path, _Cached] = OrderedDict()

    async def of(self, media: Stored) -> Index:
        """The index of a recording's file. Raises AudioMissing, or StoreAway."""
        folder = media.directory
        stamp = await asyncio.to_thread(_stamp, folder)
        cached = self._cached.get(folder)
        if stamp is not None and (cached is None or cached.stamp != stamp):
            cached = _Cached(stamp, await asyncio.to_thread(read_index, folder))
        if stamp is None and media.growing:
            return await asyncio.to_thread(read_index, folder)
        # What was there a moment ago may have been carried away since.
        emptied = cached is not None and cached.index is EMPTY_INDEX and not media.growing
        carried = stamp is None or (emptied and media.files.shelf.bucket is not None)
        if carried and (cached is None or cached.stamp != _SHELVED):
            cached = _Cached(_SHELVED, await in_store_thread(_read_shelved, media.files))
        assert cached is not None
        self._cached[folder] = cached
        self._cached.move_to_end(folder)
        if len(self._cached) > _MOST:
            self._cached.popitem(last=False)
        return cached.index


def _stamp(directory: Path) -> tuple[int, int] | None:
    """What changes whenever the playlist does; None while there is no audio."""
    try:
        stat_of(directory / PROGRAMME)
        stat = stat_of(directory / PLAYLIST)
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _read_shelved(files: Files) -> Index:
    """The index of a recording that is complete in the bucket. Blocks. Raises AudioMissing, or StoreAway."""
    programme = files.file(PROGRAMME).shelved()
    if programme is None:
        raise AudioMissing
    try:
        text = files.file(PLAYLIST).read().decode("ascii", errors="replace")
    except FileNotFoundError:
        raise AudioMissing from None
    return parse_index(text, file_bytes=programme.size_bytes)


class AudioMissing(Unavailable):
    """The store does not have this audio at present. Try again later; the operator has been told."""
