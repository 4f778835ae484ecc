"""Coroutines of fields: some have begun before anybody waits for them, and those of one field end together."""

import asyncio
import types
from typing import Any


async def resumed(coroutine: Any, awaited: Any) -> Any:
    """What a coroutine gives that has begun, and waits for `awaited`."""
    try:
        if asyncio.isfuture(awaited):
            await asyncio.wait([awaited])
    except BaseException as error:
        coroutine.throw(error)
        raise
    return await _going_on(coroutine)


@types.coroutine
def _going_on(coroutine: Any) -> Any:
    return (yield from coroutine)


async def together(coroutines: list[tuple[int, Any]]) -> list[Any]:
    """What coroutines give. Raises what the first of them raised, when all have ended."""
    if len(coroutines) == 1:
        return [await coroutines[0][1]]
    values = await asyncio.gather(*(one for _, one in coroutines), return_exceptions=True)
    for value in values:
        if isinstance(value, BaseException):
            raise value
    return values
