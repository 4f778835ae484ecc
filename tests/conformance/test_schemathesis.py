"""Operations that a program makes up from the schema, by whoever may send them."""

import random
import re
import secrets
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from schemathesis.core.result import Ok
from schemathesis.graphql import nodes

from tests.conformance.judge import judged, no_bug
from tests.conformance.town import Asker, asked
from tests.product.process import Server

SCHEMA = Path(__file__).parents[2] / "schema" / "schema.graphql"
PATIENCE_S = 30.0
_AN_ID = re.compile(r'\b(id|\w+Id): "(?:[^"\\]|\\.)*"')
_IDS = re.compile(r"\bids: \[[^\]]*\]")
_HANDLE = re.compile(r'\bhandle: "(?:[^"\\]|\\.)*"')

_DATES = ["2026-11-22", "0001-01-01", "9999-12-31", "2026-02-30", "", "2026", "\0"]
_TIMES = [
    "2026-11-22T12:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-11-22T12:00:00",
]
_SIZES = [0, 1, -1, 2**31, 2**63, 2**64]


def _scalars() -> None:
    """What the schema's own scalars are written like, right and wrong."""
    schemathesis.graphql.scalar("Date", st.sampled_from(_DATES).map(nodes.String))
    schemathesis.graphql.scalar("DateTime", st.sampled_from([*_TIMES, *_DATES]).map(nodes.String))
    schemathesis.graphql.scalar("ByteCount", st.sampled_from(_SIZES).map(nodes.Int))


def _aimed(query: str, asker: Asker, chance: random.Random) -> str:
    """The same operation, of things that exist, three times of four."""
    if chance.random() < 0.25:
        return query
    query = _AN_ID.sub(lambda match: f'{match[1]}: "{chance.choice(asker.ids)}"', query)
    query = _IDS.sub(lambda _: "ids: [" + ", ".join(f'"{one}"' for one in asker.ids) + "]", query)
    return _HANDLE.sub(lambda _: f'handle: "{chance.choice(asker.handles)}"', query)


class _Run:
    """One program's questions, and what came of them."""

    def __init__(self, server: Server, http: httpx.Client, number: int) -> None:
        self.cases: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self._server = server
        self._http = http
        self._chance = random.Random(number)
        self._asker: Asker | None = None

    def ask(self, case: Any) -> None:
        """Send an operation, as somebody or as nobody."""
        if self._asker is None or self.cases.total() % 100 == 99:
            self._asker = asked(self._server, self._http, f"m{secrets.token_hex(6)}")
        query = _aimed(case.body, self._asker, self._chance)
        headers = self._asker.headers if self._chance.random() < 0.7 else {}
        answer = self._http.post("/graphql", json={"query": query}, headers=headers)
        self.cases[case.operation.label] += 1
        judged(self._server, answer.status_code, answer.text, sent=query)
        for error in no_bug(answer.text, sent=query):
            self.codes[error["extensions"]["code"]] += 1
        # Whoever signed out or deleted the account is somebody else from now on.
        if headers and '"UNAUTHENTICATED"' in answer.text:
            self._asker = None

    def made_up(self, strategy: SearchStrategy[Any], *, number: int, cases: int) -> None:
        """So many operations of a strategy."""

        @seed(number)
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def ask(case: Any) -> None:
            self.ask(case)

        ask()


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(
    ("number", "cases"),
    [(1, 50), pytest.param(1, 5000, marks=pytest.mark.long), pytest.param(2, 5000, marks=pytest.mark.long)],
    ids=["a few", "seed 1", "seed 2"],
)
def test_an_operation_made_up_from_the_schema_is_answered_or_refused(
    server: Server, number: int, cases: int
) -> None:
    _scalars()
    found = schemathesis.graphql.from_path(SCHEMA).get_all_operations()
    made = [operation.ok() for operation in found if isinstance(operation, Ok)]
    with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as http:
        run = _Run(server, http, number)
        # Each operation as often, but for those with little to vary; then any of them, up to the number.
        for at, operation in enumerate(made if cases > len(made) else []):
            run.made_up(operation.as_strategy(), number=number * 1000 + at, cases=cases // len(made))
        some = st.sampled_from(made).flatmap(lambda operation: operation.as_strategy())
        run.made_up(some, number=number, cases=cases - run.cases.total())
    print(run.cases.total(), "cases of", len(run.cases), "operations:", dict(run.codes))
    assert run.cases.total() >= cases
    assert server.errors() == []
