"""How ids and times are written for others, in GraphQL and in webhooks alike."""

import base64
from datetime import UTC, datetime
from uuid import UUID


def global_id(type_name: str, key: UUID | int | str) -> str:
    """The global id of one object: opaque to clients, a type and a key to us."""
    return base64.urlsafe_b64encode(f"{type_name}:{key}".encode()).rstrip(b"=").decode()


def instant(value: datetime) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
