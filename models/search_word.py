"""What people and Spaces are found by."""

from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model


class WordKind(StrEnum):
    """Whose word it is, and from where."""

    ACCOUNT = "ACCOUNT"
    SPACE = "SPACE"
    TOPIC = "TOPIC"


class SearchWord(Model):
    """`word` is UTF-8 in hexadecimal: every database orders that alike, so that a prefix is a range of the index."""

    id = fields.BigIntField(primary_key=True, generated=True)
    kind = fields.CharEnumField(WordKind, max_length=7)
    subject_id: UUID = fields.UUIDField()
    word = fields.CharField(max_length=320)

    class Meta:
        table = "search_word"
        indexes = (Index(fields=("kind", "word", "subject_id")), Index(fields=("subject_id", "kind")))
