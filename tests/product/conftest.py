"""A server a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.product.town import Town, open_town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A fresh server."""
    async with open_town(tmp_path / "data") as opened:
        yield opened
