"""Guards that need no schema: depth, aliases, circles of fragments.

They run before validation, and in linear time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from api.graphql.errors import LimitExceeded
from api.graphql.limits import Limits


@dataclass(slots=True)
class _Definition:
    """What one operation or fragment holds by itself."""

    depth: int = 0
    aliases: int = 0
    spreads: list[tuple[str, int]] = field(default_factory=list)


def check_shape(document: DocumentNode, *, limits: Limits) -> tuple[str, ...]:
    """Raise LimitExceeded for a document that nests or aliases beyond the limits, or spreads in a circle.

    Returns the names of its fragments, each after those that it spreads.
    """
    operations: list[_Definition] = []
    fragments: dict[str, _Definition] = {}
    for node in document.definitions:
        if isinstance(node, FragmentDefinitionNode):
            definition = _read(node.selection_set)
            if node.type_condition.name.value.startswith("__"):  # of the schema's own types: introspection
                definition = replace(
                    definition, depth=0, spreads=[(name, 0) for name, _ in definition.spreads]
                )
            fragments[node.name.value] = definition
        elif isinstance(node, OperationDefinitionNode):
            operations.append(_read(node.selection_set))
    definitions = [*operations, *fragments.values()]
    aliases = sum(definition.aliases for definition in definitions)
    if aliases > limits.aliases:
        raise LimitExceeded(
            f"The document has {aliases} aliases, the limit is {limits.aliases}. Ask in several requests."
        )
    order = tuple(_in_order(fragments))
    depths: dict[str, int] = {}
    for name in order:
        depths[name] = _depth(fragments[name], depths)
    depth = max((_depth(definition, depths) for definition in definitions), default=0)
    if depth > limits.depth:
        raise LimitExceeded(
            f"The document is {depth} levels deep, the limit is {limits.depth}. Ask in several requests."
        )
    return order


def selection_variables(document: DocumentNode, operation: OperationDefinitionNode) -> frozenset[str]:
    """The variables that an operation reads anywhere but in the arguments of the fields it begins with."""
    stack: list[Node] = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    stack += operation.directives or ()
    for selection in operation.selection_set.selections:
        if isinstance(selection, FieldNode):
            stack += selection.directives or ()
            if selection.selection_set:
                stack.append(selection.selection_set)
        else:
            stack.append(selection)
    names: set[str] = set()
    while stack:
        node = stack.pop()
        if isinstance(node, VariableNode):
            names.add(node.name.value)
        for key in node.keys:
            below = getattr(node, key, None)
            stack += [
                one
                for one in (below if isinstance(below, list | tuple) else [below])
                if isinstance(one, Node)
            ]
    return frozenset(names)


def root_fields(operation: OperationDefinitionNode, fragments: Mapping[str, Any]) -> frozenset[str]:
    """The names of the fields that an operation begins with."""
    names: set[str] = set()
    spread: set[str] = set()
    stack: list[Any] = [operation.selection_set]
    while stack:
        for selection in stack.pop().selections:
            if isinstance(selection, FieldNode):
                names.add(selection.name.value)
            elif isinstance(selection, InlineFragmentNode):
                stack.append(selection.selection_set)
            elif (name := selection.name.value) not in spread:
                spread.add(name)
                stack.append(fragments[name].selection_set)
    return frozenset(names)


# Longer ones are few: reading each again for every level around it would be work that grows with the square.
_REPEATED_CHARS = 200


def without_repeats(node: Any) -> Any:
    """A document or selection set without what stands in it twice, word for word: that changes no answer.

    Comparing fields with the same name takes steps that grow with the square of their number.
    """
    if isinstance(node, DocumentNode):
        return replace(node, definitions=tuple(map(without_repeats, node.definitions)))
    if isinstance(node, SelectionSetNode):
        kept: dict[Any, Any] = {}
        for selection in node.selections:
            kept.setdefault(_words(selection), selection)
        return replace(node, selections=tuple(map(without_repeats, kept.values())))
    below = getattr(node, "selection_set", None)
    return node if below is None else replace(node, selection_set=without_repeats(below))


def _words(node: Any) -> Any:
    start, end = node.loc.start, node.loc.end
    return node.loc.source.body[start:end] if end - start <= _REPEATED_CHARS else id(node)


def _read(selection_set: SelectionSetNode) -> _Definition:
    definition = _Definition()
    # Explicit, since inline fragments may nest as deep as the parser lets them.
    stack = [(selection_set, 1)]
    while stack:
        current, depth = stack.pop()
        for selection in current.selections:
            if isinstance(selection, FragmentSpreadNode):
                definition.spreads.append((selection.name.value, depth - 1))
            elif isinstance(selection, InlineFragmentNode):
                stack.append((selection.selection_set, depth))
            elif isinstance(selection, FieldNode):
                definition.aliases += selection.alias is not None
                if selection.name.value.startswith("__"):
                    continue
                definition.depth = max(definition.depth, depth)
                if selection.selection_set:
                    stack.append((selection.selection_set, depth + 1))
    return definition


def _depth(definition: _Definition, depths: Mapping[str, int]) -> int:
    return max([definition.depth, *(above + depths.get(name, 0) for name, above in definition.spreads)])


def _in_order(fragments: Mapping[str, _Definition]) -> Iterable[str]:
    """The fragments, each after those it spreads, in time linear in the spreads.

    Raises LimitExceeded on a circle.
    """
    done: dict[str, None] = {}
    for root in fragments:
        if root in done:
            continue
        path = {root: iter(fragments[root].spreads)}
        while path:
            name = next(reversed(path))
            for spread, _ in path[name]:
                if spread in path:
                    raise LimitExceeded(f"The fragment `{spread}` spreads itself. Take the circle out.")
                if spread in fragments and spread not in done:
                    path[spread] = iter(fragments[spread].spreads)
                    break
            else:
                del path[name]
                done[name] = None
    return done
