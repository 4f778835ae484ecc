"""What an operation asks for, worked out once: the fields of each object, where they come from, and the columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields, collect_subfields
from graphql.execution.values import VariableValues, get_argument_values
from tortoise.models import Model

from models.columns import Columns
from schema.compiled.leaves import Leaf, NotCompiled, leaf_of
from schema.rows import Relation
from schema.sources import SOURCE, Column, Computed, Exists, Identity, Once

# Fields that need to be worked out: a document that selects more is left to the ordinary executor.
_MOST_FIELDS = 600


@dataclass(slots=True, kw_only=True)
class FieldPlan:
    """One field of the answer. `name` is the client's word for it and never stands in generated code."""

    name: str
    source: Any
    definition: Any
    nodes: list[FieldNode]
    parent: GraphQLObjectType
    leaf: Leaf | None
    objects: "Objects | None" = None
    arguments: dict[str, Any] | None = None
    # What a resolver reads of each table, and a relation of its one.
    chosen: dict[type[Model], Columns] | None = None
    columns: Columns | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether a mutation that was carried out gives its answer again when it is run again."""
        declared = _strawberry(self.definition)
        return declared is not None and declared.metadata.get(SOURCE) == Once()

    def arguments_of(self, variables: VariableValues) -> dict[str, Any]:
        """The arguments as the ordinary executor has them."""
        if self.arguments is not None:
            return self.arguments
        return get_argument_values(self.definition, self.nodes[0], variables)


@dataclass(frozen=True, slots=True)
class Attribute:
    """The value is an attribute of the object."""

    name: str


@dataclass(frozen=True, slots=True)
class Resolver:
    """The value comes from the field's own resolver."""


@dataclass(frozen=True, slots=True)
class TypeName:
    """The name of the type."""


