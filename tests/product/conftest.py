"""A server a test, or one that the tests of a module share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.product.court import Court, open_court
from tests.product.town import Town, open_town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A fresh server."""
    async with open_town(tmp_path / "data") as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A server for a whole module, for tests that bring their own people."""
    async with open_town(tmp_path_factory.mktemp("town") / "data") as opened:
        yield opened


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
