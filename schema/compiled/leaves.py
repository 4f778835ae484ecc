"""From the value of a field to what JSON shows, as the ordinary executor completes it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from graphql import GraphQLEnumType, GraphQLList, GraphQLNonNull, GraphQLScalarType
from tortoise.fields import BooleanField, CharField, IntField, TextField
from tortoise.fields.data import BigIntField, CharEnumFieldInstance

from models.fields import EPOCH, InstantField

Leaf = Callable[[Any], Any]
_DAY_MS = 86_400_000
_DAYS_KEPT = 4000
_INT = 2**31


class NotCompiled(Exception):
    """The plan does not answer this: the ordinary executor does, and says exactly what is wrong."""


def leaf_of(type_: Any) -> Leaf:
    """How a value of a scalar, an enum, or a list of them is shown. It raises where the ordinary executor would."""
    if isinstance(type_, GraphQLNonNull):
        shown = leaf_of(type_.of_type)

        def present(value: Any) -> Any:
            if value is None:
                raise NotCompiled
            return shown(value)

        return present
    return _or_null(_list_of(type_) if isinstance(type_, GraphQLList) else _one_of(type_))


def _or_null(shown: Leaf) -> Leaf:
    return lambda value: None if value is None else shown(value)


def _list_of(type_: GraphQLList[Any]) -> Leaf:
    item = leaf_of(type_.of_type)

    def items(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise NotCompiled
        return [item(one) for one in value]

    return items


def _one_of(type_: Any) -> Leaf:
    """Text as it is, which is most of all; anything else as its type has it."""
    coerce = type_.coerce_output_value

    def shown(value: Any) -> Any:
        found = coerce(value)
        if found is None:
            raise NotCompiled
        return found

    if isinstance(type_, GraphQLScalarType) and type_.name in {"String", "ID"}:
        return lambda value: value if type(value) is str else shown(value)
    if isinstance(type_, GraphQLScalarType) and type_.name == "Boolean":
        return lambda value: value if type(value) is bool else shown(value)
    if isinstance(type_, GraphQLScalarType) and type_.name == "Int":
        return lambda value: value if type(value) is int and -_INT <= value < _INT else shown(value)
    return shown


def raw_leaf(type_: Any, field: Any) -> tuple[str, Any] | None:
    """How a raw column is shown: text for code over `{}`, and what it calls `fn`; None where only `leaf_of` can."""
    required = isinstance(type_, GraphQLNonNull)
    named = type_.of_type if required else type_
    found = _raw_of(named, field)
    if found is None:
        return None
    text, function = found
    if text == "{}":
        plain = "{}" if not required or not field.null else "fn({})"
        return plain, _required if required else None
    if required and not field.null:
        return text, function
    return "none({}) if ({}) is None else " + text, function


def _required(value: Any) -> Any:
    if value is None:
        raise NotCompiled
    return value


def _raw_of(type_: Any, field: Any) -> tuple[str, Any] | None:
    name = type_.name if isinstance(type_, GraphQLScalarType) else None
    if isinstance(type_, GraphQLEnumType) and isinstance(field, CharEnumFieldInstance):
        values = {one.value: type_.coerce_output_value(one) for one in field.enum_type}
        return "fn[{}]", values
    if isinstance(field, CharEnumFieldInstance):
        return None
    if name == "DateTime" and isinstance(field, InstantField):
        return "fn({})", instant_of(type_.coerce_output_value)
    if name == "Boolean" and isinstance(field, BooleanField):
        return "({}) == 1", None
    if name == "String" and isinstance(field, CharField | TextField):
        return "{}", None
    if name == "ByteCount" and isinstance(field, IntField | BigIntField):
        return "{}", None
    if name == "Int" and isinstance(field, IntField | BigIntField):
        return "fn({})", _int
    return None


def _int(value: int) -> int:
    if not -_INT <= value < _INT:
        raise NotCompiled
    return value


def instant_of(write: Callable[[Any], str]) -> Callable[[int], str]:
    """How an instant in ms is written; `write` writes a day, which is kept, for many instants share it."""
    days: dict[int, str] = {}

    def written(ms: int) -> str:
        number, rest = divmod(ms, _DAY_MS)
        day = days.get(number)
        if day is None:
            if len(days) >= _DAYS_KEPT:
                days.clear()
            day = days[number] = write(EPOCH + timedelta(days=number))[:-13]
        seconds, ms = divmod(rest, 1000)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{day}{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z"

    return written
