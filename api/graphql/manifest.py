"""The manifest of trusted documents: a file that is read at start, before anything of GraphQL is there."""

import hashlib
from pathlib import Path
from typing import Any

import orjson


def hash_of(document: str) -> str:
    """The SHA-256 of a document's UTF-8, in hexadecimal."""
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()


def read_manifest(path: Path) -> dict[str, str]:
    """The documents of a manifest by their hash.

    It is a JSON object of hashes and documents, or what Apollo's `generate-persisted-query-manifest` writes. Raises
    ValueError for one that cannot be read, or in which a hash is not its document's.
    """
    try:
        manifest = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"the manifest {path} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the manifest {path} is no JSON: {error}") from error
    found = _documents(manifest)
    if found is None:
        raise ValueError(
            f'expected the manifest {path} to be an object of the form {{"<SHA-256>": "<document>"}}'
        )
    for digest, document in found.items():
        if digest != hash_of(document):
            raise ValueError(f"the manifest {path} has {digest[:80]}, which is not its document's SHA-256")
    return found


def _documents(manifest: Any) -> dict[str, str] | None:
    if not isinstance(manifest, dict):
        return None
    listed = manifest.get("operations")
    if isinstance(listed, list) and all(isinstance(one, dict) for one in listed):
        manifest = {one.get("id"): one.get("body") for one in listed}
    if not all(isinstance(key, str) and isinstance(text, str) for key, text in manifest.items()):
        return None
    return {key.removeprefix("sha256:").lower(): text for key, text in manifest.items()}
