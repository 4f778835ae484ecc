"""Guards that need the schema and the variables: the cost of an operation and the sizes of its pages.

What a document fixes is weighed once; what hangs on variables is left as a small tree that each request
fills in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInt,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    Node,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from api.graphql.errors import LimitExceeded
from api.graphql.limits import Limits
from services.errors import InvalidInput

_ABSENT = object()
_UNCOUNTABLE = 10**12


@dataclass(frozen=True, slots=True)
class PageArgument:
    """A `first`, `after` or `ids` whose value comes with each request."""

    name: str
    field: str
    variable: str
    if_absent: Any
    """What holds when the variable is not given: its default, else that of the argument."""


@dataclass(frozen=True, slots=True)
class Weight:
    """Fields that count once, groups of fields that count once a page item, and fragments."""

    fields: int
    groups: tuple[tuple["int | PageArgument", "Weight"], ...] = ()
    spreads: tuple[str, ...] = ()

    def cost(self, variables: Mapping[str, Any], fragments: Mapping[str, int]) -> int:
        """The fields this selects, at most."""
        total = self.fields + sum(fragments[name] for name in self.spreads)
        for size, group in self.groups:
            items = size if isinstance(size, int) else _items(size, variables)
            total += items * group.cost(variables, fragments)
        return min(total, _UNCOUNTABLE)


@dataclass(frozen=True, slots=True)
class Guard:
    """What is checked of one operation at each request."""

    weight: Weight
    fragments: tuple[tuple[str, Weight], ...]
    """Those that the operation reaches, each after those that it spreads."""
    pages: tuple[PageArgument, ...]
    is_constant: bool

    def check(self, variables: Mapping[str, Any], *, limits: Limits) -> None:
        """Raise InvalidInput for a page size or cursor, LimitExceeded for a cost, that is beyond the
        limits.
        """
        for page in self.pages:
            _check_page(page.name, _value(page, variables), page.field, limits)
        costs: dict[str, int] = {}
        for name, weight in self.fragments:
            costs[name] = weight.cost(variables, costs)
        check_cost(self.weight.cost(variables, costs), limits)


def check_cost(cost: int, limits: Limits) -> None:
    """Raise LimitExceeded when `cost` is."""
    if cost > limits.cost:
        shown = str(cost) if cost < _UNCOUNTABLE else "uncountable"
        raise LimitExceeded(
            f"The operation costs {shown} (fields times page sizes), the limit is {limits.cost}."
            " Ask for smaller pages."
        )


class Weigher:
    """Weighs the operations of one valid document. Raises InvalidInput for literal page sizes and cursors."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, order: tuple[str, ...], *, limits: Limits
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._order = order
        self._nodes = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }

    def guard(self, operation: OperationDefinitionNode) -> Guard:
        """What to check of `operation` at each request."""
        root = self._schema.get_root_type(operation.operation)
        defaults = {
            node.variable.name.value: _literal(node.default_value)
            for node in operation.variable_definitions or ()
            if node.default_value is not None
        }
        walk = _Walk(self._schema, self._limits, defaults)
        weight = walk.weigh(operation.selection_set, root)
        weights: dict[str, Weight] = {}
        # Against their order, so that each fragment is met after all that spread it.
        for name in reversed(self._order):
            if name in walk.spread:
                node = self._nodes[name]
                on_type = self._schema.type_map[node.type_condition.name.value]
                weights[name] = walk.weigh(node.selection_set, on_type)
        fragments = tuple((name, weights[name]) for name in self._order if name in weights)
        return Guard(weight, fragments, tuple(walk.pages), is_constant=not walk.pages)


