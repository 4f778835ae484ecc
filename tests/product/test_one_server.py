"""One server a data folder."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.product.process import served_town
from tests.product.town import free_port


async def test_a_second_server_on_the_same_folder_is_refused_in_a_sentence(tmp_path: Path) -> None:
    async with served_town(tmp_path):
        environment = {
            **os.environ,
            "SPACES_DATA_DIR": str(tmp_path / "data"),
            "SPACES_PORT": str(free_port()),
        }
        second = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "api.cli", "serve"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    assert second.returncode == 1
    assert "Another Spaces server uses this data folder." in " ".join(second.stderr.split())
