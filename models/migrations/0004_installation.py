from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from models.fields import InstantField


class Migration(migrations.Migration):
    dependencies = [("models", "0003_webhooks")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Installation",
            fields=[
                ("id", fields.SmallIntField(primary_key=True, unique=True, db_index=True, generated=False)),
                ("folder_id", fields.UUIDField()),
                ("begun_at", InstantField(generated=False, null=False, unique=False)),
            ],
            options={
                "table": "installation",
                "app": "models",
                "pk_attr": "id",
                "table_description": "`folder_id` stands in the folder's keys too: with any other folder a purge would"
                " prove nothing.",
            },
            bases=["Model"],
        ),
    ]
