"""Rows of which only some columns are read: model objects that cost little, with the raw values beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from tortoise.fields import BooleanField, CharField, IntField, JSONField, TextField
from tortoise.fields.data import BigIntField, CharEnumFieldInstance, UUIDField
from tortoise.models import Model

from models.fields import InstantField, from_ms

# The same ids and times come again and again, and making them takes ten times as long as finding them.
_uuid = lru_cache(maxsize=20_000)(UUID)
_instant = lru_cache(maxsize=20_000)(from_ms)
# What JSON gives as it is.
_PLAIN = (CharField, TextField, IntField, BigIntField)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Columns of a table in the order in which they are read.

    `attributes` are those that the row has as a model object has them. The others, and these, stand in `raw_`, as
    JSON has them: ids as text, instants in ms, booleans maybe as 0 and 1. `columns_` of a row says which there are.
    """

    model: type[Model]
    names: tuple[str, ...]
    attributes: frozenset[str]

    def with_attributes(self, *names: str) -> "Columns":
        """The same and these, for whoever reads them of the row. The place of each column stays."""
        return _with_attributes(self, names)

    def rows(self, found: Sequence[Sequence[Any]]) -> list[Any]:
        """The rows of one value a column each."""
        return list(map(_maker(self), found))


@lru_cache(maxsize=1000)
def _with_attributes(columns: Columns, names: tuple[str, ...]) -> Columns:
    more = tuple(dict.fromkeys(name for name in names if name not in columns.names))
    return Columns(
        model=columns.model, names=columns.names + more, attributes=columns.attributes | frozenset(names)
    )


@lru_cache(maxsize=1000)
def _maker(columns: Columns) -> Callable[[Sequence[Any]], Any]:
    """A function that makes a row. Only names of columns stand in its text."""
    known: dict[str, Any] = {"new": columns.model.__new__, "model": columns.model, "columns": columns}
    lines = [
        "def make(raw):",
        " row = new(model)",
        " of = row.__dict__",
        " of['raw_'] = raw",
        " of['columns_'] = columns",
    ]
    for place, name in enumerate(columns.names):
        if name not in columns.attributes:
            continue
        field = columns.model._meta.fields_map[name]
        value = f"raw[{place}]"
        if not isinstance(field, _PLAIN) or isinstance(field, CharEnumFieldInstance):
            known[f"read{place}"] = _reader(field)
            value = f"None if raw[{place}] is None else read{place}(raw[{place}])"
        lines.append(f" of[{name!r}] = {value}")
    lines.append(" return row")
    exec("\n".join(lines), known)  # noqa: S102
    made: Callable[[Sequence[Any]], Any] = known["make"]
    return made


def _reader(field: Any) -> Callable[[Any], Any]:
    if isinstance(field, InstantField):
        return _instant
    if isinstance(field, BooleanField):
        return bool
    if isinstance(field, CharEnumFieldInstance):
        return {one.value: one for one in field.enum_type}.__getitem__
    if isinstance(field, UUIDField):
        return _uuid
    if isinstance(field, JSONField):
        return field.to_python_value
    raise TypeError(f"expected a column that JSON can hold, got {field.model_field_name}")
