"""A server a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.product.court import Court, open_court
from tests.product.town import Town, open_town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A fresh server."""
    async with open_town(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
async def court(tmp_path: Path) -> AsyncIterator[Court]:
    """A fresh server with a host, a listener and a moderator, for what is decided about recordings."""
    async with open_court(tmp_path / "data") as opened:
        yield opened
