"""The settings of the GraphQL edge's guards, a part of those in api/settings.py."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from api.graphql.limits import Limits
from api.graphql.manifest import read_manifest

_LIMITS = Limits()
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class GuardSettings(BaseSettings):
    """What clients may send, how much of it and how often."""

    rate_limit_enabled: bool = Field(
        default=True,
        description="False lifts rate and socket limits, for load tests. Never on a public address.",
    )
    introspection: bool = Field(
        default=_LIMITS.introspection,
        description="False hides the schema from clients; GraphiQL then knows no fields.",
    )
    suggestions: bool = Field(
        default=_LIMITS.suggestions,
        description='False takes "Did you mean …?" out of errors, which tells a hidden schema bit by bit.',
    )
    trusted_documents: str = Field(
        default="",
        description="File of documents that clients may send by their hash: JSON of SHA-256 and text. Read at start.",
    )
    trusted_documents_required: bool = Field(
        default=_LIMITS.trusted_only,
        description="True takes only the documents of that file; GraphiQL and strangers' programs then get nothing.",
    )
    persisted_documents: int = Field(
        default=_LIMITS.persisted_documents,
        ge=0,
        description="Other documents that are known by their hash once a client has sent them. 0: none.",
    )
    operations_per_minute_person: Count = Field(
        default=_LIMITS.operations_per_minute_person,
        description="GraphQL operations a minute for one account.",
    )
    operations_per_minute_address: Count = Field(
        default=_LIMITS.operations_per_minute_address,
        description="GraphQL operations a minute for one anonymous address. Behind one proxy all share it.",
    )
    body_bytes: Count = Field(
        default=_LIMITS.body_bytes,
        description="Bytes of one request body or frame. More: more memory for each request.",
    )
    tokens: Count = Field(
        default=_LIMITS.tokens,
        description="Tokens of one GraphQL document. Each costs some 10 µs to parse and check.",
    )
    document_chars: Count = Field(
        default=_LIMITS.document_chars,
        description="Characters of one GraphQL document. Each costs some 0.2 µs to read.",
    )
    merge_steps: Count = Field(
        default=_LIMITS.merge_steps,
        description="Comparisons of fields that share a name in the answer. Each costs some µs, and their number grows"
        " with the square of the fields.",
    )
    json_values: Count = Field(
        default=_LIMITS.json_values,
        description="Members and items in one JSON body. Each costs some 3 µs to check.",
    )
    json_depth: int = Field(
        default=_LIMITS.json_depth,
        ge=1,
        le=200,
        description="Levels of one JSON body. More than some hundred would exhaust Python's stack.",
    )
    depth: Count = Field(
        default=_LIMITS.depth, description="Levels of fields of one document; introspection is exempt."
    )
    aliases: Count = Field(
        default=_LIMITS.aliases,
        description="Aliases in one document. More: one request can ask for more of the same.",
    )
    cost: Count = Field(
        default=_LIMITS.cost,
        description="Fields times page sizes of one operation. More: larger and slower answers.",
    )
    page_max: Count = Field(
        default=_LIMITS.page_max, description="The largest page. More is refused, not clamped."
    )
    operations_per_socket: Count = Field(
        default=_LIMITS.operations_per_socket, description="Operations under way on one WebSocket."
    )
    sockets_per_person: Count = Field(
        default=_LIMITS.sockets_per_person,
        description="WebSockets of one account, or of one anonymous address.",
    )
    init_timeout_s: Seconds = Field(
        default=_LIMITS.init_timeout.total_seconds(),
        description="Seconds a WebSocket has for connection_init. Longer: idle sockets are held longer.",
    )
    ping_interval_s: Seconds = Field(
        default=_LIMITS.ping_interval.total_seconds(),
        description="Seconds between pings. A dead client is noticed after three of them.",
    )
    send_timeout_s: Seconds = Field(
        default=_LIMITS.send_timeout.total_seconds(),
        description="Seconds a client may leave a message unread. Longer: stalled clients hold more, for longer.",
    )
    header_timeout_s: Seconds = Field(
        default=_LIMITS.header_timeout.total_seconds(),
        description="Seconds a client has for its request headers. Longer: slow clients hold more.",
    )
    body_timeout_s: Seconds = Field(
        default=_LIMITS.body_timeout.total_seconds(),
        description="Seconds a client has for its request body. Longer: slow clients hold more.",
    )

    @model_validator(mode="after")
    def _manifest_can_be_read(self) -> Self:
        if self.trusted_documents_required and not self.trusted_documents:
            raise ValueError("SPACES_TRUSTED_DOCUMENTS_REQUIRED needs a file in SPACES_TRUSTED_DOCUMENTS")
        self.manifest()  # so that a wrong one is told before anything starts
        return self

    def manifest(self) -> dict[str, str]:
        """The trusted documents by their hash. Raises ValueError for a file that is none of the kind."""
        return read_manifest(Path(self.trusted_documents)) if self.trusted_documents else {}

    def limits(self) -> Limits:
        """The guards of the GraphQL edge."""
        return Limits(
            operations_per_minute_person=self.operations_per_minute_person,
            operations_per_minute_address=self.operations_per_minute_address,
            rate_limit_enabled=self.rate_limit_enabled,
            introspection=self.introspection,
            suggestions=self.suggestions,
            trusted_only=self.trusted_documents_required,
            persisted_documents=self.persisted_documents,
            body_bytes=self.body_bytes,
            tokens=self.tokens,
            document_chars=self.document_chars,
            merge_steps=self.merge_steps,
            json_values=self.json_values,
            json_depth=self.json_depth,
            depth=self.depth,
            aliases=self.aliases,
            cost=self.cost,
            page_max=self.page_max,
            operations_per_socket=self.operations_per_socket,
            sockets_per_person=self.sockets_per_person,
            init_timeout=timedelta(seconds=self.init_timeout_s),
            ping_interval=timedelta(seconds=self.ping_interval_s),
            send_timeout=timedelta(seconds=self.send_timeout_s),
            header_timeout=timedelta(seconds=self.header_timeout_s),
            body_timeout=timedelta(seconds=self.body_timeout_s),
        )
