"""A file system of a few megabytes, and something that fills it."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

MB = 1_000_000


class SmallDisk:
    """A mounted folder; `ballast` is a file in it that takes what room one does not want."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def leave(self, free_bytes: int) -> None:
        """Fill it up to so much, or make room."""
        size = self._ballast.stat().st_size if self._ballast.exists() else 0
        size += self.free_bytes - free_bytes
        if size <= 0:
            self._ballast.unlink(missing_ok=True)
            return
        with self._ballast.open("ab") as file:
            file.truncate(size)
            os.posix_fallocate(file.fileno(), 0, size)


def _root(*command: str) -> bool:
    words = list(command) if os.geteuid() == 0 else ["sudo", "-n", *command]
    if shutil.which(words[0]) is None:
        return False
    return subprocess.run(words, capture_output=True, check=False, timeout=20).returncode == 0


@contextlib.contextmanager
def small_disk(folder: Path, *, size_mb: int) -> Iterator[SmallDisk]:
    """A file system of its own at `folder`. Skips the test where nobody may mount one."""
    folder.mkdir(parents=True)
    owner = f"uid={os.geteuid()},gid={os.getegid()}"
    if not _root("mount", "-t", "tmpfs", "-o", f"size={size_mb * MB},{owner}", "spaces-test", str(folder)):
        pytest.skip("mounting a small file system takes root, or sudo without a password")
    try:
        yield SmallDisk(folder)
    finally:
        _root("umount", "-l", str(folder))
