"""What the three ways in share: the door, the limits, the documents, the executor."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from api.graphql.documents import Documents, Prepared
from api.graphql.door import Asked, Door, Kind, Transport, Visit
from api.graphql.errors import Refusal, TooManySockets, error_json
from api.graphql.execute import Answer, EventStream, Executor, Followed
from api.graphql.fanout import Fanout
from api.graphql.limits import Limits
from api.graphql.persisted import Persisted
from api.graphql.replays import Replays
from api.graphql.request import GraphQLRequest
from services.errors import RateLimited, SpacesError, Unauthenticated
from services.limits import OpenStreams, RateLimiter


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The parts of one GraphQL endpoint."""

    door: Door
    limits: Limits
    documents: Documents
    executor: Executor
    persisted: Persisted
    rates: RateLimiter
    replays: Replays | None = None
    fanout: Fanout = field(default_factory=Fanout)
    open_streams: OpenStreams = field(default_factory=OpenStreams)
    """Sockets and event streams now open, by person."""

    async def enter(self, *, token: str | None, address: str, headers: Mapping[str, str]) -> Visit:
        """The visit of who shows `token`. Raises Unauthenticated, or RateLimited for whoever goes on guessing."""
        try:
            return await self.door.enter(token=token, address=address, headers=headers)
        except Unauthenticated:
            self._count(f"address:{address}", self.limits.operations_per_minute_address)
            raise

    def charge(self, visit: Visit) -> None:
        """Count one operation of the visitor. Raises RateLimited."""
        limits = self.limits
        limit = (
            limits.operations_per_minute_address
            if visit.is_anonymous
            else limits.operations_per_minute_person
        )
        self._count(visit.person, limit)

    def _count(self, who: str, limit: int) -> None:
        if not self.limits.rate_limit_enabled:
            return
        wait_ms = self.rates.check(f"operations:{who}", limit=limit, per_seconds=60)
        if wait_ms is not None:
            raise RateLimited(
                f"More than {limit} operations in a minute. Try again after `retryAfterMs`.",
                retry_after_ms=wait_ms,
            )

    async def prepare(self, request: GraphQLRequest, visit: Visit) -> Prepared | Refusal:
        """The operation, checked against every guard and against what the visitor may ask for."""
        found = self.persisted.resolve(request)
        prepared = found if isinstance(found, Refusal) else await self.documents.prepare_aside(found)
        if isinstance(prepared, Refusal):
            return prepared
        self.persisted.keep(request)
        try:
            visit.check_kind(prepared.kind)
        except SpacesError as error:
            return Refusal(errors=(error_json(error),), by_guard=False)
        return prepared

    def check_streams(self, visit: Visit) -> None:
        """Raise TooManySockets when the visitor has all the connections that one person may."""
        limit = self.limits.sockets_per_person
        if self.limits.rate_limit_enabled and self.open_streams.of(visit.person) >= limit:
            raise TooManySockets(
                f"You have {limit} open connections, the limit. Close one first.", retry_after_ms=1_000
            )

    @contextmanager
    def stream_open(self, visit: Visit) -> Iterator[None]:
        """Count one of the visitor's connections. Raises TooManySockets."""
        self.check_streams(visit)
        person = visit.person
        self.open_streams.change(person, 1)
        try:
            yield
        finally:
            self.open_streams.change(person, -1)

    async def answer(
        self, prepared: Prepared, visit: Visit, *, transport: Transport, key: str | None = None
    ) -> Answer:
        """Run a query or mutation. A mutation goes on to its end when the caller is cancelled.

        `key` is the mutation's Idempotency-Key: sent again, it gets the answer that it got.
        """

        async def run(refusal: SpacesError | None = None) -> Answer:
            asked = _asked(prepared, transport, refusal)
            answer = await self.executor.run(prepared, visit.operation_context(asked))
            return replace(answer, refused=asked.refused) if asked.refused else answer

        if prepared.kind is not Kind.MUTATION:
            return await run()
        # What was answered to a token with more scopes is not told to one with fewer.
        if key is None or self.replays is None or not visit.may_call(prepared.fields):
            return await self.executor.run_to_the_end(run())
        once = self.replays.once(prepared, run, person=visit.person, key=key)
        return await self.executor.run_to_the_end(once)

    async def subscribe(
        self, prepared: Prepared, visit: Visit, *, transport: Transport
    ) -> EventStream | Followed | Answer:
        """Begin a subscription."""
        context = visit.operation_context(_asked(prepared, transport))
        return await self.executor.subscribe(prepared, context)


def _asked(prepared: Prepared, transport: Transport, refusal: SpacesError | None = None) -> Asked:
    return Asked(
        request=prepared.request,
        kind=prepared.kind,
        transport=transport,
        document_id=prepared.document.id,
        refusal=refusal,
    )
