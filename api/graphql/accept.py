"""What a client accepts (RFC 9110, section 12.5.1)."""

from dataclasses import dataclass

JSON = "application/json"
RESPONSE_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
HTML = "text/html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The forms in which a client takes its answer.

    Without `json` and without `streams` nothing can be sent.
    """

    json: str | None
    streams: bool
    prefers_stream: bool
    prefers_html: bool


def negotiate(accept: str | None) -> Accepted:
    """Read an `Accept` header. Without one, application/json.

    Of equals the one named in full wins, and of those application/graphql-response+json, whose status codes
    say more. Event streams and HTML must be named: a wildcard is answered in JSON.
    """
    ranges = _ranges(accept or "*/*")
    json = _quality(ranges, JSON)
    response = _quality(ranges, RESPONSE_JSON)
    stream = ranges.get(EVENT_STREAM, 0.0)
    html = ranges.get(HTML, 0.0)
    chosen = None
    if max(json, response) > 0:
        named = RESPONSE_JSON in ranges
        chosen = RESPONSE_JSON if response > json or (response == json and named) else JSON
    best = max(json, response)
    return Accepted(
        json=chosen,
        streams=stream > 0,
        prefers_stream=stream > best,
        prefers_html=html > 0 and html >= max(ranges.get(JSON, 0.0), ranges.get(RESPONSE_JSON, 0.0)),
    )


def _ranges(accept: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for item in accept.split(",")[:50]:
        media_range, *parameters = item.split(";")
        name = media_range.strip().lower()
        if name:
            ranges[name] = max(ranges.get(name, 0.0), _weight(parameters))
    return ranges


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0


def _quality(ranges: dict[str, float], media_type: str) -> float:
    kind, _, _ = media_type.partition("/")
    for candidate in (media_type, f"{kind}/*", "*/*"):
        if candidate in ranges:
            return ranges[candidate]
    return 0.0
