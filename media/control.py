"""`AudioEngine` across a process boundary: `serve_engine` on the media side, `RemoteEngine` here.

Calls carry a number and are answered in any order; events are pushed. When the stream breaks, every
pending call fails with `EngineUnavailable` and one `EngineLost` event ends the stream of events.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

from media.engine import (
    AudioEngine,
    EngineError,
    EngineEvent,
    EngineLost,
    EngineStats,
    EngineUnavailable,
    LiveWindow,
    PublishAnswer,
    RecordingFacts,
    RecordingSpec,
    RoomSpec,
)
from media.events import EventQueue
from media.wire import error_from_wire, error_to_wire, from_wire, pack_frame, read_frame, to_wire

log = logging.getLogger(__name__)

CALL_TIMEOUT_S = 10.0
MAX_CALLS_AT_ONCE = 256

_METHODS = frozenset(
    {
        *("open_room", "close_room", "stop_recording", "publish", "unpublish", "remove_participant"),
        *("listen", "unlisten", "has_session"),
        *(
            "set_muted",
            "live_window",
            "live_init",
            "live_fragment",
            "live_part",
            "suspend",
            "ping",
            "stats",
            "retire",
        ),
    }
)


class Refused(Exception):
    """The server does not take this process; the message says why."""


async def serve_engine(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    engine: AudioEngine,
    *,
    retire: Callable[[], None] = lambda: None,
) -> None:
    """Answer calls and push events until the stream ends. Raises `FrameError` when it makes no sense, or `Refused`.

    `retire` is called when this process is asked to end by itself.
    """
    slots = asyncio.Semaphore(MAX_CALLS_AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        events = tasks.create_task(_push_events(writer, engine))
        while (frame := await read_frame(reader)) is not None:
            if "error" in frame[0]:
                raise Refused(str(frame[0]["error"]))
            await slots.acquire()
            if frame[0].get("call") == "retire":
                retire()
            call = tasks.create_task(_answer(frame[0], writer=writer, engine=engine))
            call.add_done_callback(lambda _: slots.release())
        events.cancel()


async def _push_events(writer: asyncio.StreamWriter, engine: AudioEngine) -> None:
    async for event in engine.events():
        await _send(writer, {"event": to_wire(event)})


async def _answer(header: dict[str, Any], *, writer: asyncio.StreamWriter, engine: AudioEngine) -> None:
    reply: dict[str, Any] = {"id": header.get("id")}
    body = b""
    try:
        result = await _call(header, engine=engine)
        if isinstance(result, bytes):
            reply["body"], body = True, result
        else:
            reply["result"] = to_wire(result)
    except EngineError as error:
        reply |= error_to_wire(error)
    except Exception as error:  # a bug is told to the caller, and does not end every room
        log.exception("call %s failed", header.get("call"))
        reply |= {"error": "EngineError", "text": f"unexpected {type(error).__name__}"}
    await _send(writer, reply, body)


async def _call(header: dict[str, Any], *, engine: AudioEngine) -> Any:
    name = header.get("call")
    if name not in _METHODS:
        raise EngineError(f"no such call: {name}")
    if name in {"ping", "retire"}:
        return None
    return await getattr(engine, name)(*from_wire(header.get("arguments", [])))


async def _send(writer: asyncio.StreamWriter, header: dict[str, Any], body: bytes = b"") -> None:
    try:
        writer.write(pack_frame(header, body))
        await writer.drain()
    except ConnectionError:
        log.debug("the other side is gone")


class RemoteEngine:
    """`AudioEngine` in another process. Create it inside the loop; `aclose` it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        call_timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._call_timeout_s = call_timeout_s
        self._numbers = count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._events = EventQueue()
        self._working_directory = Path.cwd()
        self._lost = False
        self._task = asyncio.create_task(self._read(), name="media process")
        self._task.add_done_callback(self._finished)

    async def ping(self) -> None:
        """Return once the media process answers."""
        await self._call("ping")

    async def open_room(self, spec: RoomSpec, /) -> RecordingFacts | None:
        # The other process may run in another working directory.
        if spec.recording is not None:
            absolute = str(self._working_directory / spec.recording.directory)
            recording = RecordingSpec(recording_id=spec.recording.recording_id, directory=absolute)
            spec = RoomSpec(space_id=spec.space_id, recording=recording)
        facts: RecordingFacts | None = await self._call("open_room", spec)
        return facts

    async def close_room(self, space_id: str, /) -> RecordingFacts | None:
        facts: RecordingFacts | None = await self._call("close_room", space_id)
        return facts

    async def stop_recording(self, space_id: str, /) -> RecordingFacts | None:
        facts: RecordingFacts | None = await self._call("stop_recording", space_id)
        return facts

    async def publish(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        return await self._offer("publish", space_id, participant_id, offer_sdp, device)

    async def listen(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        return await self._offer("listen", space_id, participant_id, offer_sdp, device)

    async def _offer(
        self, call: str, space_id: str, participant_id: str, offer_sdp: str, device: str
    ) -> PublishAnswer:
        # JSON cannot carry lone surrogates, and no SDP has any.
        offer_sdp = offer_sdp.encode("utf-8", "replace").decode()
        answer: PublishAnswer = await self._call(call, space_id, participant_id, offer_sdp, device)
        return answer

    async def unlisten(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        return bool(await self._call("unlisten", space_id, participant_id, session_id))

    async def has_session(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        return bool(await self._call("has_session", space_id, participant_id, session_id))

    async def unpublish(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        return bool(await self._call("unpublish", space_id, participant_id, session_id))

    async def remove_participant(self, space_id: str, participant_id: str, /) -> None:
        await self._call("remove_participant", space_id, participant_id)

    async def set_muted(self, space_id: str, participant_id: str, muted: bool, /) -> None:
        await self._call("set_muted", space_id, participant_id, muted)

    async def live_window(self, space_id: str, /) -> LiveWindow:
        window: LiveWindow = await self._call("live_window", space_id)
        return window

    async def live_init(self, space_id: str, generation: int, /) -> bytes | None:
        data: bytes | None = await self._call("live_init", space_id, generation)
        return data

    async def live_fragment(self, space_id: str, sequence: int, /) -> bytes | None:
        data: bytes | None = await self._call("live_fragment", space_id, sequence)
        return data

    async def live_part(self, space_id: str, sequence: int, number: int, /) -> bytes | None:
        data: bytes | None = await self._call("live_part", space_id, sequence, number)
        return data

    async def suspend(self) -> tuple[RecordingFacts, ...]:
        facts: tuple[RecordingFacts, ...] = await self._call("suspend")
        return facts

    async def stats(self) -> EngineStats:
        stats: EngineStats = await self._call("stats")
        return stats

    async def retire(self) -> None:
        """Ask the process to end by itself, and not to come back."""
        await self._call("retire")

    async def events(self) -> AsyncIterator[EngineEvent]:
        """Every event, ending with `EngineLost`."""
        async for event in self._events.read():
            yield event
            if isinstance(event, EngineLost):
                return

    async def aclose(self) -> None:
        """Hang up. The media process suspends its recordings and exits."""
        self._writer.close()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _call(self, name: str, *arguments: Any) -> Any:
        if self._lost:
            raise EngineUnavailable("the media process is gone")
        number = next(self._numbers)
        frame = pack_frame({"id": number, "call": name, "arguments": to_wire(arguments)})
        answer = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._call_timeout_s):
                self._writer.write(frame)
                await self._writer.drain()
                return await answer
        except TimeoutError:
            raise EngineUnavailable(f"no answer to {name} within {self._call_timeout_s} s") from None
        except ConnectionError as error:
            raise EngineUnavailable("the media process is gone") from error
        finally:
            del self._pending[number]
            # Sending may have failed first: then nobody has looked at what came of the answer.
            if answer.done() and not answer.cancelled():
                answer.exception()

    async def _read(self) -> None:
        while (frame := await read_frame(self._reader)) is not None:
            header, body = frame
            if "event" in header:
                self._events.put(from_wire(header["event"]))
                continue
            answer = self._pending.get(header["id"])
            if answer is None or answer.done():
                continue  # it came too late
            if "error" in header:
                answer.set_exception(error_from_wire(header))
            else:
                answer.set_result(body if header.get("body") else from_wire(header.get("result")))

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._lost = True
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the media process cannot be understood", exc_info=error)
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(EngineUnavailable("the media process is gone"))
        self._writer.close()
        self._events.put(EngineLost())
