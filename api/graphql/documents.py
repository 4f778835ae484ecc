"""Documents: parsed, validated and weighed once, then kept by the SHA-256 of their text."""

import hashlib
from asyncio import get_running_loop
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    ValidationContext,
    parse,
    print_ast,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from api.graphql.door import Kind
from api.graphql.errors import LimitExceeded, Refusal, error_json, request_error_json
from api.graphql.guards import Guard, Weigher
from api.graphql.limits import Limits
from api.graphql.request import GraphQLRequest
from api.graphql.shape import check_shape, root_fields, selection_variables, without_repeats
from schema.compiled.engine import Operation as Plans
from services.errors import InvalidInput

_MAX_VALIDATION_ERRORS = 5
# One, so that many new documents at once take no more than their share of the processor.
_READER = ThreadPoolExecutor(1, "documents")
# Characters: about 1 ms.
_READ_AT_ONCE = 300


def _bounded_merge_rule(steps: int) -> type[ASTValidationRule]:
    """The rule of the specification, that gives up sooner than after graphql-core's 500,000 steps."""

    class BoundedMergeRule(OverlappingFieldsCanBeMergedRule):
        def __init__(self, context: ValidationContext) -> None:
            super().__init__(context)
            self.rule_context.remaining_complexity_budget = steps

    return BoundedMergeRule


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document."""

    kind: Kind
    guard: Guard
    plans: Plans
    selects_by: frozenset[str] = frozenset()
    """Of a subscription: the variables that its fields ask for below the root's own arguments."""


