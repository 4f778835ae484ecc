"""Indexes of recordings' files, read again only when a file has changed."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from media.plain import stat_of
from media.playlist import PLAYLIST, PROGRAMME, Index, read_index
from services.errors import Unavailable
from services.playback import Stored

_MOST = 64


@dataclass(frozen=True, slots=True)
class _Cached:
    stamp: tuple[int, int]
    index: Index


class Indexes:
    """What of each recording can be played now."""

    def __init__(self) -> None:
        self._cached: OrderedDict[Path, _Cached] = OrderedDict()

    async def of(self, media: Stored) -> Index:
        """The index of a recording's file. Raises AudioMissing."""
        stamp = await asyncio.to_thread(_stamp, media.directory)
        if stamp is None:
            if not media.growing:
                raise AudioMissing
            return await asyncio.to_thread(read_index, media.directory)
        cached = self._cached.get(media.directory)
        if cached is None or cached.stamp != stamp:
            cached = _Cached(stamp, await asyncio.to_thread(read_index, media.directory))
            self._cached[media.directory] = cached
            if len(self._cached) > _MOST:
                self._cached.popitem(last=False)
        self._cached.move_to_end(media.directory)
        return cached.index


def _stamp(directory: Path) -> tuple[int, int] | None:
    """What changes whenever the playlist does; None while there is no audio."""
    try:
        stat_of(directory / PROGRAMME)
        stat = stat_of(directory / PLAYLIST)
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size


class AudioMissing(Unavailable):
    """The store does not have this audio at present. Try again later; the operator has been told."""
