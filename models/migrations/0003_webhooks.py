from uuid import uuid4

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.data import JSON_DUMPS
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from models.fields import InstantField
from models.webhook import WebhookEvent
from models.webhook_delivery import DeliveryState


class Migration(migrations.Migration):
    dependencies = [("models", "0002_identity")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Webhook",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("account_id", fields.UUIDField()),
                ("url", fields.CharField(max_length=2000)),
                ("events", fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                ("secrets", fields.JSONField(default=list, encoder=JSON_DUMPS, decoder=loads)),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("disabled_at", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "webhook",
                "app": "models",
                "indexes": [Index(fields=["account_id", "created_at"])],
                "pk_attr": "id",
                "table_description": "Called for events of its owner's Spaces. `secrets` are sealed, the newest first, the others each with its end.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("webhook_id", fields.UUIDField()),
                ("account_id", fields.UUIDField()),
                ("space_id", fields.UUIDField()),
                ("number", fields.BigIntField()),
                (
                    "event",
                    fields.CharEnumField(
                        description="SPACE_STARTED: SPACE_STARTED\nSPACE_ENDED: SPACE_ENDED\nRECORDING_STARTED: RECORDING_STARTED\nRECORDING_AVAILABLE: RECORDING_AVAILABLE\nRECORDING_SHARED: RECORDING_SHARED\nRECORDING_DELETED: RECORDING_DELETED\nRECORDING_EXPIRED: RECORDING_EXPIRED\nRECORDING_TAKEN_DOWN: RECORDING_TAKEN_DOWN\nRECORDING_PURGED: RECORDING_PURGED\nRECORDING_FAILED: RECORDING_FAILED",
                        enum_type=WebhookEvent,
                        max_length=24,
                    ),
                ),
                ("body", fields.TextField(unique=False)),
                ("at", InstantField(generated=False, null=False, unique=False)),
                (
                    "state",
                    fields.CharEnumField(
                        default=DeliveryState.PENDING,
                        description="PENDING: PENDING\nDELIVERED: DELIVERED\nFAILED: FAILED",
                        enum_type=DeliveryState,
                        max_length=12,
                    ),
                ),
                ("attempts", fields.IntField(default=0)),
                ("last_status_code", fields.IntField(null=True)),
                ("due_at", InstantField(null=True, generated=False, unique=False)),
                ("lapses_at", InstantField(generated=False, null=False, unique=False)),
                ("lease_owner", fields.CharField(null=True, max_length=40)),
                ("lease_until", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "webhook_delivery",
                "app": "models",
                "unique_together": (("webhook_id", "space_id", "number"),),
                "indexes": [
                    Index(fields=["webhook_id", "at", "id"]),
                    Index(fields=["space_id", "number"]),
                    Index(fields=["due_at"]),
                    Index(fields=["state", "at"]),
                    Index(fields=["account_id"]),
                ],
                "pk_attr": "id",
                "table_description": "One event for one webhook. `id` is the message's, at every attempt.",
            },
            bases=["Model"],
        ),
    ]
