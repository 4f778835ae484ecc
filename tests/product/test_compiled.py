"""Compiled operations answer what the ordinary executor answers, byte for byte, whoever asks."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from graphql import OperationDefinitionNode, parse
from graphql.execution.values import VariableValues
from tortoise.expressions import Q

from api.graphql.documents import Documents, Prepared
from api.graphql.execute import Executor, Followed
from api.graphql.json import encode
from api.graphql.limits import Limits
from api.graphql.request import GraphQLRequest
from models.access_token import AccessToken
from models.account import Account
from models.audit_entry import AuditEntry
from models.clip import Clip
from models.fields import from_ms
from models.invitation import Invitation
from models.notification import Notification
from models.participant import Participant
from models.recording import Recording
from models.report import Report
from models.space import Space
from models.ticket import Ticket
from models.timeline_item import TimelineItem
from schema import ids
from schema.build import build_schema
from schema.compiled import run
from schema.compiled.engine import Compiled, Operation
from schema.context import Context
from schema.rows import Rows
from services.errors import NotFound
from services.viewers import Viewer
from tests.product.permission_town import World, open_world
from tests.product.random_operations import Written
from tests.product.town import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")

_TABLES = {
    "User": Account, "Space": Space, "Participant": Participant, "Recording": Recording, "Clip": Clip,
    "TimelineItem": TimelineItem, "Report": Report, "Ticket": Ticket, "Notification": Notification,
    "Invitation": Invitation, "AuditEntry": AuditEntry, "AccessToken": AccessToken,
}  # fmt: skip
_STREAMS = ("spaceUpdates", "recordingStatus", "timelineUpdates")
_NOBODY = UUID("00000000-0000-8000-8000-000000000000")
_LIMITS = Limits(depth=40, aliases=1000, cost=10**9, tokens=20_000)


@dataclass
class Bench:
    """Both executors over one random database."""

    world: World
    viewers: list[Account | None]
    ids: list[str]
    cursors: list[str]
    refused: int = 0
    events: int = 0

    def __post_init__(self) -> None:
        schema = build_schema()
        self._schema = schema._schema
        self._documents = Documents(self._schema, limits=_LIMITS)
        self._compiled = Executor(schema, limits=_LIMITS, compiled=True)
        self._ordinary = Executor(schema, limits=_LIMITS)

    async def differs(self, seed: int) -> str | None:
        """One random valid operation as a random viewer: the query when the answers differ."""
        chance = random.Random(seed)
        while True:
            query, variables = Written(chance, self._schema, self.ids, self.cursors).operation()
            prepared = self._documents.prepare(GraphQLRequest(query=query, variables=variables))
            if isinstance(prepared, Prepared):
                break
            # Fields of different types that share a name in the answer.
            self.refused += 1
        account = chance.choice(self.viewers)
        compiled, ordinary = [
            encode((await executor.run(prepared, self._context(account))).payload())
            for executor in (self._compiled, self._ordinary)
        ]
        return None if compiled == ordinary else f"{seed} {query}\n{variables}\n{compiled!r}\n{ordinary!r}"

    async def events_differ(self, seed: int) -> str | None:
        """What a random subscription tells of the events of its stream: the query when the answers differ."""
        chance = random.Random(seed)
        written = Written(chance, self._schema, self.ids, self.cursors)
        query, variables = written.subscription(chance.choice(_STREAMS))
        prepared = self._documents.prepare(GraphQLRequest(query=query, variables=variables))
        if not isinstance(prepared, Prepared):
            self.refused += 1
            return None
        context = self._context(chance.choice(self.viewers))
        compiled, ordinary = [
            await executor.subscribe(prepared, context) for executor in (self._compiled, self._ordinary)
        ]
        assert isinstance(compiled, Followed)
        assert isinstance(ordinary, Followed)
        following = compiled.following
        try:
            look = await following.stream().look(following.house, following.viewer, 0)
        except NotFound:
            return None
        for event in look.events:
            self.events += 1
            told = [
                await one.selection.body(event, following.context(following.viewer.afresh()))
                for one in (compiled, ordinary)
            ]
            if told[0] != told[1]:
                return f"{seed} {query}\n{variables}\n{told[0]!r}\n{told[1]!r}"
        return None

    def _context(self, account: Account | None) -> Context:
        return Context(self.world.town.built.house, Viewer(account=account, address="127.0.0.1"))

    @property
    def executed(self) -> Counter[str]:
        return self.world.town.built.house.executed


async def _mix(world: World, chance: random.Random) -> None:
    """People who follow, block, share and report each other at random."""
    names = [name for name in world.people if name not in {"anonymous", "deleted", "blocked"}]
    spaces = [world.things["ended"], world.things["live"]]
    for _ in range(40):
        one, other = (world.people[name] for name in chance.sample(names, 2))
        match chance.randrange(6):
            case 0 | 1:
                await one.try_("follow", userId=other.id)
            case 2:
                space_id = await one.new_space(title=f"Tea with {other.handle}", topics=["tea"])
                spaces.append(space_id["id"])
            case 3:
                await one.try_("shareSpace", spaceId=chance.choice(spaces), comment="Listen!")
            case 4:
                await one.try_("setReminder", spaceId=chance.choice(spaces), enabled=True)
            case _:
                await one.try_("report", subjectId=chance.choice(spaces), category="SPAM", reason="Spam.")
    await world.people["speaker"].try_("block", userId=world.people["another host"].id)
    await world.people["ticket holder"].try_("block", userId=world.people["listener"].id)


async def _cursors(person: Person) -> list[str]:
    found = await person.read(
        "{ timeline(first: 5) { edges { cursor } } spaces(first: 5) { edges { cursor } } }"
    )
    return [edge["cursor"] for one in found.values() for edge in one["edges"]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """The world of the permission table and what happens in it at random; its clock stands."""
    with pytest.MonkeyPatch.context() as patch:
        async with open_world(tmp_path_factory.mktemp("compiled") / "data") as world:
            await _mix(world, random.Random(1))
            cursors = await _cursors(world.host)
            world.town.clock.stand_at(world.town.clock.now())
            # Who listens without an account has another number in each link.
            patch.setattr("services.playback.anonymous_id", lambda _origin: _NOBODY)
            every = [
                str(ids.pack(name, row.pk)) for name, table in _TABLES.items() for row in await table.all()
            ]
            accounts = await Account.filter(Q(deleted_at__isnull=True))
            yield Bench(world, [None, *accounts], every, cursors)


async def _differences(bench: Bench, seeds: range) -> list[str]:
    return [found for seed in seeds if (found := await bench.differs(seed)) is not None]


async def test_random_operations_have_the_same_answer_from_both_executors(bench: Bench) -> None:
    before = Counter(bench.executed)
    assert await _differences(bench, range(100)) == []
    executed = bench.executed - before
    assert executed["compiled"] > executed["again"], executed
    assert executed["ordinary"] == 0
    assert bench.refused < 30


async def test_every_operation_of_the_browser_client_has_a_plan() -> None:
    compiled = Compiled(build_schema()._schema, is_awaitable=None)
    files = sorted((Path(__file__).parent.parent.parent / "web/client/src/documents").glob("*.graphql"))
    document = parse("\n".join(file.read_text(encoding="utf-8") for file in files))
    asked = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    nothing = VariableValues({}, {})
    without = [
        node.name and node.name.value
        for node in asked
        if compiled._planned(Operation(document, node), nothing) is None
    ]
    assert (without, len(asked) > 50) == ([], True)


@pytest.mark.parametrize("seeds", [10, pytest.param(500, marks=pytest.mark.long)])
@pytest.mark.usefixtures("patience")
async def test_events_are_told_alike_by_both_executors(bench: Bench, seeds: int) -> None:
    before = Counter(bench.executed)
    assert [found for seed in range(seeds) if (found := await bench.events_differ(seed)) is not None] == []
    executed = bench.executed - before
    assert executed["compiled"] > executed["again"] + executed["ordinary"], executed
    assert bench.events > seeds


@pytest.mark.long
@pytest.mark.usefixtures("patience")
# graphql-core cancels the neighbours of a field that failed, some of them before they have begun.
@pytest.mark.filterwarnings("ignore:coroutine .*_async_resolver. was never awaited:RuntimeWarning")
@pytest.mark.parametrize("part", range(10))
async def test_twenty_thousand_random_operations_have_the_same_answer(bench: Bench, part: int) -> None:
    assert await _differences(bench, range(10_000 + 2000 * part, 12_000 + 2000 * part)) == []


_FAULTS = [
    "a time a millisecond off",
    pytest.param("rows of another key", marks=pytest.mark.long),
    pytest.param("who is blocked", marks=pytest.mark.long),
]


@pytest.mark.parametrize("fault", _FAULTS)
async def test_a_fault_in_compiled_operations_is_found(
    bench: Bench, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "who is blocked":
        related = Rows.related

        async def unhidden(self: Rows, relation: Any, keys: Any, columns: Any) -> Any:
            if columns is None:
                return await related(self, relation, keys, columns)
            mild = Rows(Viewer(account=self._viewer.account, _hidden=frozenset()))
            return await related(mild, relation, keys, columns)

        monkeypatch.setattr(Rows, "related", unhidden)
    elif fault == "a time a millisecond off":
        monkeypatch.setattr(
            "schema.compiled.leaves.written",
            lambda type_: lambda ms: type_.coerce_output_value(from_ms(ms + 1)),
        )
    else:
        keys = run.Run._keys
        monkeypatch.setattr(run.Run, "_keys", staticmethod(lambda frame, source: keys(frame, source)[::-1]))
    for seed in range(5_000, 6_000):
        if await bench.differs(seed) is not None:
            return
    pytest.fail("a thousand operations, and no difference")
