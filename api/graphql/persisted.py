"""Documents that are sent by their hash: those of a manifest, and those that clients have sent before.

Both speak `extensions.persistedQuery`, as the clients of Apollo and urql do.
https://www.apollographql.com/docs/apollo-server/performance/apq
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from api.graphql.errors import ErrorJson, Refusal, error_json
from api.graphql.limits import Limits
from api.graphql.manifest import hash_of
from api.graphql.request import GraphQLRequest
from services.errors import InvalidInput

_HASH = re.compile(r"[0-9a-f]{64}")
_EXTENSION = "persistedQuery"


def _refusal(message: str, code: str) -> Refusal:
    error: ErrorJson = {"message": message, "extensions": {"code": code}}
    return Refusal((error,), by_guard=False)


# Clients know these two by their messages.
_NOT_FOUND = _refusal("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
_NOT_SUPPORTED = _refusal("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
_ONLY = _refusal(
    "This server takes only the documents of its manifest. Send one of them, or its hash.",
    "PERSISTED_QUERY_ONLY",
)


class Persisted:
    """Finds the document that a hash stands for.

    `trusted` are the documents of the manifest by their hash; with `limits.trusted_only` no others are taken. Else a
    client's own are kept once they are valid, those not asked for longest being forgotten first.
    """

    def __init__(self, limits: Limits, *, trusted: Mapping[str, str] | None = None) -> None:
        self._limits = limits
        self._trusted = trusted or {}
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._chars = 0

    def resolve(self, request: GraphQLRequest) -> GraphQLRequest | Refusal:
        """The request with its document, or why there is none."""
        try:
            digest = _digest(request.extensions)
        except InvalidInput as error:
            return Refusal((error_json(error),), by_guard=True)
        if not request.query:
            if digest is None:
                return request
            return self._found(request, digest)
        if digest is None and not self._limits.trusted_only:
            return request
        actual = hash_of(request.query)
        if digest is not None and digest != actual:
            wrong = InvalidInput("`sha256Hash` is not that of `query`. Send the SHA-256 of its UTF-8.")
            return Refusal((error_json(wrong),), by_guard=True)
        if self._limits.trusted_only and actual not in self._trusted:
            return _ONLY
        return request

    def _found(self, request: GraphQLRequest, digest: str) -> GraphQLRequest | Refusal:
        document = self._trusted.get(digest)
        if document is None and digest in self._kept:
            self._kept.move_to_end(digest)
            document = self._kept[digest]
        if document is not None:
            return replace(request, query=document)
        return _NOT_FOUND if self._keeps or self._limits.trusted_only else _NOT_SUPPORTED

    @property
    def _keeps(self) -> bool:
        return self._limits.persisted_documents > 0 and not self._limits.trusted_only

    def keep(self, request: GraphQLRequest) -> None:
        """Remember a valid document that came with its hash."""
        extension = request.extensions.get(_EXTENSION)
        if not self._keeps or not extension or not request.query:
            return
        digest = extension["sha256Hash"].lower()
        if digest in self._trusted or digest in self._kept:
            return
        self._kept[digest] = request.query
        self._chars += len(request.query)
        limits = self._limits
        while len(self._kept) > limits.persisted_documents or self._chars > limits.persisted_chars:
            _, forgotten = self._kept.popitem(last=False)
            self._chars -= len(forgotten)


def _digest(extensions: Mapping[str, Any]) -> str | None:
    """The hash that a request names. Raises InvalidInput."""
    extension = extensions.get(_EXTENSION)
    if extension is None:
        return None
    digest = extension.get("sha256Hash") if isinstance(extension, dict) else None
    if not isinstance(digest, str) or not _HASH.fullmatch(digest.lower()) or extension.get("version") != 1:
        raise InvalidInput(
            f'`extensions.{_EXTENSION}` is not of the form {{"version": 1, "sha256Hash": "<64 hexadecimal digits>"}}.',
            path=["extensions", _EXTENSION],
        )
    return digest.lower()
