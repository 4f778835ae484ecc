"""Asking to be reminded of a Space."""

from uuid import UUID

from models.reminder import Reminder
from models.space import Space, SpaceState
from services.changes import change, new_id
from services.errors import AlreadyEnded, AlreadyLive
from services.house import House
from services.viewers import Viewer
from services.visibility import locked_space


async def set_reminder(house: House, viewer: Viewer, space_id: UUID, *, enabled: bool) -> Space:
    """Ask for a word before the Space starts and when it does, or no more. Asking twice is once."""
    account = viewer.signed_in()
    async with change(house) as made:
        space = await locked_space(made, viewer, space_id)
        if enabled and space.state is SpaceState.LIVE:
            raise AlreadyLive("The Space is live already. Join it with joinSpace.")
        if enabled and space.state is not SpaceState.SCHEDULED:
            raise AlreadyEnded
        mine = Reminder.filter(space_id=space.id, account_id=account.id)
        if enabled == await mine.exists():
            return space
        if enabled:
            await Reminder.create(id=new_id(), space_id=space.id, account_id=account.id, created_at=made.now)
        else:
            await mine.delete()
        space.reminder_count += 1 if enabled else -1
        await space.save(update_fields=["reminder_count"])
    return space
