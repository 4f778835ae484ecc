"""What many are to be told at a moment: the outbox that notifications are made from."""

from datetime import datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from models.fields import InstantField
from models.notification import NotificationKind


class Announcement(Model):
    """One kind of news of one Space. It goes once everyone up to the last has theirs, `reached` is how far it came."""

    id = fields.UUIDField(primary_key=True)
    kind = fields.CharEnumField(NotificationKind, max_length=24)
    space_id: UUID = fields.UUIDField()
    due_at: datetime = InstantField()
    reached: UUID | None = fields.UUIDField(null=True)
    lease_owner: str | None = fields.CharField(max_length=40, null=True)  # type: ignore[assignment]
    lease_until: datetime | None = InstantField(null=True)

    class Meta:
        table = "announcement"
        unique_together = (("space_id", "kind"),)
        indexes = (Index(fields=("due_at",)),)
