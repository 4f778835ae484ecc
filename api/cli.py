"""The command line: `spaces …`."""

import asyncio
import gc
import os
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from api.backup_commands import backup, restore
from api.retention_commands import audit, receipt, recordings, retention
from api.settings import Settings, misnamed

console = Console()
problems = Console(stderr=True)


class _Plain(TyperGroup):
    """Commands; what is wrong with settings, folders or databases is a line, and no trace."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            from api.complaints import complaint

            if (said := complaint(error)) is None:
                raise
            problems.print(said, soft_wrap=True, markup=False, highlight=False)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Plain,
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Live audio rooms that can be recorded.",
)


@app.callback()
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version, and nothing else.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"spaces {version_of('spaces-server')}")
        raise typer.Exit


def _settings() -> Settings:
    """Of a process that stays: what is misspelt would be missed for long."""
    for name, meant in misnamed():
        if meant:
            problems.print(f"{name} is no setting; {meant} is one.", highlight=False)
    return Settings()


Check = Annotated[bool, typer.Option("--check", help="Write nothing; fail when something would change.")]


@app.command()
def serve(
    processes: Annotated[
        int, typer.Option(help="API processes on the one port; default from the settings.", min=0, max=64)
    ] = 0,
) -> None:
    """Serve the API with its media process and worker. Brings a fresh data folder up by itself."""
    from api.bucket import expect_same_store
    from api.launch import launch_media
    from api.lock import hold
    from services import restored

    settings = _settings()
    processes = processes or settings.processes
    if processes > 1 and not settings.is_on_postgres:
        problems.print(
            "Several API processes need PostgreSQL, and the rows are in SQLite."
            " Set SPACES_DATABASE_URL, or serve with one process."
        )
        raise typer.Exit(1)
    hold(settings.data_dir.absolute())
    expect_same_store(settings)
    restored.refuse(settings.data_dir.absolute())
    launched = launch_media(settings)
    # Imported while the media process comes up: it takes a second, less without collections.
    gc.disable()
    if processes > 1:
        from api.keeper import serve_many

        serve_many(settings, launched, processes)
        return
    from api.serve import serve as run_server

    run_server(settings, launched)


@app.command()
def run() -> None:
    """Serve, and on a first start make demo people and one recorded Space."""
    from api.demo.first_start import run_with_demo

    sys.exit(run_with_demo(Settings(), console))


@app.command()
def demo(
    url: Annotated[str, typer.Option(help="The server; default from the settings.")] = "",
) -> None:
    """Play a spoken conversation into a new recorded Space of a running server, and share it."""
    from api.demo.play import play_demo

    asyncio.run(play_demo(url or Settings().public, console))


@app.command()
def worker() -> None:
    """Run a worker of its own: retention, without touching live rooms."""
    from api.complaints import AWAY
    from api.logs import configure_logs
    from api.work import run_worker

    settings = _settings()
    configure_logs(settings, "worker", AWAY)
    asyncio.run(run_worker(settings))


@app.command()
def media(
    name: Annotated[str, typer.Option(help="What logs, metrics and `drain` call it.")] = "",
) -> None:
    """Carry rooms beside the server of the same data folder, in a process of its own."""
    import uvloop

    from api.logs import configure_logs
    from api.media_commands import carry

    settings = _settings()
    configure_logs(settings, "media")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(carry(settings, name, problems.print))


@app.command()
def drain(
    process: Annotated[str, typer.Option(help="An attached media process; all of the server without.")] = "",
) -> None:
    """Take no new Spaces, wait until those that are live have ended, and end the server."""
    from api.media_commands import DrainFailed, NoServer
    from api.media_commands import drain as drain_server

    def told(left: int) -> None:
        console.print(f"{left} live Space{'' if left == 1 else 's'} left" if left else "Drained.")

    try:
        asyncio.run(drain_server(Settings().data_dir.absolute(), process, told))
    except (NoServer, DrainFailed) as error:
        problems.print(str(error))
        raise typer.Exit(1) from None


@app.command()
def migrate(check: Check = False) -> None:
    """Bring the database to the newest migration."""
    from models import database

    if check:
        if asyncio.run(database.pending_changes()):
            problems.print(
                "The models have changes that no migration makes. Write one in models/migrations/."
            )
            raise typer.Exit(1)
        console.print("Models and migrations agree.")
        return
    settings = Settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    asyncio.run(database.migrate(settings.database))
    console.print("The database is up to date.")


@app.command()
def move() -> None:
    """Move an embedded installation: its rows to SPACES_DATABASE_URL, its recordings to SPACES_STORE_URL.

    Stop the server first. Every row and every byte is compared; run it again when it was cut off.
    """
    from api.lock import hold
    from api.move_command import run as run_move
    from services import restored

    settings = Settings()
    hold(settings.data_dir.absolute())
    restored.refuse(settings.data_dir.absolute())
    raise typer.Exit(run_move(settings, console, problems))


@app.command()
def schema(
    check: Check = False,
    release: Annotated[
        bool, typer.Option("--release", help="Write schema/released.graphql too: a release serves this.")
    ] = False,
) -> None:
    """Write the GraphQL schema to schema/schema.graphql, and its reference to docs/api/."""
    from api import schema_files

    if not check:
        console.print(f"Wrote {schema_files.write(release=release)} files.")
    elif told := schema_files.faults():
        for fault in told:
            problems.print(fault)
        raise typer.Exit(1)
    else:
        console.print("The schema and its reference are up to date, and break nothing of the last release.")


@app.command()
def promote(handle: Annotated[str, typer.Argument(help="The account's handle.")]) -> None:
    """Make an account a moderator."""
    from api.work import promote as promote_account
    from services.errors import SpacesError

    try:
        asyncio.run(promote_account(Settings(), handle))
    except SpacesError as error:
        problems.print(error.message)
        raise typer.Exit(1) from None
    console.print(f"@{handle} is a moderator now.")


@app.command()
def doctor(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the settings as a page of docs.")
    ] = False,
    after_restore: Annotated[
        bool,
        typer.Option(
            "--after-restore",
            help="After a restore, before serving: purge again what the backup brought back, and compare"
            " rows and store.",
        ),
    ] = False,
) -> None:
    """Print every setting with its consequence, and check this installation."""
    from api.doctor import check_installation
    from api.retention_commands import mend_after_restore

    if after_restore:
        raise typer.Exit(mend_after_restore(Settings()))
    if markdown:
        from api.settings_page import settings_page

        typer.echo(settings_page(), nl=False)
        return
    raise typer.Exit(check_installation(Settings(), console))


app.command("backup")(backup)
app.command("restore")(restore)
app.add_typer(retention, name="retention")
app.add_typer(audit, name="audit")
app.add_typer(receipt, name="receipt")
app.add_typer(recordings, name="recordings")


# What is written is for this account and its group: voices, names, and hashes of passwords.
_UMASK = 0o027


def main() -> None:
    """The entry point."""
    os.umask(os.umask(_UMASK) | _UMASK)
    app()


if __name__ == "__main__":
    main()
