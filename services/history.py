"""How long events are kept."""

from models.space_event import SpaceEvent
from models.timeline_event import TimelineEvent
from services import notifications
from services.house import House


async def forget_old_events(house: House) -> None:
    """Drop events whose cursors have expired."""
    before = house.clock.now() - house.rules.events_kept
    await SpaceEvent.filter(at__lt=before).delete()
    await notifications.forget_old(before)
    await TimelineEvent.filter(at__lt=before).delete()
