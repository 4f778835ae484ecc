"""The command line within this process: an interpreter of its own would take longer than all that a command does."""

import asyncio
import os
from pathlib import Path

from typer.testing import CliRunner

from api.cli import app
from tests.product.databases import databases
from tests.product.postgres import binaries

PATH = f"{binaries() / 'bin'}{os.pathsep}{os.environ['PATH']}"


async def spaces(data_dir: Path, *words: str, **settings: str) -> tuple[int, str]:
    """A command, in a thread; its exit status and all that it said."""
    environment = {
        "SPACES_DATA_DIR": str(data_dir),
        "SPACES_DATABASE_URL": databases.url(data_dir),
        "COLUMNS": "200",
        "PATH": PATH,
        **{f"SPACES_{name.upper()}": value for name, value in settings.items()},
    }
    done = await asyncio.to_thread(CliRunner().invoke, app, list(words), env=environment)
    return done.exit_code, done.output
