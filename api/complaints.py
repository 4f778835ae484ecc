"""What is wrong from outside, in a line for an operator: settings, folders, databases. The rest is traced."""

import asyncpg
from pydantic import ValidationError
from pydantic_settings import SettingsError
from tortoise.exceptions import BaseORMException

from api.bucket import StoreElsewhere
from api.lock import FolderInUse
from api.settings import NoSecrets
from media.plain import StoreAway
from models.database import NewerDatabase
from models.dialect import DatabaseAway
from services.installation import Mismatch
from services.restored import RestoreUnfinished

# For as long as they last all meet them, and a trace tells nothing.
AWAY = (DatabaseAway, StoreAway)
_SAID_BY_ITSELF = (
    FolderInUse,
    Mismatch,
    NewerDatabase,
    NoSecrets,
    RestoreUnfinished,
    SettingsError,
    StoreElsewhere,
)


def complaint(error: BaseException | None) -> str | None:
    """The line; None for what nobody outside can mend. No value of a setting is in it."""
    match error:
        case ValidationError():
            return "\n".join(map(_of_setting, error.errors(include_input=False, include_url=False)))
        case BaseORMException() | asyncpg.PostgresError() | asyncpg.InterfaceError():
            return f"The database cannot be used: {_named(error)}"
        case StoreAway():
            return f"The store is away: {_named(error)}"
        case OSError():
            return _named(error)
    return str(error) if isinstance(error, _SAID_BY_ITSELF) else None


def _named(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _of_setting(found: object) -> str:
    assert isinstance(found, dict)
    place = ".".join(str(part) for part in found["loc"])
    said = str(found["msg"]).removeprefix("Value error, ")
    return f"SPACES_{place.upper()}: {said}" if place else said
