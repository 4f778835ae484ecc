"""Keys of this server, kept in the data folder so that links and tokens survive a restart."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
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
    write_once(path, secrets.token_bytes(_KEY_BYTES))
    return path.read_bytes()


def write_once(path: Path, data: bytes) -> None:
    """Write a file that appears whole, for its owner alone. When two processes race, the first one stands."""
    part = path.with_suffix(f".{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(part, path)
    part.unlink()


def load_or_make_ec(path: Path) -> EllipticCurvePrivateKey:
    """The P-256 key in a PEM file; on first use a new one, readable by its owner alone."""
    if not path.exists():
        made = generate_private_key(SECP256R1())
        write_once(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError(f"expected an elliptic curve key in {path.name}")
    return key


class ReceiptKeys:
    """The keys that sign receipts and the audit log's head, the newest last: `receipts-1.jwk` and so on.

    The folder is looked at on each call, so that a rotation is seen by every process without a restart.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, ECKey] = {}

    def __call__(self) -> list[ECKey]:
        """Every key. Makes the first one."""
        return self.known() or [self.rotate()]

    def known(self) -> list[ECKey]:
        """Every key that there is."""
        return [self._key(path) for _, path in self._paths()]

    def rotate(self) -> ECKey:
        """Make a new key, which signs from now on. The older ones still count."""
        paths = self._paths()
        path = self._folder / f"receipts-{paths[-1][0] + 1 if paths else 1}.jwk"
        made = ECKey.generate_key("P-256", auto_kid=True)
        write_once(path, orjson.dumps(made.as_dict(private=True)))
        return self._key(path)

    def _paths(self) -> list[tuple[int, Path]]:
        found = [(path.stem.removeprefix("receipts-"), path) for path in self._folder.glob("receipts-*.jwk")]
        return sorted((int(number), path) for number, path in found if number.isdecimal())

    def _key(self, path: Path) -> ECKey:
        if path not in self._read:
            self._read[path] = ECKey.import_key(orjson.loads(path.read_bytes()))
        return self._read[path]
