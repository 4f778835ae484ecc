"""A fresh database without its half second of migrations: one is migrated in each process, and copied."""

import atexit
import shutil
import tempfile
from pathlib import Path

from models import database

_NAME = "spaces.sqlite3"
_templates: dict[str, Path] = {}


async def put_database(data_dir: Path) -> None:
    """An empty, migrated SQLite database in the data folder, unless there is one."""
    data_dir.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240
    if (data_dir / _NAME).exists():
        return
    if _NAME not in _templates:
        template = Path(tempfile.mkdtemp(prefix="spaces-template-")) / _NAME
        atexit.register(shutil.rmtree, template.parent, ignore_errors=True)
        await database.migrate(database.sqlite_url(template))
        _templates[_NAME] = template
    shutil.copy(_templates[_NAME], data_dir / _NAME)
