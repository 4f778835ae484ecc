"""What each of the people is told: a letter for a field, a root or a change."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
)

from schema.build import build_schema as build_ours
from tests.product.permission_town import World
from tests.product.town import Person

# What a cell says. Codes of errors are told by their letter.
VALUE, NOTHING, YES, NO, UNSEEN = "+", "0", "y", "n", "."
CODES = {
    "UNAUTHENTICATED": "A",
    "FORBIDDEN": "F",
    "NOT_FOUND": "N",
    "CONFLICT": "C",
    "INVALID_INPUT": "I",
    "TICKET_REQUIRED": "T",
}


@cache
def served_once() -> GraphQLSchema:
    """The served schema, built once: it takes a tenth of a second."""
    return build_schema(build_ours().as_str())


# ---------- reading ----------


@dataclass(frozen=True)
class Place:
    """Where an object of a type is met: a query with `%` for what is wanted of it, things in `$…$`."""

    type: str
    query: str


def selection(schema: GraphQLSchema, type_name: str, names: list[str]) -> str:
    """Fields of a type, one level deep."""
    found = schema.type_map[type_name]
    assert isinstance(found, GraphQLObjectType | GraphQLInterfaceType)
    return " ".join(name + _below(found.fields[name].type) for name in names)


def _below(wanted: Any) -> str:
    inner = get_named_type(wanted)
    if not isinstance(inner, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType):
        return ""
    return " { edges { cursor } }" if inner.name.endswith("Connection") else " { __typename }"


def _classify(name: str, value: Any) -> str:
    if isinstance(value, dict) and "edges" in value:
        value = value["edges"]
    if value is None or value == []:
        return NOTHING
    if isinstance(value, bool) and name.startswith("viewer"):
        return YES if value else NO
    return VALUE


async def read_cells(world: World, place: Place, names: list[str], who: str) -> dict[str, str]:
    """What one of the people is told of each of these fields."""
    query = place.query
    for name, thing in world.things.items():
        query = query.replace(f"${name}$", json.dumps(thing))
    query = query.replace(
        "%", "{ ... on " + place.type + " { " + selection(served_once(), place.type, names) + " } }"
    )
    person = world.people[who]
    if query.startswith("subscription"):
        answer = await _first_event(person, query)
    else:
        answer = await person.ask(query)
    if answer.get("errors"):
        return dict.fromkeys(names, CODES[answer["errors"][0]["extensions"]["code"]])
    found: Any = _dig(answer["data"], names)
    if found is None:
        return dict.fromkeys(names, UNSEEN)
    return {name: _classify(name, found[name]) for name in names}


def _dig(value: Any, names: list[str]) -> Any:
    """The first object in an answer that has the fields; None when there is none."""
    if isinstance(value, list):
        return next((found for one in value if (found := _dig(one, names)) is not None), None)
    if not isinstance(value, dict):
        return None
    if names[0] in value:
        return value
    return _dig(list(value.values()), names)


async def _first_event(person: Person, query: str) -> dict[str, Any]:
    """The first answer of a subscription."""
    headers = {**person.headers, "Accept": "text/event-stream"}
    async with person.town.http.stream("POST", "/graphql", json={"query": query}, headers=headers) as stream:
        async for line in stream.aiter_lines():
            if line.startswith(("data: ", "{")):
                answer: dict[str, Any] = json.loads(line.removeprefix("data: "))
                return answer
    raise AssertionError("the subscription ended before it told anything")


# ---------- changing ----------

Given = Callable[[World, str], Awaitable[Mapping[str, Any]]]


async def change_cell(world: World, mutation: str, given: Given, who: str) -> str:
    """What one of the people is told who asks for a change."""
    person = world.people[who]
    fields = dict(await given(world, who))
    name = mutation[0].upper() + mutation[1:]
    query = f"mutation($input: {name}Input!) {{ {mutation}(input: $input) {{ errors {{ code message }} }} }}"
    by = fields.pop("by", person)
    answer = await by.ask(query, input=fields)
    errors = answer.get("errors") or answer["data"][mutation]["errors"]
    if not errors:
        return VALUE
    code = errors[0].get("code") or errors[0]["extensions"]["code"]
    return CODES.get(str(code), str(code))


async def root_cell(world: World, query: str, who: str) -> str:
    """What one of the people is told at a root of the schema."""
    for name, thing in world.things.items():
        query = query.replace(f"${name}$", json.dumps(thing))
    person = world.people[who]
    answer = await (_first_event(person, query) if query.startswith("subscription") else person.ask(query))
    if answer.get("errors"):
        return str(CODES[answer["errors"][0]["extensions"]["code"]])
    ((name, value),) = answer["data"].items()
    return _classify(name, [one for one in value if one] if isinstance(value, list) else value)
