"""Keys of this server, kept in the data folder so that links and tokens survive a restart."""

import os
import secrets
from pathlib import Path

_KEY_BYTES = 32


def load_or_make(path: Path) -> bytes:
    """The key in a file; on first use a new random one, readable by its owner alone."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return _make(path)
    if len(key) != _KEY_BYTES:
        raise ValueError(f"expected {_KEY_BYTES} bytes in {path.name}, got {len(key)}")
    return key


def _make(path: Path) -> bytes:
    key = secrets.token_bytes(_KEY_BYTES)
    part = path.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        os.fsync(file.fileno())
    # Linked, not renamed: when two processes start at once, the first key stands.
    try:
        os.link(part, path)
    except FileExistsError:
        key = path.read_bytes()
    part.unlink()
    return key
