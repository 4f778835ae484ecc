"""`spaces backup` and `spaces restore`."""

import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from api.settings import Settings

console = Console()
problems = Console(stderr=True)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def backup(folder: Annotated[Path, typer.Argument(help="A new folder for the backup.")]) -> None:
    """Copy database, recordings and keys, as of one instant, while everything goes on.

    Who has the backup hears everything, what is deleted later too: keep it as safe as the data folder, and not longer
    than you promise.
    """
    from services import backup as backups
    from services.clock import SystemClock

    settings = Settings()
    data_dir = settings.data_dir.absolute()
    with _progress() as progress:
        task = progress.add_task("Copying", total=backups.size_of(data_dir))
        try:
            facts = backups.back_up(
                data_dir,
                settings.database,
                folder.absolute(),
                now=SystemClock().now(),
                told=lambda size: progress.advance(task, size),
            )
        except (backups.BackupFailed, OSError) as error:
            _fail(error)
    console.print(f"{facts.files} files, {facts.size_bytes} bytes. Put it back with `spaces restore`.")


def restore(
    folder: Annotated[Path, typer.Argument(help="The folder of a backup.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where there is a database: it is lost.")
    ] = False,
) -> None:
    """Check a backup, put it into the data folder, and delete again what was deleted since.

    What this data folder knows of deletions since the backup stays known. With all processes of Spaces ended.
    """
    from api.lock import FolderInUse, hold
    from api.retention_commands import mend_after_restore
    from services import backup as backups

    settings = Settings()
    data_dir = settings.data_dir.absolute()
    source = folder.absolute()
    held = None
    try:
        held = hold(data_dir)
        if not replace and backups.would_replace(data_dir, settings.database):
            raise backups.BackupFailed("There is a database already. Say --replace if it shall be lost.")
        backups.refuse_used(settings.database)
        size_bytes = backups.read_facts(source).size_bytes
        with _progress() as progress:
            checking = progress.add_task("Checking", total=size_bytes)
            backups.check(source, lambda size: progress.advance(checking, size))
            copying = progress.add_task("Restoring", total=size_bytes)
            backups.put_back(
                source,
                data_dir,
                settings.database,
                told=lambda size: progress.advance(copying, size),
            )
            progress.update(copying, completed=size_bytes)
    except (backups.BackupFailed, FolderInUse, OSError) as error:
        _fail(error)
    finally:
        if held is not None:
            os.close(held)
    raise typer.Exit(mend_after_restore(settings))


def _fail(error: Exception) -> NoReturn:
    problems.print(str(error), soft_wrap=True)
    raise typer.Exit(1) from None
