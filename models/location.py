"""Where the database is; read by the settings, before anything of a database is there."""

from pathlib import Path

SQLITE = "sqlite://"


def sqlite_url(path: Path) -> str:
    """The database URL of an embedded database in a file."""
    return f"{SQLITE}{path}"
