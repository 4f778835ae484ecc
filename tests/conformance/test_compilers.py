"""Compilers and linters of front-end developers: they take our schema, and the operations of the examples."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conformance.programs import NODE, run

pytestmark = [pytest.mark.needs_node, pytest.mark.usefixtures("node_modules")]

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "schema" / "schema.graphql"
OPERATIONS = ROOT / "docs" / "examples" / "operations"
RELAY_RULES = ("relay-connection-types-spec", "relay-connection-arguments-spec", "relay-page-info-spec")


def program(name: str) -> Path:
    """A command of the packages."""
    return NODE / "node_modules" / ".bin" / name


def workshop(folder: Path, source: Path) -> Path:
    """A folder of its own with the sources, the schema and the packages."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    shutil.copy(SCHEMA, folder / "schema.graphql")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    return folder


def test_relay_compiles_a_connection_a_refetchable_fragment_mutations_and_a_subscription(
    tmp_path: Path,
) -> None:
    folder = workshop(tmp_path, NODE / "relay")
    (folder / "made").mkdir()
    run(program("relay-compiler"), "relay.config.json", folder=folder)
    made = {path.name.removesuffix(".graphql.ts"): path.read_text() for path in (folder / "made").iterdir()}
    assert made.keys() == {
        *("appTimelineQuery", "appTimeline_query", "appTimelinePaginationQuery"),
        *("appRecording_recording", "appRecordingRefetchQuery"),
        *("appShareMutation", "appUnshareMutation", "appStatusSubscription"),
    }
    assert '"handle": "connection"' in made["appTimelineQuery"]
    assert "node(id: $id)" in made["appRecordingRefetchQuery"]


def test_the_relay_rules_of_graphql_schema_linter_find_nothing(tmp_path: Path) -> None:
    told = run(program("graphql-schema-linter"), "-f", "json", "-r", ",".join(RELAY_RULES), SCHEMA)
    assert json.loads(told) == {"errors": []}
    # And it does look: a connection without its page info is found.
    broken = tmp_path / "broken.graphql"
    broken.write_text(SCHEMA.read_text().replace("pageInfo: PageInfo!", "page: PageInfo!"))
    told = run(program("graphql-schema-linter"), "-r", RELAY_RULES[0], broken, fails=True)
    assert "pageInfo" in told


@pytest.mark.long
def test_graphql_eslint_finds_nothing_in_the_schema_and_the_examples(tmp_path: Path) -> None:
    folder = workshop(tmp_path / "lint", NODE / "lint")
    shutil.copytree(OPERATIONS, folder / "operations")
    files = [
        "schema.graphql",
        *(str(path.relative_to(folder)) for path in folder.glob("operations/*.graphql")),
    ]
    lint = ("node", program("eslint"), "--max-warnings", "0", "--no-warn-ignored")
    assert run(*lint, *files, folder=folder) == ""
    # And it does look: at what is described, and at what is asked.
    (folder / "operations" / "Broken.graphql").write_text(
        "query Broken { timeline { edges { node { nothing } } } }"
    )
    assert "nothing" in run(*lint, "operations/Broken.graphql", folder=folder, fails=True)
