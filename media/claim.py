"""One writer a recording: two processes that think it theirs would tear each other's fragments."""

import errno
import fcntl
import os
import select
import time
from pathlib import Path

# A process that lost its server, or was told to end, lets go within a second.
PATIENCE_S = 3.0
_LOOK_AGAIN_S = 0.02


class Claim:
    """A folder that is ours until `close`, or until this process ends however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        """Let others write. Once alone."""
        os.close(self._descriptor)


def claim(folder: Path) -> Claim:
    """Take a recording's folder; another writer is waited for a little. Blocks. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    give_up_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_s:
                os.close(descriptor)
                raise OSError(errno.EBUSY, "another process writes this recording") from None
            select.select([], [], [], _LOOK_AGAIN_S)
        else:
            return Claim(descriptor)
