"""Frames between the processes: engine values survive the way, nonsense is refused."""

import asyncio
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media import engine
from media.wire import FrameError, from_wire, pack_frame, read_frame, to_wire

FACTS = engine.RecordingFacts(
    recording_id="r",
    started_at_ms=1,
    duration_ms=2,
    size_bytes=3,
    gaps=(engine.Gap(start_ms=1, end_ms=2, cause=engine.GapCause.RESTART),),
)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        (FACTS, FACTS),
        engine.RoomSpec(space_id="s"),
        engine.RoomSpec(space_id="s", recording=engine.RecordingSpec(recording_id="r", directory="/d")),
        engine.RecorderChanged(space_id="s", state=engine.RecorderState.FAILED, facts=FACTS, reason="full"),
        engine.LiveWindow(generation=1, fragments=(engine.LiveFragment(sequence=4, duration_ms=981.3),)),
        engine.EngineLost(),
    ],
)
async def test_engine_values_survive_the_way(value: object) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(pack_frame({"value": to_wire(value)}, b"body"))
    frame = await read_frame(reader)
    assert frame is not None
    assert from_wire(frame[0]["value"]) == value
    assert frame[1] == b"body"


@pytest.mark.parametrize(
    "data",
    [pack(">II", 2**31, 0), pack(">II", 2, 2**31), pack(">II", 2, 0) + b"{]", pack(">II", 2, 0) + b"[]"],
)
async def test_a_frame_that_is_too_large_or_is_none_is_refused(data: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    with pytest.raises(FrameError):
        await read_frame(reader)


async def test_a_stream_that_ends_inside_a_frame_has_ended() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(pack_frame({"a": 1})[:-1])
    reader.feed_eof()
    assert await read_frame(reader) is None


@given(st.binary(max_size=64))
@settings(deadline=None)
def test_any_bytes_are_a_frame_an_end_or_refused(data: bytes) -> None:
    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        try:
            await read_frame(reader)
        except FrameError:
            return

    asyncio.run(read())
