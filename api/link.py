"""The link between the server that keeps the rooms and one of its API processes: a socket that both inherit.

Each side tells (in order, gathered for some milliseconds, never answered) and asks (told before it arrives first).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import structlog

from media.process import STREAM_LIMIT_BYTES
from media.wire import pack_frame, read_frame

log = structlog.get_logger(__name__)

_GATHER_S = 0.02
_ASK_TIMEOUT_S = 10.0
_MOST_IN_A_FRAME = 2_000
# Of what the other side has not read. Then it hangs, and what it does not know would be counted wrongly for ever.
_MOST_UNREAD_BYTES = 32 * 1024 * 1024


class LinkLost(Exception):
    """The process at the other end is gone, or does not answer."""


class Link:
    """One end. `hear` takes in what is told, `answer` what is asked; `run` reads until the other end is gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._untold: list[Sequence[Any]] = []
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    @classmethod
    async def over(cls, end: socket.socket) -> "Link":
        """A link over one end of a socket pair."""
        return cls(*await asyncio.open_connection(sock=end, limit=STREAM_LIMIT_BYTES))

    def tell(self, message: Sequence[Any]) -> None:
        """Send a message soon."""
        if not self._untold:
            asyncio.get_running_loop().call_later(_GATHER_S, self._flush)
        self._untold.append(message)

    async def ask(self, message: Sequence[Any]) -> Any:
        """The answer to a question, asked after all that was told. Raises LinkLost."""
        self._flush()
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._send({"ask": message, "id": number})
            async with asyncio.timeout(_ASK_TIMEOUT_S):
                return await answer
        except TimeoutError as error:
            raise LinkLost("the other end does not answer") from error
        finally:
            del self._asked[number]

    async def run(
        self, hear: Callable[[Sequence[Any]], None], answer: Callable[[Sequence[Any]], Awaitable[Any]]
    ) -> None:
        """Until the other end is gone. Raises FrameError for what makes no sense."""
        try:
            while (frame := await read_frame(self._reader)) is not None:
                header = frame[0]
                for message in header.get("told", ()):
                    hear(message)
                if "ask" in header:
                    task = asyncio.create_task(self._answer(header, answer), name="answer")
                    self._answering.add(task)
                    task.add_done_callback(self._answering.discard)
                elif (asked := self._asked.get(header.get("id", 0))) is not None and not asked.done():
                    _resolve(asked, header)
        finally:
            self.close()

    def close(self) -> None:
        """Hang up. What is still asked fails."""
        self._writer.close()
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(LinkLost("the other end is gone"))

    async def _answer(
        self, header: dict[str, Any], answer: Callable[[Sequence[Any]], Awaitable[Any]]
    ) -> None:
        try:
            self._send({"id": header["id"], "answer": await answer(header["ask"])})
        except Exception as error:
            log.exception("a question of another process failed")
            self._send({"id": header["id"], "error": type(error).__name__})

    def _flush(self) -> None:
        untold, self._untold = self._untold, []
        for start in range(0, len(untold), _MOST_IN_A_FRAME):
            self._send({"told": untold[start : start + _MOST_IN_A_FRAME]})

    def _send(self, header: dict[str, Any]) -> None:
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > _MOST_UNREAD_BYTES:
            log.error("the process at the other end of a link does not read")
            self._writer.transport.abort()
            return
        with suppress(ConnectionError):
            self._writer.write(pack_frame(header))


def _resolve(asked: asyncio.Future[Any], header: dict[str, Any]) -> None:
    if "error" in header:
        asked.set_exception(LinkLost(f"the other end failed: {header['error']}"))
    else:
        asked.set_result(header.get("answer"))
