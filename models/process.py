"""Signs of life: when each server process was last there."""

from datetime import datetime

from tortoise import fields
from tortoise.models import Model

from models.fields import InstantField


class Process(Model):
    """After a crash, `seen_at` tells since when hosts have been without us."""

    name = fields.CharField(max_length=40, primary_key=True)
    seen_at: datetime = InstantField()

    class Meta:
        table = "process"
