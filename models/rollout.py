"""Who may record. One row, a missing row is the default of a fresh install: everyone."""

from enum import StrEnum
from uuid import UUID

from tortoise import fields
from tortoise.models import Model


class RolloutStage(StrEnum):
    """How far recording is rolled out."""

    OFF = "OFF"
    LIMITED = "LIMITED"
    EVERYONE = "EVERYONE"


class Rollout(Model):
    """There is one row, named `recording`."""

    id = fields.CharField(max_length=20, primary_key=True)
    stage = fields.CharEnumField(RolloutStage, max_length=8, default=RolloutStage.EVERYONE)
    platforms: list[str] = fields.JSONField(default=list)
    percentage = fields.IntField(default=0)

    class Meta:
        table = "rollout"


class RolloutAllowed(Model):
    """An account on the allow-list of stage LIMITED."""

    account_id: UUID = fields.UUIDField(primary_key=True)

    class Meta:
        table = "rollout_allowed"
