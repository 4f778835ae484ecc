"""A server a test, or one that the tests of a module share; and where servers keep their rows."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.product.court import Court, open_court
from tests.product.databases import KINDS, databases
from tests.product.town import Town, open_town

if TYPE_CHECKING:
    from tests.product.s3 import ObjectStore


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is marked `both_databases` runs on both, unless one is named."""
    marked = metafunc.definition.get_closest_marker("both_databases") is not None
    if marked and metafunc.config.getoption("--database") is None:
        metafunc.parametrize("database", KINDS, indirect=True, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What looks into the SQLite file has nothing to look into on PostgreSQL."""
    if config.getoption("--database") == "postgres":
        left_out = [item for item in items if item.get_closest_marker("sqlite_file") is not None]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session", autouse=True)
def _databases() -> Iterator[None]:
    yield
    databases.close()


@pytest.fixture(scope="module", autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of database that servers of this test keep their rows in."""
    kind = getattr(request, "param", None) or request.config.getoption("--database") or KINDS[0]
    with databases.on(kind):
        yield kind


@pytest.fixture(autouse=True)
def _forgotten(tmp_path: Path) -> Iterator[None]:
    yield
    databases.forget(tmp_path)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A fresh server."""
    async with open_town(tmp_path / "data") as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_town(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A server for a whole module, for tests that bring their own people."""
    folder = tmp_path_factory.mktemp("town")
    async with open_town(folder / "data") as opened:
        yield opened
    databases.forget(folder)


@pytest_asyncio.fixture(loop_scope="module")
async def city(shared_town: Town) -> AsyncIterator[Town]:
    """The module's server, its clock set right again after each test."""
    yield shared_town
    shared_town.clock.frozen = None
    shared_town.clock.offset *= 0


@pytest.fixture
async def court(tmp_path: Path) -> AsyncIterator[Court]:
    """A fresh server with a host, a listener and a moderator, for what is decided about recordings."""
    async with open_court(tmp_path / "data") as opened:
        yield opened


@pytest.fixture(scope="session")
def _store() -> Iterator["ObjectStore"]:
    # It takes half a second to load: only who asks for a store pays.
    from tests.product.s3 import object_store

    with object_store() as opened:
        yield opened


@pytest.fixture
def store(_store: "ObjectStore") -> Iterator["ObjectStore"]:
    """An object store that is well, and is made well again after each test."""
    yield _store
    _store.tell("up")
    _store.tell("fine")
