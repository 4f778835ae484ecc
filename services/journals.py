"""Journals beside the database: files of lines that outlive a restore of it."""

import fcntl
import os
from pathlib import Path
from typing import Any


class Journal:
    """A file of lines, to which several processes append. Every call blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_name_on_disk = False

    def append(self, *lines: str) -> None:
        """Add lines; they are on disk when this returns. Twice is harmless."""
        with self._path.open("a+b") as file:
            # Two processes must not see the same torn line, nor write into one another's.
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(_line_break_after_crash(file) + "".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fdatasync(file.fileno())
        # Whoever made the journal may have been cut off before this.
        if not self._is_name_on_disk:
            sync_folder(self._path.parent)
            self._is_name_on_disk = True

    def lines(self) -> list[str]:
        """Every line once, the oldest first; a torn one too. None has spaces in it."""
        if not self._path.exists():
            return []
        return list(dict.fromkeys(self._path.read_text(errors="replace").split()))

    @property
    def exists(self) -> bool:
        """Whether anything was ever written."""
        return self._path.exists()


def _line_break_after_crash(file: Any) -> bytes:
    """What must come first so that a line torn by a crash does not swallow the next one."""
    size = file.seek(0, os.SEEK_END)
    if not size:
        return b""
    file.seek(size - 1)
    return b"" if file.read() == b"\n" else b"\n"


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to disk. Blocks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
