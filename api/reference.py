"""The reference of the API: the schema as pages of docs/api/, and what of it clients can no longer rely on."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    find_breaking_changes,
    get_named_type,
    is_specified_scalar_type,
)
from graphql.language import print_ast
from graphql.pyutils import Undefined
from graphql.utilities import ast_from_value

from services.errors import ErrorCode
from services.tokens import SCOPES

_Named = TypeVar("_Named", bound=GraphQLNamedType)
_Fields = Mapping[str, GraphQLField]

_ROOTS = {"Query": "queries", "Mutation": "mutations", "Subscription": "subscriptions"}
_MADE = "<!-- Made by `make schema` from the schema. -->\n"
_README = """# The API, name by name

Everything is one GraphQL endpoint: `/graphql` takes queries and mutations by POST (queries by GET too), and
subscriptions by WebSocket (`graphql-transport-ws`) or as server-sent events.

| page | what is in it |
|---|---|
{index}

The schema itself is [schema.graphql](../../schema/schema.graphql); [worked examples](../examples/README.md) use it from
Python, TypeScript and a shell. Who may do what is told in [permissions](../permissions.md).

## What an operation costs

Each field counts one, and what is selected inside a page or a list counts as often as the page is long (`first`,
else its default). An operation may cost {cost} by default; that and the other limits are
[settings](../settings.md). Introspection costs nothing.

## What can go wrong

A mutation that is refused changes nothing and says why in `errors` of its payload; a query or a subscription
that fails has a GraphQL error with the same code in `extensions.code`. Tolerate codes that you do not know. With an
`Idempotency-Key` a mutation may be [sent again](../idempotency.md).

{errors}

## What stays

