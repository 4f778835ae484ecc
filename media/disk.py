"""Whether a disk has room for more, and what its errors mean for a recording."""

import errno
import os
from pathlib import Path

from media.engine import GapCause

# Where nothing is kept in reserve, a recording goes on once this much is free again.
_LEAST_ROOM_BYTES = 1024 * 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def free_bytes(folder: Path) -> int:
    """What a program without privileges may still write there. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def cause_of(error: OSError) -> GapCause:
    """How an error that stopped a recording is told."""
    return GapCause.DISK_FULL if error.errno in _FULL else GapCause.DISK_ERROR


class NoRoom(OSError):
    """The disk is full but for what is kept in reserve."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Reserve:
    """How much of a disk recordings leave free, so that the database and the last lines still fit."""

    def __init__(self, reserve_bytes: int = 0) -> None:
        self._reserve_bytes = reserve_bytes

    def is_touched(self, folder: Path) -> bool:
        """Whether what is kept free is less than that. False where the disk does not say."""
        if not self._reserve_bytes:
            return False
        try:
            return free_bytes(folder) < self._reserve_bytes
        except OSError:
            return False

    def expect_room(self, folder: Path) -> None:
        """Some more than the reserve must be free, else a recording would stop and go on by turns. Raises NoRoom."""
        if free_bytes(folder) < self._reserve_bytes + max(self._reserve_bytes // 8, _LEAST_ROOM_BYTES):
            raise NoRoom
