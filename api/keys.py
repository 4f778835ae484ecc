"""Keys of this server, kept in the data folder so that links and tokens survive a restart."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

import orjson
from joserfc.jwk import ECKey

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
    _write_once(path, secrets.token_bytes(_KEY_BYTES))
    return path.read_bytes()


def _write_once(path: Path, data: bytes) -> None:
    """Write a file that appears whole, for its owner alone. When two processes race, the first one stands."""
    part = path.with_suffix(f".{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(part, path)
    part.unlink()


def load_or_make_receipt_keys(folder: Path) -> list[ECKey]:
    """The keys that sign purge receipts, the newest last. To rotate, put a newer `receipts-N.jwk` beside them."""
    paths = sorted(folder.glob("receipts-*.jwk"), key=lambda path: int(path.stem.partition("-")[2]))
    if not paths:
        made = ECKey.generate_key("P-256", auto_kid=True)
        paths = [folder / "receipts-1.jwk"]
        _write_once(paths[0], orjson.dumps(made.as_dict(private=True)))
    return [ECKey.import_key(orjson.loads(path.read_bytes())) for path in paths]
