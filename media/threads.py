"""Threads for what may wait for the object store: those that read the disk and check passwords stay free."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

_STORE = ThreadPoolExecutor(16, "store")


async def in_store_thread(work: Callable[..., T], /, *arguments: Any, **named: Any) -> T:
    """What this answers or raises, without blocking."""
    return await asyncio.get_running_loop().run_in_executor(_STORE, partial(work, *arguments, **named))


async def pieces(blocking: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes, without blocking."""
    while (piece := await in_store_thread(next, blocking, None)) is not None:
        yield piece
