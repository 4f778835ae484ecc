"""`spaces doctor`: every setting with its consequence, and whether this installation can work."""

import asyncio
import errno
import ipaddress
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
from rich.console import Console
from rich.markup import escape

from api.settings import Settings, misnamed
from api.settings_page import variable_of, written

_MIN_PYTHON = (3, 11)
# An hour of recording takes some 29 MB a programme; below this a busy evening fills the disk.
_LOW_SPACE_BYTES = 2_000_000_000
_GRAPHIQL = Path(__file__).parent / "static" / "graphiql" / "index.html"
_ANYWHERE = frozenset({"0.0.0.0", "::", ""})
_TIMEOUT_S = 1.0

# ---------- the checks ----------


class Verdict(StrEnum):
    """What a check found. WARN: it works, but not as one may think."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    verdict: Verdict
    subject: str
    text: str


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding(Verdict.OK, subject, text)


def warn(subject: str, text: str) -> Finding:
    """It works, but."""
    return Finding(Verdict.WARN, subject, text)


def fail(subject: str, text: str) -> Finding:
    """It cannot work; the text says what to do."""
    return Finding(Verdict.FAIL, subject, text)


def check_installation(settings: Settings, console: Console) -> int:
    """Print the settings in force and what the checks find. 1 when one of them fails, else 0.

    Changes nothing. Passwords are not shown.
    """
    console.print("[bold]Settings in force[/]")
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        shown = _without_password(value) if name == "database_url" else written(value).strip("`")
        if not field.repr and value:
            shown = "(secret)"
        changed = "" if value == field.default else "  [cyan](set)[/]"
        console.print(f"  {variable_of(name)} = {escape(shown)}{changed}", highlight=False, soft_wrap=True)
    console.print("\n[bold]Checks[/]")
    findings = [finding for check in CHECKS for finding in check(settings)]
    for finding in findings:
        verdict = f"[{_STYLES[finding.verdict]}]{finding.verdict:<4}[/]"
        text = f"  {verdict}  {finding.subject}: {escape(finding.text)}"
        console.print(text, highlight=False, soft_wrap=True)
    return int(any(finding.verdict is Verdict.FAIL for finding in findings))


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if not url:
        return "empty"
    if not parts.password:
        return url
    login, _, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login.partition(':')[0]}:***@{place}"))


def check_python(_settings: Settings) -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    new_enough = sys.version_info[:2] >= _MIN_PYTHON
    yield ok("Python", version) if new_enough else fail("Python", f"expected 3.11 or newer, got {version}")


def check_names(_settings: Settings) -> Iterator[Finding]:
    """Whether a name of a setting is misspelt: what it should have set stays as it was."""
    for name, meant in misnamed():
        yield warn(
            name, f"there is no such setting. Did you mean {meant}?" if meant else "there is no such setting."
        )


def check_data_folder(settings: Settings) -> Iterator[Finding]:
    """Whether recordings can be written, and for how long."""
    folder = settings.data_dir.absolute()
    # A folder still to be made is judged by the nearest one that is there.
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        yield fail("data folder", f"{there} is a file. Set SPACES_DATA_DIR to a folder.")
        return
    writable = _is_writable(there)
    text = f"{folder}" if there == folder else f"{folder} (made at the first start)"
    yield (
        ok("data folder", text)
        if writable
        else fail("data folder", f"{there} cannot be written to. Change its owner, or set SPACES_DATA_DIR.")
    )
    free_bytes = shutil.disk_usage(there).free
    left = f"{free_bytes / 1e9:.1f} GB free"
    if free_bytes < settings.disk_floor_mb * 1_000_000:
        yield fail("disk", f"{left}: nothing more can be recorded. Make room, or lower SPACES_DISK_FLOOR_MB.")
    elif free_bytes < _LOW_SPACE_BYTES:
        yield warn("disk", f"{left}; an hour of recording takes some 30 MB, and each speaker's track as much")
    else:
        yield ok("disk", left)


def _is_writable(folder: Path) -> bool:
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def check_database(settings: Settings) -> Iterator[Finding]:
    """Whether it answers, and has the newest migration."""
    from models.location import sqlite_url

    file = settings.data_dir.absolute() / "spaces.sqlite3"
    if settings.database == sqlite_url(file) and not file.exists():
        yield ok("database", "SQLite, made at the first start")
        return
    try:
        waiting = asyncio.run(_count_waiting_migrations(settings.database))
    except Exception as error:  # noqa: BLE001 (every driver has errors of its own, and the report goes on)
        yield fail(
            "database", f"cannot be read: {str(error) or type(error).__name__}. Look at SPACES_DATABASE_URL."
        )
        return
    if waiting:
        yield warn("database", f"{waiting} migration(s) wait. `spaces migrate` or the next start runs them.")
    else:
        yield ok("database", "answers, and its migrations are up to date")


async def _count_waiting_migrations(url: str) -> int:
    from tortoise import Tortoise
    from tortoise.connection import get_connection
    from tortoise.migrations.executor import MigrationExecutor

    from models.database import config

    settings = config(url)
    await Tortoise.init(config=settings, init_connections=False)
    try:
        connection = get_connection("default")
        await connection.execute_query("SELECT 1")  # the plan alone takes no answer for an empty database
        return len(await MigrationExecutor(connection, settings["apps"]).plan())
    finally:
        await Tortoise.close_connections()


def check_keys(settings: Settings) -> Iterator[Finding]:
    """Whoever reads the keys can sign links to every recording."""
    folder = settings.data_dir.absolute() / "keys"
    if not folder.exists():
        yield ok("keys", "made at the first start")
        return
    # A folder that nobody else may enter guards what is in it.
    open_to_others = bool(folder.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH))
    shared = stat.S_IRWXG | stat.S_IRWXO
    loose = [path for path in folder.iterdir() if path.stat().st_mode & shared]
    if open_to_others and loose:
        yield fail("keys", f"others can read {loose[0]}. Run: chmod 700 {folder} && chmod 600 {folder}/*")
    elif open_to_others or loose:
        yield warn(
            "keys", f"only one of two locks is closed. Run: chmod 700 {folder} && chmod 600 {folder}/*"
        )
    else:
        yield ok("keys", "readable by their owner alone")


def check_port(settings: Settings) -> Iterator[Finding]:
    """Whether a server can be started, or runs already."""
    place = f"{settings.host}:{settings.port}"
    problem = port_problem(settings)
    if problem is None:
        yield ok("port", f"{place} is free")
    elif problem.errno == errno.EADDRINUSE:
        if serves_spaces(local_url(settings)):
            yield ok("port", f"Spaces answers at {local_url(settings)}")
        else:
            yield fail("port", f"{place} is taken by another program. Stop it, or set SPACES_PORT.")
    else:
        yield fail(
            "port", f"{place} cannot be listened on: {problem.strerror}. Set SPACES_HOST or SPACES_PORT."
        )


def port_problem(settings: Settings) -> OSError | None:
    """Why the server could not listen; None when it could."""
    try:
        found = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def local_url(settings: Settings) -> str:
    """Where this machine reaches the server."""
    host = settings.host
    if host in _ANYWHERE:
        host = "::1" if host == "::" else "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def serves_spaces(url: str) -> bool:
    """Whether a Spaces server answers there."""
    try:
        answer = httpx.get(f"{url}/readyz", timeout=_TIMEOUT_S, trust_env=False).json()
    except (httpx.HTTPError, ValueError):
        return False
    return isinstance(answer, dict) and "media" in answer


def check_audio(_settings: Settings) -> Iterator[Finding]:
    """The codecs that recording and listening need."""
    import av

    missing = []
    for name, mode in (("aac", "w"), ("libopus", "w"), ("opus", "r")):
        try:
            av.Codec(name, mode)  # type: ignore[arg-type]
        except (ValueError, LookupError):
            missing.append(name)
    if missing:
        yield fail(
            "audio", f"PyAV {av.__version__} lacks {', '.join(missing)}. Run `make setup` for its wheel."
        )
    else:
        yield ok("audio", f"PyAV {av.__version__} with aac, libopus and opus")


def check_ice(settings: Settings) -> Iterator[Finding]:
    """Whether publishers can reach the address that they are told."""
    address = settings.audio_address
    outside = urlsplit(settings.public).hostname not in {"localhost", "127.0.0.1", "::1"}
    if address is None:
        yield ok("audio address", "every address of this machine but loopback")
        return
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        yield fail("audio address", f"expected an IP address, got {address}. Set SPACES_ICE_ADDRESS.")
        return
    if parsed.is_unspecified or parsed.is_multicast:
        yield fail("audio address", f"{address} is nobody's address. Set SPACES_ICE_ADDRESS.")
    elif parsed.is_loopback and outside:
        yield warn("audio address", f"{address}: only this machine can publish. Set SPACES_ICE_ADDRESS.")
    elif parsed.is_loopback:
        yield ok("audio address", f"{address}: publishers on this machine alone, as the web address says")
    else:
        yield ok("audio address", address)


def check_graphiql(_settings: Settings) -> Iterator[Finding]:
    """The page for browsers at /graphql."""
    built = _GRAPHIQL.exists()
    yield (
        ok("GraphiQL", "built")
        if built
        else warn(
            "GraphiQL",
            "not built: /graphql shows a plain page. Install Node.js 20.19 or newer and run `make setup`.",
        )
    )


def check_store(settings: Settings) -> Iterator[Finding]:
    """Whether recordings can be looked for in the object store, which a purge has to."""
    from api.bucket import ask_bucket

    problem, told = ask_bucket(settings)
    if problem or told:
        yield fail("store", problem) if problem else ok("store", told)


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    check_python,
    check_names,
    check_data_folder,
    check_database,
    check_keys,
    check_port,
    check_audio,
    check_ice,
    check_graphiql,
    check_store,
)
