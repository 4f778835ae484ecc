"""Connecting, migrating, and the list of all tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.context import TortoiseContext
from tortoise.exceptions import ConfigurationError
from tortoise.migrations.api import migrate as run_migrations
from tortoise.migrations.autodetector import MigrationAutodetector
from tortoise.migrations.writer import MigrationWriter

from models import migrations, postgres
from models.location import SQLITE

TABLES = (
    "access_token",
    "account",
    "announcement",
    "appeal",
    "attendance",
    "audit_entry",
    "avatar",
    "block",
    "clip",
    "delivery",
    "follow",
    "idempotency_key",
    "identity",
    "installation",
    "invitation",
    "legal_hold",
    "listening",
    "mail_address",
    "notification",
    "participant",
    "payment",
    "playback_position",
    "process",
    "purge_receipt",
    "push_subscription",
    "recording",
    "reminder",
    "removed_card",
    "report",
    "retention_policy",
    "review_decision",
    "review_opening",
    "rollout",
    "sanction",
    "search_word",
    "session",
    "space",
    "space_event",
    "ticket",
    "timeline_event",
    "timeline_item",
    "webhook",
    "webhook_delivery",
)
# FULL: a commit that was answered survives a power cut. One writer waits this long for another process.
_PRAGMAS = {"journal_mode": "WAL", "synchronous": "FULL", "busy_timeout": 5000, "foreign_keys": "ON"}


def _connection(url: str) -> dict[str, Any]:
    """Both databases come with clients of ours."""
    if url.startswith(postgres.SCHEMES):
        return postgres.connection(url)
    if not url.startswith(SQLITE):
        raise ConfigurationError("expected a database URL that begins with sqlite:// or postgres://")
    return {"engine": "models.sqlite", "credentials": {"file_path": url.removeprefix(SQLITE), **_PRAGMAS}}


def config(url: str) -> dict[str, Any]:
    """Tortoise's configuration for one database."""
    return {
        "connections": {"default": _connection(url)},
        "apps": {
            "models": {
                "models": [f"models.{table}" for table in TABLES],
                "migrations": "models.migrations",
                "default_connection": "default",
            }
        },
        "use_tz": True,
        "timezone": "UTC",
    }


async def connect(url: str) -> TortoiseContext:
    """Open the database for this process; every task may use it. Close it with `close`."""
    return await Tortoise.init(config=config(url), _enable_global_fallback=True)


async def close() -> None:
    """Close every connection."""
    await Tortoise.close_connections()


class NewerDatabase(Exception):
    """A newer version has used this database. Run that one, or restore a backup that this one has made."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{type(self).__doc__} Not known here: {', '.join(names)}.")


async def migrate(url: str) -> None:
    """Bring the database to the newest migration, one process at a time; an up-to-date one is left alone.

    Raises NewerDatabase.
    """
    try:
        async with postgres.migrating(url):
            await run_migrations(config=config(url))
            known = {path.stem for path in Path(migrations.__file__).parent.glob("[0-9]*.py")}
            applied = await get_connection("default").execute_query_dict(
                "SELECT name FROM tortoise_migrations ORDER BY name"
            )
            if newer := [row["name"] for row in applied if row["name"] not in known]:
                raise NewerDatabase(newer)
    finally:
        # A connection that stays open has a thread, and that thread would keep a failed start from ending.
        await Tortoise.close_connections()


async def pending_changes() -> Sequence[MigrationWriter]:
    """What the models have that the migrations lack; empty when they agree."""
    settings = config("sqlite://:memory:")
    async with TortoiseContext() as context:
        await context.init(config=settings)
        if context.apps is None:
            raise RuntimeError("the models could not be loaded")
        return await MigrationAutodetector(context.apps, settings["apps"]).changes()
