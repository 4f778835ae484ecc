"""Retention policies as they were in force, by version. A recording keeps to the one it began under."""

from datetime import datetime

from tortoise import fields
from tortoise.models import Model

from models.fields import InstantField


class RetentionPolicyRow(Model):
    """One version. It is never altered, so that no running retention is shortened."""

    version = fields.IntField(primary_key=True)
    public_days = fields.IntField()
    review_days = fields.IntField()
    longest_review_days = fields.IntField()
    since: datetime = InstantField()

    class Meta:
        table = "retention_policy"
