"""What one person, one request and one socket may ask for."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The guards of the edge. Each is on by default; each comment says what changing it costs."""

    # A body or frame beyond this is refused unread: what one request may hold in memory.
    body_bytes: int = 1_000_000
    # Request line and headers together: what a client may make us buffer before it has said anything.
    header_bytes: int = 32_768
    # The lexer reads about 5 MB of GraphQL a second: this times 0.2 µs is what one new document may cost.
    document_chars: int = 100_000
    # Parsing and validating cost about 10 µs a token.
    tokens: int = 1_000
    # Nesting of JSON bodies; deeper ones would exhaust Python's stack in code that walks them.
    json_depth: int = 100
    # Members and items in one JSON body; each costs about 3 µs to check against its type.
    json_values: int = 20_000
    # Comparisons of fields that share a name in the answer; each costs about 1 µs.
    merge_steps: int = 5_000
    # Levels of fields, fragments spread out.
    depth: int = 12
    # Aliased fields in one document.
    aliases: int = 30
    # Selected fields times the page sizes above them: roughly the number of values in the answer.
    cost: int = 5_000
    page_min: int = 1
    page_max: int = 100
    # Documents kept parsed, and their tokens: each is 550 bytes, and 2.5 µs of every full garbage collection.
    cached_documents: int = 1_000
    cached_tokens: int = 20_000
    # Documents that clients may send by their hash once they have sent them; each is at most `document_chars`.
    persisted_documents: int = 1_000
    persisted_chars: int = 5_000_000
    # True takes only the documents of the manifest.
    trusted_only: bool = False
    operations_per_socket: int = 100
    sockets_per_person: int = 500
    operations_per_minute_person: int = 1_200
    operations_per_minute_address: int = 300
    # False lifts the limits of operations a minute and of sockets a person, for load tests.
    rate_limit_enabled: bool = True
    # False hides the schema from clients; tools like GraphiQL then know no fields.
    introspection: bool = True
    # False takes "Did you mean …?" out of errors, which tells the schema bit by bit.
    suggestions: bool = True
    init_timeout: timedelta = timedelta(seconds=3)
    # A dead client is noticed after three of these.
    ping_interval: timedelta = timedelta(seconds=20)
    # Below the 15 s after which common proxies drop an idle response.
    heartbeat_interval: timedelta = timedelta(seconds=12)
    # A client that leaves one message unread for this long is closed: what a stalled client can hold.
    send_timeout: timedelta = timedelta(seconds=30)
    header_timeout: timedelta = timedelta(seconds=15)
    body_timeout: timedelta = timedelta(seconds=15)
    # How long a refused client may go on sending before the connection is cut, so that it can read why.
    linger: timedelta = timedelta(seconds=2)
