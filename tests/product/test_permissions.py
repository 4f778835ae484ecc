"""The permission table, cell by cell, over HTTP."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from graphql import GraphQLObjectType

from tests.product.permission_cells import VALUE, change_cell, read_cells, root_cell, served_once
from tests.product.permission_page import page
from tests.product.permission_places import CHANGES, PLACES, ROOTS
from tests.product.permission_table import CHANGE_CELLS, FIELDS, ROOT_CELLS, STRUCTURE
from tests.product.permission_town import PEOPLE, World, open_world

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
_in_one_town = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Everybody in place, once for the module."""
    async with open_world(tmp_path_factory.mktemp("world") / "data") as opened:
        yield opened


def _first(label: str) -> str:
    return label.partition(",")[0]


def test_every_field_and_mutation_that_is_served_has_its_row() -> None:
    schema = served_once()
    roots = {"Query", "Mutation", "Subscription"}
    wanted, told = set[str](), set[str]()
    for name, found in schema.type_map.items():
        if not isinstance(found, GraphQLObjectType) or name.startswith("__"):
            continue
        if name in roots or not name.endswith(STRUCTURE):
            wanted |= {f"{name}.{field}" for field in found.fields}
    for place, groups in FIELDS.items():
        names = Counter(" ".join(groups.values()).split())
        assert set(names.values()) == {1}, f"{place} names a field twice"
        own = schema.type_map[PLACES[place].type]
        assert isinstance(own, GraphQLObjectType)
        assert set(names) == set(own.fields), f"{place} does not name the fields of its type"
        told |= {f"{own.name}.{field}" for field in names}
    told |= {_first(label) for label in ROOT_CELLS}
    told |= {f"Mutation.{_first(label)}" for label in CHANGE_CELLS}
    assert wanted - told == set(), "served, and without a row in permission_table.py"
    assert told - wanted == set(), "in permission_table.py, and not served"


def test_every_row_has_a_cell_for_each_person_and_a_place_where_it_is_met() -> None:
    rows = [
        *ROOT_CELLS.values(),
        *CHANGE_CELLS.values(),
        *(cells for one in FIELDS.values() for cells in one),
    ]
    assert {len(cells) for cells in rows} == {len(PEOPLE)}
    assert (FIELDS.keys(), ROOT_CELLS.keys(), CHANGE_CELLS.keys()) == (
        PLACES.keys(), ROOTS.keys(), CHANGES.keys()
    )  # fmt: skip


def test_the_page_of_permissions_is_up_to_date() -> None:
    up_to_date = PAGE.exists() and PAGE.read_text(encoding="utf-8") == page()
    assert up_to_date, "run: .venv/bin/python -m tests.product.permission_page > docs/permissions.md"


@_in_one_town
@pytest.mark.parametrize("place", FIELDS)
async def test_everybody_is_told_what_the_table_says_of(world: World, place: str) -> None:
    wanted = {name: cells for cells, names in FIELDS[place].items() for name in names.split()}
    told = dict.fromkeys(wanted, "")
    for who in PEOPLE:
        for name, cell in (await read_cells(world, PLACES[place], list(wanted), who)).items():
            told[name] += cell
    assert told == wanted


@_in_one_town
@pytest.mark.parametrize("label", ROOT_CELLS)
async def test_everybody_is_told_what_the_table_says_at(world: World, label: str) -> None:
    told = [await root_cell(world, ROOTS[label], who) for who in PEOPLE]
    assert "".join(told) == ROOT_CELLS[label]


@_in_one_town
@pytest.mark.parametrize("label", CHANGES)
async def test_everybody_may_do_what_the_table_says_and_no_more(world: World, label: str) -> None:
    wanted = dict(zip(PEOPLE, CHANGE_CELLS[label], strict=True))
    told: dict[str, str] = {}
    # Who is refused comes first: what they ask for is still there.
    for who in sorted(PEOPLE, key=lambda one: wanted[one] == VALUE):
        told[who] = await change_cell(world, _first(label), CHANGES[label], who)
    assert told == wanted
