"""Finding people and Spaces by the beginnings of words.

Each word is kept as a row, so that a search is a range of an index and no character of it has a meaning of its
own. Case, accents and width do not matter. Scripts that leave no room between words are found from each of
their characters on.
"""

import unicodedata
from collections.abc import Iterable
from uuid import UUID

from tortoise.expressions import Q, Subquery

from models.search_word import SearchWord, WordKind
from services.errors import InvalidInput

LONGEST_TEXT = 200
_MOST_WORDS = 8
_WORD_CHARS = 40
# Behind every hexadecimal digit.
_BEHIND = "g"


def plain(value: str) -> str:
    """Text without case, accents and width."""
    decomposed = unicodedata.normalize("NFKD", value).casefold()
    return "".join(
        char for char in unicodedata.normalize("NFKD", decomposed) if not unicodedata.combining(char)
    )


def _words(value: str) -> list[str]:
    kept = "".join(char if char.isalnum() or char == "_" else " " for char in plain(value))
    return kept.split()


def _beginnings(word: str) -> Iterable[str]:
    """From where a word is found: its start, after underscores, and each character of scripts without spaces."""
    for place, char in enumerate(word):
        before = word[place - 1] if place else "_"
        if (before == "_" and char != "_") or place == 0 or unicodedata.category(char) == "Lo":
            yield word[place : place + _WORD_CHARS]


def _key(word: str) -> str:
    return word[:_WORD_CHARS].encode(errors="replace").hex()


async def index(kind: WordKind, subject_id: UUID, *texts: str) -> None:
    """Make a subject found by these texts, and by no others of this kind any more."""
    await _replace(kind, subject_id, keys(*texts))


def keys(*texts: str) -> set[str]:
    """What is kept of some texts, for each place from which a word is found."""
    return {_key(one) for text in texts for word in _words(text) for one in _beginnings(word)}


async def index_topics(subject_id: UUID, topics: Iterable[str]) -> None:
    """Make a Space found by its topics, each as a whole."""
    await _replace(WordKind.TOPIC, subject_id, {_key(plain(topic)) for topic in topics})


async def _replace(kind: WordKind, subject_id: UUID, found: set[str]) -> None:
    await SearchWord.filter(subject_id=subject_id, kind=kind).delete()
    rows = [SearchWord(kind=kind, subject_id=subject_id, word=word) for word in sorted(found)]
    await SearchWord.bulk_create(rows)


async def forget(subject_id: UUID) -> None:
    """Nothing finds the subject any more."""
    await SearchWord.filter(subject_id=subject_id).delete()


def by_text(kind: WordKind, text: str) -> Q | None:
    """Rows that have a word beginning with each word of `text`; None when it has no words."""
    if len(text) > LONGEST_TEXT:
        raise InvalidInput(
            f"text must have at most {LONGEST_TEXT} characters, got {len(text)}.", path=["text"]
        )
    where = Q()
    words = list(dict.fromkeys(_words(text)))[:_MOST_WORDS]
    for word in words:
        start = _key(word)
        hits = SearchWord.filter(kind=kind, word__gte=start, word__lt=start + _BEHIND)
        where &= Q(id__in=Subquery(hits.values("subject_id")))
    return where if words else None


def by_topic(topic: str) -> Q:
    """Spaces that have this topic, in whatever case."""
    hits = SearchWord.filter(kind=WordKind.TOPIC, word=_key(plain(topic.strip())))
    return Q(id__in=Subquery(hits.values("subject_id")))
