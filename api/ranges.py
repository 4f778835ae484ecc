"""Byte ranges (RFC 9110, section 14) over a file of which a stretch may be hidden, and what they depend on."""

import re
from dataclasses import dataclass
from hashlib import sha256

from starlette.datastructures import Headers

_ONE_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.IGNORECASE)


class Unsatisfiable(Exception):
    """No byte of the range may be had."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes from `start` up to, not including, `end`."""

    start: int
    end: int


def entity_tag(*facts: object) -> str:
    """A strong entity tag (section 8.8.3) for bytes that these facts determine."""
    return f'"{sha256(repr(facts).encode()).hexdigest()[:32]}"'


def is_known(headers: Headers, tag: str) -> bool:
    """Whether the client has these bytes already and asks for others: If-None-Match, section 13.1.2."""
    given = {part.strip().removeprefix("W/") for part in headers.get("if-none-match", "").split(",")}
    return not given.isdisjoint({tag, "*"})


def wanted_range(headers: Headers, tag: str) -> str | None:
    """The Range header, unless If-Range (section 13.1.5) says that it belongs to other bytes than these."""
    same = headers.get("if-range", tag).strip() == tag
    return headers.get("range") if same else None


def visible_spans(init_bytes: int, cut: int, size: int) -> list[Span]:
    """What a listener may have: the init segment, and everything from the cut on."""
    if cut <= init_bytes:
        return [Span(0, size)]
    return [span for span in (Span(0, init_bytes), Span(cut, size)) if span.end > span.start]


def read_range(header: str | None, size: int, visible: list[Span]) -> Span | None:
    """The bytes that a Range header asks for, None for all. Several ranges are answered with all of it.

    A range that begins in a visible stretch ends with it. Raises Unsatisfiable for one that does not.
    """
    found = _ONE_RANGE.fullmatch(header.replace(" ", "")) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if found[1]:
        start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
    else:
        start, end = max(0, size - int(found[2])), size
    if start >= end:
        if found[1] and found[2]:
            return None  # a header that is not valid is ignored
        raise Unsatisfiable
    for span in visible:
        if span.start <= start < span.end:
            return Span(start, min(end, span.end))
    raise Unsatisfiable
