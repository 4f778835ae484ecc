"""Cards that were taken back: their addresses were good once."""

from datetime import datetime

from tortoise import fields
from tortoise.models import Model

from models.fields import InstantField


class RemovedCard(Model):
    """An id alone, so that its page can say that the card is gone."""

    id = fields.UUIDField(primary_key=True)
    removed_at: datetime = InstantField()

    class Meta:
        table = "removed_card"
