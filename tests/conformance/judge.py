"""What no answer may show, whatever was asked."""

import re
from typing import Any

import orjson

from tests.product.process import Server

# Words of the house's insides: traces, places of files, statements, classes and modules.
_INSIDES = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|/data/|/scratch|object at 0x|SELECT .+ FROM|INSERT INTO|UPDATE .+ SET"
    r"|sqlite|asyncpg|tortoise|strawberry|starlette|uvicorn|(?:schema|services|models|media|api)\.[a-z_]+\b"
    r"|\b[A-Z][A-Za-z]*(?:Error|Exception)\b(?!\b)|NoneType|<class|coroutine",
    re.IGNORECASE,
)
# What the schema itself is called, and may be called in an answer.
_WORDS = re.compile(r"UserError")


def leaks(text: str) -> list[str]:
    """What of the insides a text shows."""
    return _INSIDES.findall(_WORDS.sub("", text))


def judged(server: Server, status: int, text: str, *, sent: str = "") -> None:
    """An answer that is clear and shows nothing; what was `sent` may be told back."""
    assert status < 500, (status, text[:500], sent[:500])
    shown = [leak for leak in leaks(text) if leak not in sent]
    assert shown == [], (shown, text[:500], sent[:500])
    assert str(server.folder) not in text, text[:500]


def no_bug(text: str, *, sent: str) -> list[dict[str, Any]]:
    """The errors of an answer, none of which is a bug of ours."""
    answer = orjson.loads(text)
    errors: list[dict[str, Any]] = answer.get("errors") or []
    for error in errors:
        assert error["extensions"]["code"] != "UNAVAILABLE", (error, sent[:1000])
        assert "reference" not in error["extensions"], (error, sent[:1000])
    return errors
