"""What the last release served, and the pages that tell of the schema."""

import re
from pathlib import Path

import pytest

from api import schema_files
from api.reference import breaking_changes, reference
from services.tokens import SCOPES

SDL = """
"A colour." enum Paint { RED GREEN }
"A wall." type Wall { "Its colour." paint: Paint "How many." doors(of: Paint): Int }
"Everything." type Query { "One." wall(id: ID!): Wall }
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"Its colour." paint: Paint', "", "Wall.paint was removed"),
        ('"Its colour." paint: Paint', '"Its colour." paint: Wall', "Wall.paint changed type"),
        ("wall(id: ID!)", "wall(id: ID!, floor: Int!)", "floor"),
        ("RED GREEN", "RED", "GREEN was removed"),
        ("doors(of: Paint)", "doors", "Wall.doors(of"),
    ],
    ids=["removed field", "changed type", "new required argument", "removed value", "removed argument"],
)
def test_what_clients_rely_on_may_not_go(old: str, new: str, told: str) -> None:
    (change,) = breaking_changes(SDL, SDL.replace(old, new))
    assert told in change


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RED GREEN", "RED GREEN BLUE"),
        ("wall(id: ID!)", "wall(id: ID!, floor: Int = 0)"),
        ("paint: Paint", "paint: Paint!"),
        ('"One."', '"Two." walls: [Wall!]! "One."'),
    ],
    ids=["value", "argument with a default", "never null any more", "field"],
)
def test_what_asks_nothing_of_clients_may_come(old: str, new: str) -> None:
    assert breaking_changes(SDL, SDL.replace(old, new)) == []


def test_a_broken_promise_and_a_stale_page_fail_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert schema_files.faults() == []
    released = tmp_path / "released.graphql"
    text = schema_files.RELEASED.read_text(encoding="utf-8")
    released.write_text(
        text.replace("type Query {", 'type Query {\n  "Once." formerly: Int'), encoding="utf-8"
    )
    monkeypatch.setattr(schema_files, "RELEASED", released)
    assert schema_files.faults() == [
        "This breaks clients of the last release: Field Query.formerly was removed.",
    ]
    monkeypatch.setattr(schema_files, "ROOT", tmp_path)
    monkeypatch.setattr(schema_files, "PAGES", tmp_path / "api")
    monkeypatch.setattr(schema_files, "SCHEMA", tmp_path / "schema.graphql")
    assert "api/queries.md is out of date. Run: make schema" in schema_files.faults()
    schema_files.write(release=True)
    assert schema_files.faults() == []
    (tmp_path / "api" / "walls.md").write_text("A page that nothing makes.")
    assert schema_files.faults() == ["api/walls.md is out of date. Run: make schema"]


def test_the_reference_names_every_operation_with_its_scopes_and_every_type_once() -> None:
    sdl = schema_files.SCHEMA.read_text(encoding="utf-8")
    pages = reference(sdl, cost=5000)
    assert pages == reference(sdl, cost=5000)
    headings = [
        heading for page in pages.values() for heading in re.findall(r"^## (\S+)$", page, re.MULTILINE)
    ]
    named = re.findall(r"^(?:type|interface|union|enum|input|scalar) (\w+)", sdl, re.MULTILINE)
    operations = {name for name in headings if name[0].islower()}
    assert sorted(set(headings) - operations) == sorted(set(named) - {"Query", "Mutation", "Subscription"})
    assert SCOPES.keys() & operations == SCOPES.keys() - {name for name in SCOPES if f"  {name}(" not in sdl}
    assert "An access token needs the scope `AUDIO_PUBLISH` or `SPACES_WRITE`." in pages["mutations.md"]
    told = re.findall(r"^## (\S+)$(.*?)(?=^## |\Z)", pages["mutations.md"], re.MULTILINE | re.DOTALL)
    without = {name for name, text in told if "An access token may not do this." in text}
    assert without == {name for name, _ in told} - SCOPES.keys()


def test_every_link_of_the_reference_leads_to_a_heading() -> None:
    pages = reference(schema_files.SCHEMA.read_text(encoding="utf-8"), cost=5000)
    anchors = {
        f"{name}#{heading.lower()}"
        for name, page in pages.items()
        for heading in re.findall(r"^## (\S+)$", page, re.MULTILINE)
    }
    links = {link for page in pages.values() for link in re.findall(r"\(([a-z]+\.md#[^)]*)\)", page)}
    assert links - anchors == set()
