"""What /metrics serves, what the operators' page explains, and what dashboard and alerts ask for are the same names."""

import ast
import json
import re
from pathlib import Path

from tests.product.town import open_town

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
    """The metrics in an expression of PromQL."""
    return set(re.findall(r"\b(?:spaces|process)_\w+", re.sub(r"\{.*?\}", "", expression)))


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


def test_every_field_of_a_log_line_is_on_the_page() -> None:
    known = set(rows("Logs")) | {"exc_info"}
    for folder in ("api", "schema", "services", "workers", "media", "models"):
        for path in (ROOT / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("log."):
                    fields = {one.arg for one in call.keywords}
                    assert fields <= known, f"{path.relative_to(ROOT)}:{call.lineno}: {fields - known}"
