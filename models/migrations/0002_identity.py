from uuid import uuid4

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from models.fields import InstantField


class Migration(migrations.Migration):
    dependencies = [("models", "0001_initial")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Identity",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("account_id", fields.UUIDField()),
                ("key", fields.CharField(unique=True, max_length=64)),
                ("issuer", fields.CharField(max_length=255)),
                ("subject", fields.CharField(max_length=255)),
                ("created_at", InstantField(generated=False, null=False, unique=False)),
                ("signed_out_at", InstantField(null=True, generated=False, unique=False)),
            ],
            options={
                "table": "identity",
                "app": "models",
                "indexes": [Index(fields=["account_id"])],
                "pk_attr": "id",
                "table_description": "One subject of one issuer. `key` is the SHA-256 of both: it stays when the account is deleted and they go.",
            },
            bases=["Model"],
        ),
    ]
