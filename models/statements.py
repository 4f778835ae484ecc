"""Watching every statement, for those who want to know what a request does in the database."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from typing import Any

from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper

from models import postgres, sqlite

Around = Callable[[str], AbstractContextManager[object]]
_CLIENTS: tuple[type, ...] = (
    SqliteClient,
    SqliteTransactionWrapper,
    sqlite.SqliteClient,
    sqlite._Transaction,
    AsyncpgDBClient,
    TransactionWrapper,
    postgres._Transaction,
)
_WITH_TEXT = ("execute_insert", "execute_many", "execute_query", "execute_query_dict", "execute_script")
_WITHOUT_TEXT = ("begin", "commit", "rollback")


@contextmanager
def watched(around: Around) -> Iterator[None]:
    """Until the end of the block each statement of this process runs inside of `around(its text)`.

    Values are not in the text. Outside of the block nothing is watched, and nothing costs.
    """
    with ExitStack() as stack:
        for owner in _CLIENTS:
            for name in (*_WITH_TEXT, *_WITHOUT_TEXT):
                original = owner.__dict__.get(name)
                if original is None or getattr(original, "__isabstractmethod__", False):
                    continue
                text = None if name in _WITH_TEXT else name.upper()
                setattr(owner, name, _within(original, around, text))
                stack.callback(setattr, owner, name, original)
        yield


def _within(
    work: Callable[..., Awaitable[Any]], around: Around, text: str | None
) -> Callable[..., Awaitable[Any]]:
    @wraps(work)
    async def within(self: Any, *args: Any, **kwargs: Any) -> Any:
        with around(text or str(args[0] if args else kwargs["query"])):
            return await work(self, *args, **kwargs)

    return within
