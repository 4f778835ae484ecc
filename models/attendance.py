"""Who was in a live Space without having joined: kept while it is live, so that nobody is counted twice."""

from uuid import UUID

from tortoise import fields
from tortoise.models import Model


class Attendance(Model):
    """`key` names an account, or one address in one Space by a keyed hash. `most`: how many of it at one time."""

    id = fields.BigIntField(primary_key=True, generated=True)
    space_id: UUID = fields.UUIDField()
    key = fields.CharField(max_length=40)
    most = fields.IntField(default=1)

    class Meta:
        table = "attendance"
        unique_together = (("space_id", "key"),)