@dataclass(frozen=True, slots=True)
class Document:
    """A valid document and its operations by name (None for the nameless one)."""

    id: str
    node: DocumentNode
    operations: dict[str | None, Operation]
    tokens: int
    shape: str = ""
    """Of one with subscriptions: the same for documents that differ in blanks and comments alone."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that passed every guard."""

    request: GraphQLRequest
    document: Document
    kind: Kind
    plans: Plans
    selects_by: frozenset[str] = frozenset()

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields that it begins with."""
        return root_fields(self.plans.node, self.plans.fragments)


class Documents:
    """Prepares requests. Documents already seen cost a hash and the checks that hang on variables.

    Refusals are kept too, as their finished answers, so that repeating a bad document is cheap for us.
    """

    def __init__(self, schema: GraphQLSchema, *, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        # Built once: validation looks rules up by identity.
        rules: list[type[ASTValidationRule]] = [
            _bounded_merge_rule(limits.merge_steps) if rule is OverlappingFieldsCanBeMergedRule else rule
            for rule in specified_rules
        ]
        rules += [MaybeNullValidationRule, OneOfInputValidationRule]
        self._rules = rules if limits.introspection else [*rules, NoSchemaIntrospectionCustomRule]
        self._known: OrderedDict[bytes, Document | Refusal] = OrderedDict()
        self._tokens = 0

    def prepare(self, request: GraphQLRequest) -> Prepared | Refusal:
        """`request`, ready to be executed, or why it is refused."""
        digest, document = self._look_up(request.query)
        if document is None:
            document = self._remember(digest, self._read(request.query, digest))
        return self._checked(request, document)

    async def prepare_aside(self, request: GraphQLRequest) -> Prepared | Refusal:
        """The same. A long document that is new is read in a thread: it would hold the event loop for 10 ms."""
        digest, document = self._look_up(request.query)
        if document is None and len(request.query) > _READ_AT_ONCE:
            reading = get_running_loop().run_in_executor(_READER, self._read, request.query, digest)
            self._remember(digest, await reading)
        return self.prepare(request) if document is None else self._checked(request, document)

    def _checked(self, request: GraphQLRequest, document: Document | Refusal) -> Prepared | Refusal:
        if isinstance(document, Refusal):
            return document
        try:
            operation = _operation(document, request.operation_name)
        except InvalidInput as error:
            return Refusal((error_json(error),), by_guard=False)
        if not operation.guard.is_constant:
            try:
                operation.guard.check(request.variables, limits=self._limits)
            except InvalidInput as error:
                return Refusal((error_json(error),), by_guard=True)
        return Prepared(request, document, operation.kind, operation.plans, operation.selects_by)

    def _look_up(self, source: str) -> tuple[bytes, Document | Refusal | None]:
        """Its digest, and the document if it is known, or refused unread."""
        if len(source) > self._limits.document_chars:
            message = (
                f"The document has {len(source)} characters, the limit is {self._limits.document_chars}."
            )
            error = LimitExceeded(f"{message} Send values as variables.")
            return b"", Refusal((error_json(error),), by_guard=True)
        digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is not None:
            self._known.move_to_end(digest)
        return digest, known

    def _read(self, source: str, digest: bytes) -> Document | Refusal:
        try:
            node = self._parse(source)
            order = check_shape(node, limits=self._limits)
            errors = validate(
                self._schema,
                without_repeats(node),
                self._rules,
                max_errors=_MAX_VALIDATION_ERRORS,
                hide_suggestions=not self._limits.suggestions,
            )
            if errors:
                self._refuse_unbounded(errors)
                return Refusal(tuple(map(request_error_json, errors)), by_guard=False)
            weigher = Weigher(self._schema, node, order, limits=self._limits)
            operations = {
                definition.name.value if definition.name else None: self._operation(
                    node, definition, self._guard(weigher, definition)
                )
                for definition in node.definitions
                if isinstance(definition, OperationDefinitionNode)
            }
        except InvalidInput as error:
            return Refusal((error_json(error),), by_guard=True)
        except GraphQLError as error:
            return Refusal((request_error_json(error),), by_guard=False)
        tokens = getattr(node, "token_count", self._limits.tokens)
        has_subscription = any(one.kind is Kind.SUBSCRIPTION for one in operations.values())
        shape = hashlib.sha256(print_ast(node).encode()).hexdigest() if has_subscription else ""
        return Document(digest.hex(), node, operations, tokens, shape)

    def _refuse_unbounded(self, errors: list[GraphQLError]) -> None:
        if errors[-1].message == "Validation aborted.":
            raise LimitExceeded(
                f"Merging fields of the same name takes more than {self._limits.merge_steps} steps, the limit."
                " Select each field once."
            )

    def _operation(
        self, document: DocumentNode, definition: OperationDefinitionNode, guard: Guard
    ) -> Operation:
        kind = Kind(definition.operation.value)
        used = selection_variables(document, definition) if kind is Kind.SUBSCRIPTION else frozenset()
        return Operation(kind, guard, Plans(document, definition), used)

    def _guard(self, weigher: Weigher, definition: OperationDefinitionNode) -> Guard:
        guard = weigher.guard(definition)
        if guard.is_constant:
            guard.check({}, limits=self._limits)
        return guard

    def _parse(self, source: str) -> DocumentNode:
        try:
            return _unlinked(parse(source, max_tokens=self._limits.tokens))
        except GraphQLError as error:
            # graphql-core gives the limits of its parser no class of their own.
            if "tokens. Parsing aborted" in error.message:
                raise LimitExceeded(
                    f"The document has more than {self._limits.tokens} tokens, the limit."
                    " Ask in several requests."
                ) from None
            if "nested too deeply" in error.message:
                raise LimitExceeded("The document is nested more than 200 levels deep, the limit.") from None
            raise

    def _remember(self, digest: bytes, document: Document | Refusal) -> Document | Refusal:
        if digest in self._known:  # two asked for it at once
            return self._known[digest]
        self._known[digest] = document
        self._tokens += _tokens_of(document)
        while len(self._known) > self._limits.cached_documents or self._tokens > self._limits.cached_tokens:
            _, forgotten = self._known.popitem(last=False)
            self._tokens -= _tokens_of(forgotten)
        return document


def _unlinked(document: DocumentNode) -> DocumentNode:
    """The document, its tokens without the way back: so it is gone when it is forgotten, and needs no collector."""
    token = document.loc.start_token if document.loc else None
    while token is not None:
        token.prev, token = None, token.next
    return document


def _tokens_of(document: Document | Refusal) -> int:
    return document.tokens if isinstance(document, Document) else 1


def _operation(document: Document, name: str | None) -> Operation:
    operations = document.operations
    # An empty name comes from clients that always send the parameter.
    if not name:
        if len(operations) != 1:
            raise InvalidInput(
                "The document has several operations. Name one in `operationName`.", path=["operationName"]
            )
        return next(iter(operations.values()))
    if name not in operations:
        raise InvalidInput("The document has no operation of this name.", path=["operationName"])
    return operations[name]
