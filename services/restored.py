"""The mark of a restore that is not finished: nothing serves from a data folder that has it."""

import os
from pathlib import Path

from services.journals import sync_folder

_MARK = "restored"


class RestoreUnfinished(Exception):
    """Restored from a backup: what was deleted since would come back. First run `spaces doctor --after-restore`."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


def begin(data_dir: Path) -> None:
    """Set the mark, on disk when this returns. Blocks."""
    with (data_dir / _MARK).open("w") as file:
        file.write("Restored from a backup. Before serving: spaces doctor --after-restore\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(data_dir)


def finish(data_dir: Path) -> None:
    """What was deleted since is deleted again: take the mark away. Blocks."""
    (data_dir / _MARK).unlink(missing_ok=True)
    sync_folder(data_dir)


def is_unfinished(data_dir: Path) -> bool:
    """Whether the mark is there."""
    return (data_dir / _MARK).exists()


def refuse(data_dir: Path) -> None:
    """Raises RestoreUnfinished when the mark is there."""
    if is_unfinished(data_dir):
        raise RestoreUnfinished
