"""Text that people send: cut, counted and cleared of what no database or page can carry."""

import re
import unicodedata

from services.errors import InvalidInput

_HANDLE = re.compile(r"[A-Za-z0-9_]{3,30}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
MOST_TOPICS = 10


def _is_plain(value: str) -> bool:
    return not any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t\r" for char in value)


# What shows nothing: controls, marks that join what is before them, spaces; and letters and signs that are blank.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Mn", "Zl", "Zp", "Zs"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def _is_visible(value: str) -> bool:
    return any(unicodedata.category(char) not in _UNSEEN and char not in _BLANK for char in value)


def line(value: str, field: str, *, most: int, least: int = 1) -> str:
    """One line of text, trimmed, of `least` to `most` characters; what must be there must be seen."""
    trimmed = value.strip()
    if not least <= len(trimmed) <= most:
        raise InvalidInput(
            f"{field} must have {least} to {most} characters, got {len(trimmed)}.", path=[field]
        )
    if not _is_plain(trimmed):
        raise InvalidInput(f"{field} must have no control characters.", path=[field])
    if least and not _is_visible(trimmed):
        raise InvalidInput(f"{field} must have a visible character.", path=[field])
    return trimmed


def optional(value: str | None, field: str, *, most: int) -> str | None:
    """Text that may be left out; empty text counts as left out."""
    if value is None:
        return None
    return line(value, field, most=most, least=0) or None


def handle(value: str, field: str = "handle") -> str:
    """A handle: 3 to 30 letters, digits and underscores."""
    if not _HANDLE.fullmatch(value):
        raise InvalidInput("A handle has 3 to 30 letters A-Z, digits and underscores.", path=[field])
    return value


def handle_key(value: str) -> str | None:
    """What accounts are found by; None for what can be nobody's handle."""
    return value.lower() if _HANDLE.fullmatch(value) else None


def password(value: str, field: str) -> str:
    """A password: 8 to 128 characters of any kind."""
    if not 8 <= len(value) <= 128 or any(unicodedata.category(char) == "Cs" for char in value):
        raise InvalidInput(f"{field} must have 8 to 128 characters, got {len(value)}.", path=[field])
    return value


def language(value: str | None) -> str | None:
    """A BCP 47 language tag."""
    if value is not None and (len(value) > 35 or not _LANGUAGE.fullmatch(value)):
        raise InvalidInput("language must be a BCP 47 tag such as 'en' or 'pt-BR'.", path=["language"])
    return value


def topics(values: list[str]) -> list[str]:
    """At most 10 topics of 1 to 40 characters, each once."""
    if len(values) > MOST_TOPICS:
        raise InvalidInput(f"A Space has at most {MOST_TOPICS} topics, got {len(values)}.", path=["topics"])
    return list(dict.fromkeys(line(value, "topics", most=40) for value in values))
