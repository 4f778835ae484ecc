"""Starting a media process before anything heavy is imported here: both processes then come up side by side."""

import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from media.limits import EngineLimits


@dataclass(frozen=True, slots=True)
class Launched:
    """A media process that is coming up, and our end of its socket."""

    process: subprocess.Popen[bytes]
    socket: socket.socket


def launch(
    *,
    ice_address: str | None = None,
    ice_servers: tuple[str, ...] = (),
    limits: EngineLimits | None = None,
    log_level: str = "WARNING",
) -> Launched:
    """Start a media process; it logs to our standard error. Raises OSError.

    Call it from the main thread: Linux ends the process with the thread that started it.
    """
    ours, theirs = socket.socketpair()
    arguments = ["-m", "media.process", "--fd", str(theirs.fileno()), "--log-level", log_level]
    arguments += ["--ice-address", ice_address] if ice_address is not None else []
    for server in ice_servers:
        arguments += ["--ice-server", server]
    limits = limits or EngineLimits()
    arguments += ["--rooms", str(limits.rooms), "--sessions-per-room", str(limits.sessions_per_room)]
    arguments += ["--disk-reserve-bytes", str(limits.disk_reserve_bytes)]
    with theirs:
        process = subprocess.Popen(  # noqa: S603 (ourselves, with arguments of our own)
            [sys.executable, *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            # `-m` finds our package there, installed or not.
            cwd=Path(__file__).parent.parent,
        )
    return Launched(process, ours)
