"""What operators are told: every metric has its line in the page and its place in the dashboard."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.product.town import Town

_ROOT = Path(__file__).parent.parent.parent
_DEPLOY = _ROOT / "deploy"
_METRIC = re.compile(r"\bspaces_[a-z_]+\b")
# Told only once there is something to tell.
_LATER = {"spaces_reconcile_findings"}


@pytest.mark.asyncio(loop_scope="module")
async def test_every_metric_is_named_with_what_to_do_and_drawn(city: Town) -> None:
    lines = (await city.http.get("/metrics")).text.splitlines()
    served = {line.split()[2] for line in lines if line.startswith("# TYPE spaces_")}
    page = (_ROOT / "docs" / "operations.md").read_text()
    rows = {name for line in page.splitlines() if line.startswith("| `") for name in _METRIC.findall(line)}
    panels = json.loads((_DEPLOY / "grafana.json").read_text())["panels"]
    drawn = {
        name for panel in panels for target in panel["targets"] for name in _METRIC.findall(target["expr"])
    }
    assert served | _LATER == rows == drawn


def test_services_of_the_compose_file_run_commands_that_there_are_with_secrets_by_file() -> None:
    composed = yaml.safe_load((_DEPLOY / "compose.yaml").read_text())
    source = (_ROOT / "api" / "cli.py").read_text()
    for name, service in composed["services"].items():
        assert set(service.get("secrets", ())) <= composed["secrets"].keys()
        assert not any("PASSWORD" in key and not key.endswith("_FILE") for key in service["environment"])
        if name != "database":
            assert f"def {service['command'][1]}(" in source


def test_units_run_commands_that_there_are() -> None:
    source = (_ROOT / "api" / "cli.py").read_text()
    units = sorted((_DEPLOY / "systemd").iterdir())
    assert len(units) == 3
    for unit in units:
        (command,) = re.findall(r"^ExecStart=/opt/spaces/bin/spaces ([a-z]+)", unit.read_text(), re.MULTILINE)
        assert f"def {command}(" in source
