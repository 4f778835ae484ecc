"""From the value of a field to what JSON shows, as the ordinary executor completes it."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from graphql import GraphQLEnumType, GraphQLList, GraphQLNonNull, GraphQLScalarType
from tortoise.fields import BooleanField, CharField, IntField, TextField
from tortoise.fields.data import BigIntField, CharEnumFieldInstance

from models.fields import InstantField, from_ms

Leaf = Callable[[Any], Any]
# All plans share what is kept, by type.
_TYPES, _KEPT = 200, 20_000
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


# What most values are, and then shown as they are.
_AS_IS = {
    "String": "type(t) is str",
    "ID": "type(t) is str",
    "Boolean": "type(t) is bool",
    "Int": f"type(t) is int and {-_INT} <= t < {_INT}",
}


def leaf_text(type_: Any, value: str, leaf: str) -> str:
    """Code that shows the value of an expression. `leaf` is the name of `leaf_of` there."""
    required = isinstance(type_, GraphQLNonNull)
    named = type_.of_type if required else type_
    is_as_it_is = _AS_IS.get(named.name) if isinstance(named, GraphQLScalarType) else None
    if is_as_it_is is None:
        return f"{leaf}({value})"
    first, _, rest = is_as_it_is.partition("(t)")
    if required:
        return f"(t if {first}(t := {value}){rest} else {leaf}(t))"
    return f"(t if (t := {value}) is None or {is_as_it_is} else {leaf}(t))"


def _or_null(shown: Leaf) -> Leaf:
    return lambda value: None if value is None else shown(value)


def _list_of(type_: GraphQLList[Any]) -> Leaf:
    item = leaf_of(type_.of_type)

    def items(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise NotCompiled
        return [item(one) for one in value]

    return items


@lru_cache(maxsize=_TYPES)
def _one_of(type_: Any) -> Leaf:
    coerce = type_.coerce_output_value

    def shown(value: Any) -> Any:
        found = coerce(value)
        if found is None:
            raise NotCompiled
        return found

    if isinstance(type_, GraphQLEnumType) or type_.name == "DateTime":
        # Few values that come again and again.
        return lru_cache(maxsize=_KEPT)(shown)
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
        return "fn({})", written(type_)
    if name == "Boolean" and isinstance(field, BooleanField):
        return "({}) == 1", None
    if name == "String" and isinstance(field, CharField | TextField):
        return "{}", None
    if name == "ByteCount" and isinstance(field, IntField | BigIntField):
        return "{}", None
    if name == "Int" and isinstance(field, IntField | BigIntField):
        return "fn({})", _int
    return None


@lru_cache(maxsize=_TYPES)
def written(type_: Any) -> Callable[[int], str]:
    """How an instant in ms is written. The same ones come again and again."""
    return lru_cache(maxsize=_KEPT)(lambda ms: type_.coerce_output_value(from_ms(ms)))


def _int(value: int) -> int:
    if not -_INT <= value < _INT:
        raise NotCompiled
    return value
