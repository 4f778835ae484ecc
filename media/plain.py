"""Opening what lies in a recording's folder itself: a link could lead anywhere, and is as if nothing were there."""

import errno
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

_LINK = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)


class StoreAway(OSError):
    """The object store cannot be reached, or refuses for now."""


class Opened(Protocol):
    """A file that is being read."""

    def read(self, size: int = -1, /) -> bytes:
        """So many bytes, or what is left."""

    def seek(self, offset: int, /) -> int:
        """Go on reading there."""

    def close(self) -> None:
        """Let go of it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Openable(Protocol):
    """A file, wherever it lies."""

    def open(self) -> Opened:
        """Raises FileNotFoundError, or another OSError where its place cannot be reached. Blocks."""


def opener(path: str, flags: int) -> int:
    """For `open`: raises FileNotFoundError when the file or its folder is a symbolic link."""
    folder, name = os.path.split(path)
    try:
        parent = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return os.open(name, flags | os.O_NOFOLLOW, dir_fd=parent)
        finally:
            os.close(parent)
    except OSError as error:
        if error.errno in _LINK:
            raise FileNotFoundError(errno.ENOENT, "links are not followed", path) from error
        raise


def open_plain(path: Path) -> Opened:
    """For reading. Raises FileNotFoundError for a link too. Blocks on the disk."""
    return open(path, "rb", opener=opener)


def read_bytes(path: Path) -> bytes:
    """A small file. Raises FileNotFoundError for a link too. Blocks on the disk."""
    with open(path, "rb", opener=opener) as file:
        return file.read()


def stat_of(path: Path) -> os.stat_result:
    """Of a file. Raises FileNotFoundError for a link too. Blocks on the disk."""
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or not stat.S_ISDIR(path.parent.lstat().st_mode):
        raise FileNotFoundError(errno.ENOENT, "no plain file", str(path))
    return found


def is_there(path: Path) -> bool:
    """Whether there is such a file. Blocks on the disk."""
    try:
        stat_of(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
