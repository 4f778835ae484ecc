"""The page of all settings, made from what `Settings` says of each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from api.settings import Settings

_PAGE = """\
# Settings

Every setting is an environment variable; without it the default holds. `spaces doctor` shows the settings in force and
checks them. Units stand in the names or the text. This page is made from `api/settings.py`:
`.venv/bin/spaces doctor --markdown > docs/settings.md`.

| variable | type | default | what it is, and what changing it costs |
|---|---|---|---|
"""


def settings_page() -> str:
    """Markdown: a row for every setting, in the order of `Settings`, its parts in other files last."""
    fields = sorted(Settings.model_fields.items(), key=lambda named: named[0] not in Settings.__annotations__)
    return _PAGE + "".join(_row(name, field) for name, field in fields)


def _row(name: str, field: FieldInfo) -> str:
    cells = (f"`{variable_of(name)}`", _type(field), written(field.default), field.description or "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"{Settings.model_config['env_prefix']}{name}".upper()


def _type(field: FieldInfo) -> str:
    kinds: dict[Any, str] = {
        bool: "true or false",
        int: "whole number",
        float: "number",
        Path: "path",
        str: "text",
        SecretStr: "text",
    }
    kind = "JSON list" if get_origin(field.annotation) is tuple else kinds[field.annotation]
    bounds = " ".join(_bounds(field))
    return f"{kind}, {bounds}" if bounds else kind


def _bounds(field: FieldInfo) -> Iterator[str]:
    for bound in field.metadata:
        match bound:
            case Ge(ge=limit):
                yield f"from {limit}"
            case Gt(gt=limit):
                yield f"above {limit}"
            case Le(le=limit):
                yield f"to {limit}"
            case Lt(lt=limit):
                yield f"below {limit}"


def written(value: object) -> str:
    """A value as the page has it; of a secret only whether there is one."""
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case "":
            return "empty"
        case SecretStr():
            return "***" if value else "empty"
        case tuple():
            return f"`{list(value)}`"
        case float() if value.is_integer():
            return f"`{int(value)}`"
        case _:
            return f"`{value}`"
