"""Which installation these rows are of: one row, which names the data folder that goes with them."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from models.fields import InstantField


class Installation(Model):
    """`folder_id` stands in the folder's keys too: with any other folder a purge would prove nothing."""

    id = fields.SmallIntField(primary_key=True, generated=False)
    folder_id: UUID = fields.UUIDField()
    begun_at: datetime = InstantField()

    class Meta:
        table = "installation"
