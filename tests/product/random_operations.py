"""Random valid queries over a schema: aliases, fragments, conditions, variables, pages, ids that are there or not."""

import random
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
)

_DEEPEST = 6
_TEXTS = ("", "A talk", "host", "moderator", "LISTENER", "nobody at all", "tea", "🎙", "é")
# What is different each time: an anonymous listener's own link, and what reads other clocks.
LEFT_OUT = {"retentionForecast"}


@dataclass
class Written:
    """One operation being written."""

    chance: random.Random
    schema: GraphQLSchema
    ids: list[str]
    cursors: list[str]
    variables: dict[str, Any] = field(default_factory=dict)
    declared: list[str] = field(default_factory=list)
    fragments: list[str] = field(default_factory=list)
    left: int = 40

    def operation(self) -> tuple[str, dict[str, Any]]:
        """A query and its variables."""
        assert self.schema.query_type is not None
        body = self._selection(self.schema.query_type, 0)
        heading = f"query Q({', '.join(self.declared)})" if self.declared else "query"
        return " ".join([heading, body, *self.fragments]), self.variables

    def subscription(self, name: str) -> tuple[str, dict[str, Any]]:
        """A subscription to one stream, from now on, and its variables."""
        assert self.schema.subscription_type is not None
        found = self.schema.subscription_type.fields[name]
        space = self._variable("ID!", self._value("spaceId", None)) if "spaceId" in found.args else ""
        given = f"(spaceId: {space})" if space else ""
        body = f"{{ {name}{given} {self._selection(get_named_type(found.type), 1)} }}"
        heading = f"subscription({', '.join(self.declared)})" if self.declared else "subscription"
        return " ".join([heading, body, *self.fragments]), self.variables

    def _selection(self, type_: Any, depth: int) -> str:
        parts = [self._part(type_, depth) for _ in range(self.chance.randint(1, 5))]
        if self.chance.random() < 0.15:
            parts.append(f"{self._alias(0.3)}__typename")
        return "{ " + " ".join(parts) + " }"

    def _part(self, type_: Any, depth: int) -> str:
        if isinstance(type_, GraphQLUnionType):
            return self._within(type_, depth)
        draw = self.chance.random()
        if draw < 0.12:
            return f"...{self._condition()} {self._selection(type_, depth)}"
        if draw < 0.2:
            return f"... on {type_.name}{self._condition()} {self._selection(type_, depth)}"
        if draw < 0.26:
            name = f"F{len(self.fragments)}"
            place = len(self.fragments)
            self.fragments.append("")
            self.fragments[place] = f"fragment {name} on {type_.name} {self._selection(type_, depth)}"
            return f"...{name}{self._condition()} ...{name}"
        if isinstance(type_, GraphQLInterfaceType) and draw < 0.75:
            return self._within(type_, depth)
        return self._field(type_, depth)

    def _within(self, type_: Any, depth: int) -> str:
        one = self.chance.choice(self.schema.get_possible_types(type_))
        return f"... on {one.name}{self._condition()} {self._selection(one, depth)}"

    def _field(self, type_: GraphQLObjectType | GraphQLInterfaceType, depth: int) -> str:
        named: list[tuple[str, GraphQLField]] = [
            (name, one)
            for name, one in type_.fields.items()
            if name not in LEFT_OUT
            and ((depth < _DEEPEST and self.left > 0) or is_leaf_type(get_named_type(one.type)))
        ]
        if not named:
            return "__typename"
        name, found = self.chance.choice(named)
        self.left -= 1
        below = get_named_type(found.type)
        inner = "" if is_leaf_type(below) else f" {self._selection(below, depth + 1)}"
        # Fields with arguments, and fields of another shape by type, must not share a name.
        alias = self._alias(1.0 if found.args or not isinstance(type_, GraphQLObjectType) or inner else 0.2)
        return f"{alias}{name}{self._arguments(found)}{self._condition()}{inner}"

    def _alias(self, odds: float) -> str:
        return f"a{self.chance.getrandbits(40)}: " if self.chance.random() < odds else ""

    def _condition(self) -> str:
        if self.chance.random() > 0.08:
            return ""
        which = self.chance.choice(["skip", "include"])
        value = self.chance.choice(["true", "false"])
        if self.chance.random() < 0.5:
            value = self._variable("Boolean!", self.chance.random() < 0.5)
        return f" @{which}(if: {value})"

    def _variable(self, type_: str, value: Any) -> str:
        name = f"v{len(self.declared)}"
        self.declared.append(f"${name}: {type_}")
        self.variables[name] = value
        return f"${name}"

    def _arguments(self, of: GraphQLField) -> str:
        given = []
        for name, argument in of.args.items():
            required = isinstance(argument.type, GraphQLNonNull) and argument.default_value is None
            if not required and self.chance.random() < 0.5 and not isinstance(argument.type, GraphQLNonNull):
                continue
            if isinstance(argument.type, GraphQLNonNull) and name not in {
                "id",
                "ids",
                "handle",
                "text",
                "spaceId",
            }:
                continue
            value = self._value(name, argument.type)
            if self.chance.random() < 0.5:
                given.append(f"{name}: {self._variable(str(argument.type), value)}")
            else:
                given.append(f"{name}: {self._literal(argument.type, value)}")
        return f"({', '.join(given)})" if given else ""

    def _value(self, name: str, type_: Any) -> Any:
        if name == "first":
            return self.chance.choice([1, 2, 3, 5, 7])
        if name == "after":
            return self.chance.choice(self.cursors) if self.chance.random() < 0.05 else None
        if isinstance(get_named_type(type_), GraphQLEnumType):
            return self.chance.choice(list(get_named_type(type_).values))
        if name == "ids":
            return [self._id() for _ in range(self.chance.randint(0, 4))]
        if name == "spaceId":
            spaces = [one for one in self.ids if one.startswith("U3BhY2U6")]
            return self.chance.choice(spaces)
        if name.lower().endswith("id"):
            return self._id()
        if name == "points":
            return self.chance.choice([1, 3, 3, 3, 0])
        return self.chance.choice(_TEXTS)

    def _id(self) -> str:
        return self.chance.choice(self.ids) if self.chance.random() < 0.95 else self.chance.choice(["", "x"])

    def _literal(self, type_: Any, value: Any) -> str:
        if isinstance(value, list):
            inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
            assert isinstance(inner, GraphQLList)
            return "[" + ", ".join(self._literal(inner.of_type, one) for one in value) + "]"
        if value is None:
            return "null"
        if isinstance(get_named_type(type_), GraphQLEnumType) or isinstance(value, int):
            return str(value)
        return '"' + str(value) + '"'