class _Walk:
    """One walk through an operation and the fragments that it reaches."""

    def __init__(self, schema: GraphQLSchema, limits: Limits, defaults: Mapping[str, Any]) -> None:
        self._schema = schema
        self._limits = limits
        self._defaults = defaults
        self.pages: list[PageArgument] = []
        self.spread: set[str] = set()

    def weigh(self, selection_set: SelectionSetNode, on_type: Any) -> Weight:
        fields = 0
        groups: list[tuple[int | PageArgument, Weight]] = []
        spreads: list[str] = []
        for size, weight in self._parts(selection_set, on_type, spreads):
            if isinstance(size, int) and (size == 1 or not (weight.groups or weight.spreads)):
                fields += size * weight.fields
                groups.extend(weight.groups)
                spreads.extend(weight.spreads)
            else:
                groups.append((size, weight))
        return Weight(min(fields, _UNCOUNTABLE), tuple(groups), tuple(spreads))

    def _parts(
        self, selection_set: SelectionSetNode, on_type: Any, spreads: list[str]
    ) -> Iterator[tuple[int | PageArgument, Weight]]:
        for selection in selection_set.selections:
            if isinstance(selection, FragmentSpreadNode):
                spreads.append(selection.name.value)
                self.spread.add(selection.name.value)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self._schema.type_map[condition.name.value] if condition else on_type
                yield 1, self.weigh(selection.selection_set, inner)
            elif _counts(selection):
                yield 1, Weight(1)
                definition = self._schema.get_field(on_type, selection.name.value)
                if definition is not None:
                    size = self._size(selection, definition, f"{on_type.name}.{selection.name.value}")
                    if selection.selection_set:
                        yield size, self.weigh(selection.selection_set, get_named_type(definition.type))

    def _size(self, node: FieldNode, definition: GraphQLField, name: str) -> int | PageArgument:
        """How many times the fields below `node` are selected; on the way, its page arguments are checked."""
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        size: int | PageArgument = 1
        for argument_name, argument in definition.args.items():
            if not _sizes_a_page(argument_name, argument.type):
                continue
            default = argument.default_value if isinstance(argument.default_value, int | str) else _ABSENT
            value = given.get(argument_name)
            if isinstance(value, VariableNode):
                variable = value.name.value
                if_absent = self._defaults.get(variable, default)
                page = PageArgument(argument_name, name, variable, if_absent)
                self.pages.append(page)
                size = size if argument_name == "after" else page
                continue
            literal = default if value is None else _literal(value)
            if value is not None:
                _check_page(argument_name, literal, name, self._limits)
            if argument_name != "after":
                size = _count(argument_name, literal)
        return size


def _counts(selection: Node) -> TypeGuard[FieldNode]:
    return isinstance(selection, FieldNode) and not selection.name.value.startswith("__")


def _sizes_a_page(name: str, type_: Any) -> bool:
    nullable = get_nullable_type(type_)
    if name == "first":
        return nullable is GraphQLInt or get_named_type(type_).name == "Int"
    return name == "after" or (name == "ids" and is_list_type(nullable))


def _literal(node: ValueNode) -> Any:
    match node:
        case IntValueNode():
            # A number of thousands of digits is out of every range; int() would refuse it.
            return int(node.value) if len(node.value) < 20 else _UNCOUNTABLE
        case StringValueNode():
            return node.value
        case ListValueNode():
            return [None] * len(node.values)
        case NullValueNode():
            return None
        case _:
            return _ABSENT


def _value(page: PageArgument, variables: Mapping[str, Any]) -> Any:
    return variables.get(page.variable, page.if_absent)


def _items(page: PageArgument, variables: Mapping[str, Any]) -> int:
    return _count(page.name, _value(page, variables))


def _count(name: str, value: Any) -> int:
    if name == "ids":
        return len(value) if isinstance(value, list) else 1
    number = _whole(value)
    # What is no number at all is left to the coercion of variables, which says so better.
    return max(1, number) if number is not None else 1


def _whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    # GraphQL's Int takes 5.0 for 5.
    return int(value) if isinstance(value, float) and value.is_integer() else None


def _check_page(name: str, value: Any, field: str, limits: Limits) -> None:
    if name == "after" and value == "":
        raise InvalidInput(
            f"`after` is an empty string on `{field}`. Leave it out for the first page.", path=["after"]
        )
    if name != "first":
        return
    if value is None:
        raise InvalidInput(f"`first` is null on `{field}`. Leave it out for the default.", path=["first"])
    number = _whole(value)
    if number is not None and not limits.page_min <= number <= limits.page_max:
        raise InvalidInput(
            f"`first` is {number} on `{field}`, a page has {limits.page_min} to {limits.page_max} items.",
            path=["first"],
        )
