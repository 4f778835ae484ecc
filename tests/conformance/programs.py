"""Programs that others wrote, and what they print."""

import subprocess
from pathlib import Path

NODE = Path(__file__).parent / "node"
PATIENCE_S = 120.0


def run(*command: str | Path, folder: Path = NODE, fails: bool = False) -> str:
    """What a program prints that must succeed, or must fail."""
    ended = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ended.returncode != 0) == fails, ended.stdout
    return ended.stdout
