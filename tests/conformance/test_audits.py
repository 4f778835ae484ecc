"""GraphQL over HTTP, as the authors of its specification audit it."""

import json
from collections import Counter

import pytest

from tests.conformance.programs import NODE, run
from tests.product.process import Server

pytestmark = [pytest.mark.needs_node, pytest.mark.usefixtures("node_modules")]


def test_every_audit_of_graphql_over_http_is_passed_without_a_warning(server: Server) -> None:
    lines = run("node", NODE / "audit.mjs", f"{server.url}/graphql").splitlines()
    results = [json.loads(line) for line in lines]
    assert [result for result in results if result["status"] != "ok"] == []
    assert Counter(result["status"] for result in results) == {"ok": 61}
