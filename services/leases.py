"""Work that one worker at a time takes on: under a lease, so that what a killed one held is done by the next.

Its table has `due_at` (null: not yet), `lease_owner` and `lease_until`.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from services.house import House

_ALL = Q()


async def next_due(model: type[Model], where: Q = _ALL) -> datetime | None:
    """When the next piece of work of a table is to be tried, or may be taken from whoever holds it."""
    work = model.filter(where, due_at__isnull=False)
    free: Any = await work.filter(lease_until=None).order_by("due_at").first()
    held: Any = await work.filter(lease_until__isnull=False).order_by("lease_until").first()
    moments = ([free.due_at] if free else []) + ([max(held.due_at, held.lease_until)] if held else [])
    return min(moments, default=None)


def due(house: House, model: type[Model]) -> QuerySet[Any]:
    """What is due and in nobody's hands, the most overdue first. A lease from beyond a leap of the clock is none."""
    now = house.clock.now()
    free = Q(lease_until=None) | Q(lease_until__lte=now) | Q(lease_until__gt=now + 2 * house.rules.lease_for)
    return model.filter(free, due_at__lte=now).order_by("due_at")


async def claim(house: House, model: type[Model], owner: str, *, most: int) -> list[UUID]:
    """Lease what is due to one worker."""
    ids = await due(house, model).limit(most).values_list("id", flat=True)
    return await take(house, model, owner, list(ids))  # type: ignore[arg-type]


async def take(house: House, model: type[Model], owner: str, ids: list[UUID]) -> list[UUID]:
    """Lease these rows, as far as no other worker was quicker."""
    if not ids:
        return []
    until = house.clock.now() + house.rules.lease_for
    await due(house, model).filter(id__in=ids).order_by().update(lease_owner=owner, lease_until=until)
    mine = model.filter(id__in=ids, lease_owner=owner, lease_until=until)
    return list(await mine.order_by("due_at").values_list("id", flat=True))  # type: ignore[arg-type]
