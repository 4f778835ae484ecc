"""The compiled executor: plans kept by document, run where they suffice, counted where they do not."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.values import VariableValues, get_variable_values

from schema.compiled.leaves import NotCompiled
from schema.compiled.plan import ObjectPlan, Planner
from schema.compiled.run import Run
from schema.context import Context

# So many sets of skipped and included fields of one operation have plans; others are run by the ordinary executor.
_MOST_PLANS = 16
_NO_VARIABLES = VariableValues({}, {})


class _Conditions(Visitor):
    """The variables that say which fields there are."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_directive(self, node: Any, *_: Any) -> None:
        """`@skip` and `@include`."""
        for argument in node.arguments:
            if isinstance(argument.value, VariableNode):
                self.names.add(argument.value.name.value)


class Operation:
    """One operation of a document with its plans."""

    def __init__(self, document: DocumentNode, node: OperationDefinitionNode) -> None:
        self.node = node
        self.fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        conditions = _Conditions()
        visit(document, conditions)
        self.conditions = tuple(sorted(conditions.names))
        self.plans: dict[tuple[Any, ...], list[ObjectPlan] | None] = {}


class Compiled:
    """Answers operations of one schema by plans."""

    def __init__(self, schema: GraphQLSchema, *, is_awaitable: Any) -> None:
        self._schema, self._is_awaitable = schema, is_awaitable

    async def answer(
        self,
        operation: Operation,
        variables: Mapping[str, Any],
        context: Context,
        root: Any = None,
    ) -> dict[str, Any] | None:
        """The data of an operation without errors; None: the ordinary executor is to answer."""
        counts = context.house.executed
        try:
            values = self._variables(operation, variables)
            plans = self._plans(operation, values)
        except Exception:  # noqa: BLE001 - whatever it is, the ordinary executor says it exactly
            plans = None
        if plans is None:
            counts["ordinary"] += 1
            return None
        facts = (self._schema, operation.fragments, operation.node, self._is_awaitable)
        data: dict[str, Any] = {}
        try:
            for plan in plans:
                data |= await Run(context, values, facts).answer(plan, root)
        except Exception:  # noqa: BLE001 - the same: errors and nulls are its matter
            counts["again"] += 1
            context.refresh()
            return None
        counts["compiled"] += 1
        return data

    def _variables(self, operation: Operation, variables: Mapping[str, Any]) -> VariableValues:
        definitions = operation.node.variable_definitions
        if not definitions:
            return _NO_VARIABLES
        values = get_variable_values(self._schema, definitions, dict(variables))
        if isinstance(values, list):
            raise NotCompiled
        return values

    def _plans(self, operation: Operation, values: VariableValues) -> list[ObjectPlan] | None:
        """One plan for a query; one a field for mutations, which come one after another."""
        key = tuple(values.coerced.get(name) for name in operation.conditions)
        if key not in operation.plans:
            if len(operation.plans) >= _MOST_PLANS:
                return None
            operation.plans[key] = self._planned(operation, values)
        return operation.plans[key]

    def _planned(self, operation: Operation, values: VariableValues) -> list[ObjectPlan] | None:
        kind = operation.node.operation
        type_ = self._schema.get_root_type(kind)
        assert type_ is not None
        try:
            plan = Planner(self._schema, operation.node, operation.fragments, values).root(type_)
        except Exception:  # noqa: BLE001 - whatever it is, the ordinary executor says it exactly
            return None
        if kind is not OperationType.MUTATION:
            return [plan]
        if not all(one.is_repeatable for one in plan.fields):
            return None
        return [ObjectPlan(type_, [one], None) for one in plan.fields]
