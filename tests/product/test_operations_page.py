"""What /metrics serves, what the operators' page explains, and what dashboard and alerts ask for are the same names."""

import ast
import json
import re
from pathlib import Path

from tests.product.town import Town, open_town

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "operations.md").read_text()


def rows(heading: str) -> dict[str, list[str]]:
    """The cells of a table of the page, by each name in its first column."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        names, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        found |= dict.fromkeys(re.findall(r"`(\w+)`", names) if line.startswith("| `") else (), cells)
    return found


def named(expression: str) -> set[str]:
    """The metrics in an expression of PromQL; a histogram by its own name."""
    found = re.findall(r"\b(?:spaces|process)_\w+", re.sub(r"\{.*?\}", "", expression))
    return {re.sub(r"_seconds_(bucket|count|sum)$", "_seconds", name) for name in found}


async def test_page_and_metrics_name_the_same_and_dashboard_and_alerts_nothing_else(tmp_path: Path) -> None:
    async with open_town(tmp_path / "data", quiet=True) as town:
        answer = await town.http.get("/metrics")
        served = set(re.findall(r"^# TYPE (\w+)", answer.text, re.MULTILINE))
        for path, keys in (
            ("/healthz", {"status"}),
            ("/readyz", {"status", "database", "media", "draining"}),
        ):
            found = await town.http.get(path)
            assert (found.status_code, set(found.json())) == (200, keys)

    explained = rows("Metrics")
    assert set(explained) == served
    assert all(len(cells) == 2 and all(cells) for cells in explained.values())
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = (ROOT / "deploy" / "prometheus-rules.yml").read_text()
    asked += re.findall(r"expr: (?:>-\n)?(.*?)\n        (?:for|labels):", rules, re.DOTALL)
    for expression in asked:
        assert named(expression), expression
        assert named(expression) <= served, expression
    assert len(asked) >= rules.count("- alert:") + len(dashboard["panels"])


async def test_requests_are_counted_by_route_and_status_with_how_soon_they_were_answered(
    tmp_path: Path,
) -> None:
    async def counted(town: Town) -> dict[str, int]:
        text = (await town.http.get("/metrics")).text
        found = re.findall(r'duration_seconds_count\{route="(\w+)",status="(\w+)"\} (\d+)', text)
        inside = re.findall(r'_bucket\{le="\+Inf",route="(\w+)",status="(\w+)"\} (\d+)', text)
        assert found == inside
        assert text.count("duration_seconds_sum{") == len(found)
        return {f"{route} {status}": int(count) for route, status, count in found}

    async with open_town(tmp_path / "data", quiet=True) as town:
        before = await counted(town)
        for path in (
            "/timeline",
            "/no/such/page",
            "/media/recordings/none/index.m3u8",
            "/media/live/none/index.m3u8",
        ):
            await town.http.get(path)
        await town.http.post("/media/whip/none", content="x")
        await town.http.post("/graphql", json={"query": "{ viewer { user { id } } }"})
        await town.http.post("/graphql", content="{")
        after = await counted(town)
        found = {key: count - before.get(key, 0) for key, count in after.items() if count != before.get(key)}
    assert found == {
        "pages 2xx": 1, "pages 4xx": 1, "recorded 4xx": 1, "live 4xx": 1, "webrtc 4xx": 1,
        "graphql 2xx": 1, "graphql 4xx": 1, "operations 2xx": 1,
    }  # fmt: skip


def test_every_field_of_a_log_line_is_on_the_page() -> None:
    known = set(rows("Logs")) | {"exc_info"}
    for folder in ("api", "schema", "services", "workers", "media", "models"):
        for path in (ROOT / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("log."):
                    fields = {one.arg for one in call.keywords}
                    assert fields <= known, f"{path.relative_to(ROOT)}:{call.lineno}: {fields - known}"
