"""Indexes of recordings' files, read again only when a file has changed."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from media.playlist import PLAYLIST, Index, read_index
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
        """The index of a recording's file."""
        try:
            stat = await asyncio.to_thread((media.directory / PLAYLIST).stat)
        except FileNotFoundError:
            return await asyncio.to_thread(read_index, media.directory)
        stamp = (stat.st_mtime_ns, stat.st_size)
        cached = self._cached.get(media.directory)
        if cached is None or cached.stamp != stamp:
            cached = _Cached(stamp, await asyncio.to_thread(read_index, media.directory))
            self._cached[media.directory] = cached
            if len(self._cached) > _MOST:
                self._cached.popitem(last=False)
        self._cached.move_to_end(media.directory)
        return cached.index
