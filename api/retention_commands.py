"""`spaces retention`, `spaces audit`, `spaces receipt`, `spaces recordings`: proof for operators."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from api.settings import Settings

if TYPE_CHECKING:
    from services.forecast import ForecastDay

console = Console()
problems = Console(stderr=True)

retention = typer.Typer(no_args_is_help=True, help="The two clocks of recordings.")
audit = typer.Typer(no_args_is_help=True, help="The audit log.")
receipt = typer.Typer(no_args_is_help=True, help="Purge receipts.")
recordings = typer.Typer(no_args_is_help=True, help="Recordings in the store.")

_BAR = 30
_COPIED_BYTES = 1024 * 1024


@retention.command("run")
def run() -> None:
    """Do one round now: expire and purge what is due."""
    from api.work import run_round

    asyncio.run(run_round(Settings()))
    console.print("Done.")


@retention.command("plan")
def plan(
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days, today first.")] = 30,
    public_days: Annotated[
        int | None, typer.Option(min=1, help="What if recordings were public so long.")
    ] = None,
    review_days: Annotated[
        int | None, typer.Option(min=30, max=120, help="What if copies were kept so long.")
    ] = None,
) -> None:
    """Show what the coming days will expire and purge, under today's policy or another. Changes nothing."""
    from api.work import forecast_days

    found = asyncio.run(forecast_days(Settings(), days, public_days, review_days))
    table = Table("day", "expiring", "purging", "bytes", "held", "")
    most = max((day.expiring + day.purging for day in found), default=0)
    for day in found:
        table.add_row(
            day.day.isoformat(),
            str(day.expiring),
            str(day.purging),
            str(day.purging_bytes),
            str(day.held),
            _bar(day, most),
        )
    console.print(table)
    console.print("█ purging  ░ expiring")


def _bar(day: "ForecastDay", most: int) -> str:
    """A plot of one day, as wide as the busiest day allows."""
    scale = _BAR / most if most else 0
    return "█" * round(day.purging * scale) + "░" * round(day.expiring * scale)


def mend_after_restore(settings: Settings) -> int:
    """Purge again what a restored backup brought back, compare rows and store; 1 when something is left to do."""
    from api.work import after_restore
    from services import restored

    findings = asyncio.run(after_restore(settings))
    restored.finish(settings.data_dir.absolute())
    for finding in findings:
        console.print(f"{'mended' if finding.mended else 'TO DO '}  {finding.kind}: {finding.subject}")
    open_ones = sum(not finding.mended for finding in findings)
    console.print(f"{len(findings)} findings, {open_ones} of them for you to look into.")
    return int(open_ones > 0)


@audit.command("verify")
def verify_audit() -> None:
    """Walk the audit log's hash chain and name the first entry that was tampered with."""
    from api.work import verify_audit as verify

    verdict = asyncio.run(verify(Settings()))
    if verdict.problem is not None:
        named = f"entry {verdict.broken_id}: " if verdict.broken_id is not None else ""
        problems.print(
            f"The audit log was tampered with after {verdict.sealed} good entries. {named}{verdict.problem}."
        )
        raise typer.Exit(1)
    console.print(f"{verdict.sealed} entries are sealed and whole; {verdict.unsealed} wait to be sealed.")


@receipt.command("verify")
def verify_receipt(file: Annotated[Path, typer.Argument(help="A file with the receipt's document.")]) -> None:
    """Check that this installation signed a purge receipt, and print what it says."""
    from api.keys import ReceiptKeys
    from services.receipts import BadReceipt, facts_of

    keys = ReceiptKeys(Settings().data_dir.absolute() / "keys").known()
    try:
        facts = facts_of(file.read_text(), keys)
    except (BadReceipt, OSError, UnicodeDecodeError) as error:
        problems.print(f"This is no receipt of ours: {error}")
        raise typer.Exit(1) from None
    console.print_json(data=facts)


@receipt.command("rotate")
def rotate() -> None:
    """Make a new key for receipts. It signs from now on; the older ones stay, and their receipts good."""
    from api.keys import ReceiptKeys

    folder = Settings().data_dir.absolute() / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    console.print(f"Receipts are signed with key {ReceiptKeys(folder).rotate().kid} from now on.")


@recordings.command("export")
def export(
    recording_id: Annotated[UUID, typer.Argument(help="The recording's id, as its folder is named.")],
    file: Annotated[Path, typer.Argument(help="Where to write the programme.")],
) -> None:
    """Copy a recording's programme out of the store. The copy is beyond any later purge."""
    from api.bucket import open_bucket
    from media.playlist import PROGRAMME
    from media.shelf import Shelf

    settings = Settings()
    shelf = Shelf(settings.data_dir.absolute() / "recordings", open_bucket(settings))
    try:
        source = shelf.files(recording_id).file(PROGRAMME).open()
        with source, file.open("wb") as copy, Progress(console=console) as progress:
            task = progress.add_task("Copying", total=None)
            while piece := source.read(_COPIED_BYTES):
                copy.write(piece)
                progress.advance(task, len(piece))
    except FileNotFoundError:
        problems.print(f"There is no programme of recording {recording_id}.")
        raise typer.Exit(1) from None
