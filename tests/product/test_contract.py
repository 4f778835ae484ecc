"""The served schema holds the contract."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_client_schema,
    build_schema,
    get_introspection_query,
    is_specified_scalar_type,
    print_schema,
)
from graphql.pyutils import Undefined

from schema.build import build_schema as build_ours
from tests.product.still_to_come import STILL_TO_COME
from tests.product.town import Town

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared" / "contract.graphql"
EXPORTED = REPOSITORY / "schema" / "schema.graphql"

_FILLERS = {"a", "an", "the", "this", "it", "its", "is", "of"}
_FIELDED = GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType


def _served() -> GraphQLSchema:
    """The served schema as it is printed, so that defaults have the same form on both sides."""
    return build_schema(build_ours().as_str())


def _own_types(schema: GraphQLSchema) -> Iterator[GraphQLNamedType]:
    for name, found in schema.type_map.items():
        if not name.startswith("__") and not is_specified_scalar_type(found):
            yield found


def _names(schema: GraphQLSchema) -> Iterator[tuple[str, str]]:
    """Every name of a schema with what it promises."""
    for found in _own_types(schema):
        yield found.name, type(found).__name__
        if isinstance(found, GraphQLObjectType | GraphQLInterfaceType):
            for interface in found.interfaces:
                yield f"{found.name} implements {interface.name}", ""
        if isinstance(found, GraphQLUnionType):
            for member in found.types:
                yield f"{found.name} | {member.name}", ""
        if isinstance(found, GraphQLEnumType):
            for value in found.values:
                yield f"{found.name}.{value}", ""
        if isinstance(found, _FIELDED):
            for name, field in found.fields.items():
                yield from _field(f"{found.name}.{name}", field)


def _field(name: str, field: Any) -> Iterator[tuple[str, str]]:
    yield name, f"{field.type}{_default(field)}"
    for argument_name, argument in getattr(field, "args", {}).items():
        yield f"{name}({argument_name})", f"{argument.type}{_default(argument)}"


def _default(thing: Any) -> str:
    value = getattr(thing, "default_value", Undefined)
    return "" if value is Undefined else f" = {value!r}"


def _outermost(names: set[str]) -> set[str]:
    """Without names that lie within another of them."""
    return {
        name
        for name in names
        if not any(
            other != name and name.startswith((f"{other}.", f"{other}(", f"{other} ")) for other in names
        )
    }


def test_the_served_schema_holds_the_contract_but_for_what_is_still_to_come() -> None:
    in_force = SHARED if SHARED.exists() else EXPORTED
    still_to_come = STILL_TO_COME if SHARED.exists() else frozenset()
    promised = dict(_names(build_schema(in_force.read_text())))
    served = dict(_names(_served()))
    missing = _outermost(promised.keys() - served.keys())
    assert missing - still_to_come == set(), "promised, not served, and not told as still to come"
    assert still_to_come - missing == set(), "told as still to come, yet served (or never promised)"
    different = {
        name: f"expected {promised[name]}, got {served[name]}"
        for name in promised.keys() & served.keys()
        if promised[name] != served[name]
    }
    assert different == {}


def test_what_is_added_to_the_contract_asks_nothing_of_clients() -> None:
    if not SHARED.exists():
        return
    promised = dict(_names(build_schema(SHARED.read_text())))
    schema = _served()
    for found in _own_types(schema):
        if isinstance(found, GraphQLInputObjectType) and found.name in promised:
            for name, field in found.fields.items():
                added = f"{found.name}.{name}" not in promised
                assert not (added and str(field.type).endswith("!") and field.default_value is Undefined)
        if isinstance(found, GraphQLObjectType | GraphQLInterfaceType):
            for name, outer in found.fields.items():
                for argument_name, argument in outer.args.items():
                    full = f"{found.name}.{name}({argument_name})"
                    if f"{found.name}.{name}" in promised and full not in promised:
                        assert not str(argument.type).endswith("!"), full


def _described(schema: GraphQLSchema) -> dict[str, str]:
    """What stands beside every name of a schema."""
    described: dict[str, str] = {}
    for found in _own_types(schema):
        parts: dict[str, Any] = {found.name: found}
        if isinstance(found, GraphQLEnumType):
            parts |= {f"{found.name}.{name}": value for name, value in found.values.items()}
        if isinstance(found, _FIELDED):
            for name, field in found.fields.items():
                parts[f"{found.name}.{name}"] = field
                for argument_name, argument in getattr(field, "args", {}).items():
                    parts[f"{found.name}.{name}({argument_name})"] = argument
        described |= {name: (part.description or "").strip() for name, part in parts.items()}
    return described


def test_everything_served_has_a_description() -> None:
    assert [name for name, words in _described(_served()).items() if not words] == []


def test_a_description_says_more_than_the_name() -> None:
    echoes = [
        name
        for name, words in _described(_served()).items()
        if _words(words) - _FILLERS <= _words(name.rpartition(".")[2])
    ]
    assert echoes == []


def _words(text: str) -> set[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " "))
    return set(re.findall(r"\w+", parted.lower()))


def test_the_exported_schema_is_the_served_one() -> None:
    assert dict(_names(build_schema(EXPORTED.read_text()))) == dict(_names(_served()))


async def test_a_client_learns_the_same_schema_by_introspection(town: Town) -> None:
    data = await town.anyone.read(get_introspection_query(descriptions=True))
    told = build_schema(print_schema(build_client_schema(data)))
    assert dict(_names(told)) == dict(_names(_served()))
