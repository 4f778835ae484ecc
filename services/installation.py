"""That rows and data folder belong together: a purge in another folder would be proven while every byte stays."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from models.account import Account
from models.installation import Installation
from services.changes import new_id
from services.house import House
from services.journals import sync_folder

# With the keys, so that a backup has it, and another installation's is refused.
FOLDER_ID = Path("keys", "installation")
_ONLY = 1


class Mismatch(Exception):
    """Rows and data folder are not of the same installation, or one of them has been lost."""


async def belong(house: House, data_dir: Path) -> None:
    """Bind a new database and a new folder to each other. Raises Mismatch for what was bound otherwise."""
    file = data_dir / FOLDER_ID
    here = await asyncio.to_thread(_read, file)
    row = await Installation.get_or_none(id=_ONLY)
    if row is None:
        if here is not None and (_has_a_past(data_dir) or await Account.exists()):
            raise Mismatch(
                f"The data folder {data_dir} has a database already, and SPACES_DATABASE_URL names another one, which"
                " is new or not ours. Name the one that has this folder's rows; to begin anew, use another folder."
            )
        if here is None:
            # Nothing to lose as long as the row lacks: a start that is cut off here goes on at the next.
            here = await asyncio.to_thread(_write_once, file, new_id())
        row, _ = await Installation.get_or_create(
            id=_ONLY, defaults={"folder_id": here, "begun_at": house.clock.now()}
        )
    if row.folder_id != here:
        found = "new or lost" if here is None else "of another one"
        raise Mismatch(
            f"These rows belong to another data folder than {data_dir}, which is {found}: what is purged there would"
            " be proven, and would stay. Set SPACES_DATA_DIR to this installation's folder (is its disk mounted?);"
            " if it is lost, restore a backup."
        )


def _read(file: Path) -> UUID | None:
    try:
        return UUID(file.read_text().strip())
    except FileNotFoundError:
        return None
    except ValueError:
        raise Mismatch(f"{file} does not hold the id of an installation. Restore it from a backup.") from None


def _write_once(file: Path, folder_id: UUID) -> UUID | None:
    """The id that stands there then: of two processes that start at once the first one's."""
    draft = file.with_suffix(f".{folder_id}")
    draft.touch(mode=0o600)
    draft.write_text(f"{folder_id}\n")
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()
    sync_folder(file.parent)
    return _read(file)


def _has_a_past(data_dir: Path) -> bool:
    """Whether rows of this folder's recordings, or rows that were moved away, must be somewhere."""
    marks = ("recordings/*", "store", "moved-*")
    return any(next(data_dir.glob(mark), None) is not None for mark in marks)
