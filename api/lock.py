"""One server a data folder: two would write into the same recordings."""

import fcntl
import os
import select
import time
from pathlib import Path

_PATIENCE_S = 3.0
_LOOK_AGAIN_S = 0.05


class FolderInUse(Exception):
    """Another Spaces server uses this data folder. Stop it first, or set SPACES_DATA_DIR to another folder."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


def hold(folder: Path) -> int:
    """Lock a data folder for this process, until it ends however it ends. Raises FolderInUse.

    A server that is just ending is waited for. The descriptor is not inherited by children.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                os.close(descriptor)
                raise FolderInUse from None
            select.select([], [], [], _LOOK_AGAIN_S)
        else:
            return descriptor