@dataclass(slots=True)
class ObjectPlan:
    """The fields of one object type at one place. `columns`: of its rows, when these suffice."""

    of: GraphQLObjectType
    fields: list[FieldPlan]
    model: type[Model] | None
    columns: Columns | None = None
    # The fields whose values are found before the JSON is made, and what makes it.
    steps: list[FieldPlan] | None = None
    assemble: dict[bool, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Objects:
    """What a field of objects gives: the plan of each type that they may be of."""

    type: Any
    plans: dict[str, ObjectPlan]


class Planner:
    """Works out one operation of a document, for one set of skipped and included fields."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, Any],
        variables: VariableValues,
    ) -> None:
        self._schema, self._operation, self._variables = schema, operation, variables
        self._fragments = {name: FragmentDetails(one) for name, one in fragments.items()}
        self._fields = 0

    def root(self, type_: GraphQLObjectType) -> ObjectPlan:
        """The plan of the root. Raises NotCompiled for what only the ordinary executor answers."""
        found = collect_fields(self._schema, self._fragments, self._variables, type_, self._operation)
        return self._object(type_, found)

    def _object(self, type_: GraphQLObjectType, found: Any) -> ObjectPlan:
        if found.new_defer_usages:
            raise NotCompiled
        fields = [self._field(type_, name, details) for name, details in found.grouped_field_set.items()]
        model = getattr(_origin(type_), "model", None)
        plan = ObjectPlan(type_, fields, model)
        if model is not None:
            plan.columns = columns_of(plan)
        return plan

    def _field(self, type_: GraphQLObjectType, name: str, details: list[Any]) -> FieldPlan:
        self._fields += 1
        nodes = [one.node for one in details]
        field_name = nodes[0].name.value
        definition = self._schema.get_field(type_, field_name)
        if definition is None or self._fields > _MOST_FIELDS or field_name in {"__schema", "__type"}:
            raise NotCompiled
        named = get_named_type(definition.type)
        plan = FieldPlan(
            name=name,
            source=TypeName() if field_name == "__typename" else source_of(definition),
            definition=definition,
            nodes=nodes,
            parent=type_,
            leaf=leaf_of(definition.type) if is_leaf_type(named) else None,
            arguments=self._constant(definition, nodes[0]),
        )
        if plan.leaf is None:
            types: Any = self._schema.get_possible_types(named) if is_abstract_type(named) else [named]
            plan.objects = Objects(named, {one.name: self._below(one, details) for one in types})
            if isinstance(plan.source, Resolver) and self._operation.operation is OperationType.QUERY:
                plan.chosen = chosen(plan.objects)
            if isinstance(plan.source, Relation):
                plan.columns = related(plan.source, plan.objects)
        elif isinstance(plan.source, Exists):
            target = plan.source.relation
            plan.columns = Columns(model=target.model, names=(target.column,), attributes=frozenset())
        return plan

    def _below(self, type_: GraphQLObjectType, details: list[Any]) -> ObjectPlan:
        found = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type_, details
        )
        return self._object(type_, found)

    def _constant(self, definition: Any, node: FieldNode) -> dict[str, Any] | None:
        """The arguments, when they are the same whatever the variables say."""
        if not definition.args:
            return {}
        if any(isinstance(one.value, VariableNode) for one in node.arguments or ()):
            return None
        values = get_argument_values(definition, node, self._variables)
        return values if all(isinstance(one, _SCALARS) for one in values.values()) else None


_SCALARS = (str, int, float, bool, type(None))


def _strawberry(definition: Any) -> Any:
    return (definition.extensions or {}).get("strawberry-definition")


def _origin(type_: GraphQLObjectType) -> Any:
    return getattr((type_.extensions or {}).get("strawberry-definition"), "origin", None)


def source_of(definition: Any) -> Any:
    """Where the value of a field comes from, as it is declared beside the field."""
    declared = _strawberry(definition)
    if declared is None:
        raise NotCompiled
    source = declared.metadata.get(SOURCE)
    if source is not None:
        return Resolver() if source == Once() else source
    return Attribute(declared.python_name) if declared.is_basic_field else Resolver()


def columns_of(plan: ObjectPlan) -> Columns | None:
    """The columns that the fields of a row need; None when that is not known and the whole row is read."""
    assert plan.model is not None
    names: dict[str, None] = {plan.model._meta.db_pk_column: None}
    attributes: set[str] = set()
    for one in plan.fields:
        match one.source:
            case Column(name=name):
                names[name] = None
            case Computed(reads=reads) if reads is not None:
                names |= dict.fromkeys(reads)
                attributes |= set(reads)
            case Relation(key=key) | Exists(relation=Relation(key=key)):
                names[key] = None
            case Identity() | TypeName():
                pass
            case _:
                return None
    if not names.keys() <= plan.model._meta.fields_map.keys():
        return None
    return Columns(model=plan.model, names=tuple(names), attributes=frozenset(attributes))


def chosen(objects: Objects) -> dict[type[Model], Columns]:
    """What is to be read of each table for the rows that a resolver gives, bare or in what it wraps them in.

    Its rows of one table have one set of columns, or are read whole.
    """
    met: dict[type[Model], list[ObjectPlan]] = {}

    def visit(below: Objects) -> None:
        for plan in below.plans.values():
            if plan.model is not None:
                met.setdefault(plan.model, []).append(plan)
                continue
            for one in plan.fields:
                # What relations and resolvers give they read by themselves.
                if one.objects is not None and isinstance(one.source, Attribute):
                    visit(one.objects)

    visit(objects)
    return {model: columns for model, plans in met.items() if (columns := _agreed(model, plans)) is not None}


def related(relation: Relation, objects: Objects) -> Columns | None:
    """What is read of the rows of a relation: with the column by which they are found."""
    if len(objects.plans) != 1:
        raise NotCompiled
    (plan,) = objects.plans.values()
    if plan.model is not relation.model:
        raise NotCompiled
    if plan.columns is not None and relation.column not in plan.columns.names:
        names = (*plan.columns.names, relation.column)
        plan.columns = Columns(model=relation.model, names=names, attributes=plan.columns.attributes)
    return plan.columns


def _agreed(model: type[Model], plans: list[ObjectPlan]) -> Columns | None:
    names: dict[str, None] = {}
    attributes: set[str] = set()
    for plan in plans:
        if plan.columns is None:
            return None
        names |= dict.fromkeys(plan.columns.names)
        attributes |= plan.columns.attributes
    agreed = Columns(model=model, names=tuple(names), attributes=frozenset(attributes))
    for plan in plans:
        plan.columns = agreed
    return agreed