What a release served is served by the next: a field, an argument or a value that is taken away, or a type that is
changed, fails `make check` (`schema/released.graphql` is the schema of the last release). Tolerate what is added:
fields, types, values of enums.
"""


def breaking_changes(released: str, served: str) -> list[str]:
    """What clients of one schema can no longer rely on in another, a sentence each."""
    changes = find_breaking_changes(build_schema(released), build_schema(served))
    return sorted(change.description for change in changes)


def reference(sdl: str, *, cost: int) -> dict[str, str]:
    """The pages by their file names. `cost` is what an operation may cost."""
    return _Reference(build_schema(sdl)).pages(cost)


class _Reference:
    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        own = [found for name, found in sorted(schema.type_map.items()) if not name.startswith("__")]
        self._types = [found for found in own if not is_specified_scalar_type(found)]

    def pages(self, cost: int) -> dict[str, str]:
        """Every page, with an index."""
        made = {
            "queries": ("Queries", "what can be read", self._root("Query")),
            "mutations": ("Mutations", "what can be changed", self._root("Mutation")),
            "subscriptions": ("Subscriptions", "what is pushed", self._root("Subscription")),
            "objects": ("Objects", "what answers consist of", self._objects()),
            "interfaces": ("Interfaces and unions", "what objects have in common", self._interfaces()),
            "inputs": ("Inputs", "what mutations take", self._inputs()),
            "enums": ("Enums", "closed lists of values", self._enums()),
            "scalars": ("Scalars", "values that are written in one way", self._scalars()),
        }
        index = "\n".join(f"| [{title}]({name}.md) | {what} |" for name, (title, what, _) in made.items())
        errors = "\n".join(f"- [{code.value}](../errors/{code.value}.md)" for code in ErrorCode)
        pages = {"README.md": _MADE + _README.format(index=index, errors=errors, cost=f"{cost:,}")}
        for name, (title, _, parts) in made.items():
            pages[f"{name}.md"] = f"{_MADE}# {title}\n\n" + "\n".join(parts)
        return pages

    def _kind(self, kind: type[_Named]) -> Iterator[_Named]:
        return (found for found in self._types if isinstance(found, kind) and found.name not in _ROOTS)

    def _root(self, name: str) -> Iterator[str]:
        root = self._schema.type_map[name]
        assert isinstance(root, GraphQLObjectType)
        for called, field in sorted(root.fields.items()):
            yield f"## {called}\n\n{_words(field.description)}\n\nAnswers {self._type(field)}.{_paged(field)}\n"
            scopes = _scopes(name, called)
            yield f"An access token {f'needs the scope {scopes}' if scopes else 'may not do this'}.\n"
            yield from self._table("argument", field.args)

    def _objects(self) -> Iterator[str]:
        for found in self._kind(GraphQLObjectType):
            yield self._head(found)
            if found.interfaces:
                yield f"Implements {', '.join(self._link(one) for one in found.interfaces)}.\n"
            yield from self._fields(found.fields)

    def _interfaces(self) -> Iterator[str]:
        for found in self._kind(GraphQLInterfaceType):
            yield self._head(found)
            yield f"Implemented by {self._links(self._schema.get_possible_types(found))}.\n"
            yield from self._fields(found.fields)
        for union in self._kind(GraphQLUnionType):
            yield self._head(union)
            yield f"One of {self._links(union.types)}.\n"

    def _inputs(self) -> Iterator[str]:
        for found in self._kind(GraphQLInputObjectType):
            yield self._head(found)
            yield from self._table("field", found.fields)

    def _enums(self) -> Iterator[str]:
        for found in self._kind(GraphQLEnumType):
            yield self._head(found)
            yield "| value | |\n|---|---|"
            yield from (f"| `{name}` | {_cell(value.description)} |" for name, value in found.values.items())
            yield ""

    def _scalars(self) -> Iterator[str]:
        for found in self._kind(GraphQLScalarType):
            yield self._head(found)
            if found.specified_by_url:
                yield f"[Specified]({found.specified_by_url}).\n"

    def _fields(self, fields: _Fields) -> Iterator[str]:
        yield "| field | type | |\n|---|---|---|"
        for name, field in sorted(fields.items()):
            # Arguments of a field inside a type stand in its row.
            arguments = [
                f" `{called}`: {self._type(argument)}{_default(argument)}, {_cell(argument.description)}"
                for called, argument in field.args.items()
            ]
            words = _cell(field.description) + "".join(f"<br>{argument}" for argument in arguments)
            yield f"| `{name}` | {self._type(field)} | {words}{_cell(_paged(field))} |"
        yield ""

    def _table(self, what: str, rows: Mapping[str, GraphQLArgument]) -> Iterator[str]:
        if rows:
            yield f"| {what} | type | |\n|---|---|---|"
            for name, row in rows.items():
                yield f"| `{name}` | {self._type(row)}{_default(row)} | {_cell(row.description)} |"
            yield ""

    def _head(self, found: GraphQLNamedType) -> str:
        return f"## {found.name}\n\n{_words(found.description)}\n"

    def _links(self, types: Iterable[GraphQLNamedType]) -> str:
        return ", ".join(self._link(found) for found in sorted(types, key=lambda found: found.name))

    def _link(self, found: GraphQLNamedType, shown: str = "") -> str:
        shown = f"`{shown or found.name}`"
        if is_specified_scalar_type(found):
            return shown
        return f"[{shown}]({_page(found)}.md#{found.name.lower()})"

    def _type(self, of: GraphQLField | GraphQLArgument) -> str:
        return self._link(get_named_type(of.type), str(of.type))


def _page(found: GraphQLNamedType) -> str:
    match found:
        case GraphQLEnumType():
            return "enums"
        case GraphQLScalarType():
            return "scalars"
        case GraphQLInputObjectType():
            return "inputs"
        case GraphQLInterfaceType() | GraphQLUnionType():
            return "interfaces"
    return "objects"


def _scopes(root: str, name: str) -> str:
    if root != "Mutation":
        return "`READ`"
    return " or ".join(f"`{scope.value}`" for scope in sorted(SCOPES.get(name, ())))


def _paged(field: GraphQLField) -> str:
    first = field.args.get("first")
    if first is None:
        return ""
    return f" What is selected in it costs as often as the page is long: `first`, {first.default_value} unless given."


def _default(argument: GraphQLArgument) -> str:
    if argument.default_value is Undefined:
        return ""
    node = ast_from_value(argument.default_value, argument.type)
    return f" = `{print_ast(node)}`" if node is not None else ""


def _words(text: str | None) -> str:
    return (text or "").strip()


def _cell(text: str | None) -> str:
    return " ".join(_words(text).split()).replace("|", "\\|")
