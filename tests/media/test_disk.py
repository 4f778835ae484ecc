"""A recorder on a disk that is full, or refuses, and is well again."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from media.disk import NoRoom
from media.engine import GapCause, RecorderState
from media.playlist import PROGRAMME, read_index
from media.repair import Repaired, repair
from media.store import RecordingStore
from tests.media.publisher import tone
from tests.media.sound import decode, noise, place_of
from tests.media.studio import EPOCH_MS, Studio

MOST_LOST_MS = 1500


class SmallDisk(RecordingStore):
    """Takes no more programme than fits, and half of what does not."""

    room_bytes = 10**9
    error = errno.ENOSPC

    def reopen(self) -> Repaired:
        if self.room_bytes < 1000:
            raise NoRoom
        return super().reopen()

    def _write_bytes(self, pieces: Sequence[bytes]) -> str:
        size = sum(map(len, pieces))
        if size > self.room_bytes:
            with (self._folder / PROGRAMME).open("ab") as file:
                file.write(b"".join(pieces)[: self.room_bytes])
            os.truncate(self._folder / PROGRAMME, self.size_bytes)
            raise OSError(self.error, os.strerror(self.error))
        type(self).room_bytes -= size
        return super()._write_bytes(pieces)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path / "recording")


async def test_a_full_disk_stops_the_recorder_and_neither_the_file_nor_the_room(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallDisk, "room_bytes", 10**9)
    studio.store_type = SmallDisk
    await studio.open()
    studio.join("p", tone(frequency_hz=440, seconds=10))
    await studio.run(3000)
    monkeypatch.setattr(SmallDisk, "room_bytes", 100)
    await studio.run(7000)
    assert studio.states[-1] is RecorderState.FAILED
    assert studio.recorder.reason == "No space left on device"
    assert len(studio.room.window.window.fragments) >= 4
    facts = await studio.close()
    assert facts.duration_ms in {2560, 2880}
    assert [(gap.start_ms, gap.cause) for gap in facts.gaps] == [(facts.duration_ms, GapCause.DISK_FULL)]
    assert abs(facts.gaps[0].end_ms - 10_000) <= 100
    assert len(decode(studio.directory / PROGRAMME)) == round(facts.duration_ms * 48 / 1024) * 1024
    assert repair(studio.directory, recording_id="recording") == facts
    assert read_index(studio.directory).ended


@pytest.mark.parametrize(
    ("error", "cause"), [(errno.ENOSPC, GapCause.DISK_FULL), (errno.EIO, GapCause.DISK_ERROR)]
)
async def test_it_goes_on_by_itself_once_the_disk_takes_more_and_every_position_stays(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, error: int, cause: GapCause
) -> None:
    monkeypatch.setattr(SmallDisk, "room_bytes", 10**9)
    monkeypatch.setattr(SmallDisk, "error", error)
    studio.store_type = SmallDisk
    await studio.open()
    sound = noise(seconds=9, seed=3)
    studio.join("p", sound)
    await studio.run(3000)
    monkeypatch.setattr(SmallDisk, "room_bytes", 0)
    await studio.run(3000)
    assert studio.states[-1] is RecorderState.FAILED
    monkeypatch.setattr(SmallDisk, "room_bytes", 10**9)
    await studio.run(3000)
    assert studio.states[-2:] == [RecorderState.INTERRUPTED, RecorderState.RECORDING]
    facts = await studio.close()
    assert abs(facts.duration_ms - 9000) <= 100
    (gap,) = facts.gaps
    assert gap.cause is cause
    assert 3000 - MOST_LOST_MS <= gap.start_ms <= 3000
    assert 6000 <= gap.end_ms <= 6000 + MOST_LOST_MS
    recorded = decode(studio.directory / PROGRAMME)
    probe = sound[8 * 48_000 : 9 * 48_000 - 9600]
    at, likeness = place_of(probe, within=recorded)
    assert likeness > 0.9
    assert abs(at - 8 * 48_000) <= 4 * 960
    assert repair(studio.directory, recording_id="recording") == facts


async def test_nothing_is_lost_when_it_stops_at_the_reserve(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 10**9
    monkeypatch.setattr("media.disk.free_bytes", lambda _: free)
    studio.reserve_bytes = 10**8
    await studio.open()
    studio.join("p", tone(frequency_hz=440, seconds=5))
    await studio.run(2500)
    free = 10**8 - 1
    await studio.run(1000)
    assert studio.states[-1] is RecorderState.FAILED
    stopped_ms = studio.recorder.facts.duration_ms
    assert 2500 <= stopped_ms <= 3500
    free = 10**8 + 10**7  # more than the reserve, and too little to go on for long
    await studio.run(1000)
    assert studio.states[-1] is RecorderState.FAILED
    free = 2 * 10**8
    await studio.run(500)
    await studio.run(500)
    facts = await studio.close()
    (gap,) = facts.gaps
    assert (gap.start_ms, gap.cause) == (stopped_ms, GapCause.DISK_FULL)
    assert gap.end_ms <= 4500 + MOST_LOST_MS


async def test_one_that_is_killed_at_the_reserve_waits_there_and_tells_one_hole(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 10**9
    monkeypatch.setattr("media.disk.free_bytes", lambda _: free)
    studio.reserve_bytes = 10**8
    await studio.open()
    studio.join("p", tone(frequency_hz=440, seconds=5))
    await studio.run(2500)
    free = 10**8 - 1
    await studio.run(1000)
    stopped_ms = studio.recorder.facts.duration_ms
    studio.kill()
    again = Studio(studio.directory, clock_ms=8000, reserve_bytes=10**8)
    opened = await again.open()
    assert (opened.duration_ms, again.recorder.state) == (stopped_ms, RecorderState.FAILED)
    again.join("p", tone(frequency_hz=440, seconds=4))
    await again.run(1500)
    assert again.states == [RecorderState.FAILED] * len(again.states)
    assert repair(studio.directory, recording_id="recording").duration_ms == stopped_ms
    free = 10**9
    await again.run(2000)
    facts = await again.close()
    assert abs(facts.duration_ms - 11_500) <= 100
    (gap,) = facts.gaps
    assert (gap.start_ms, gap.cause) == (stopped_ms, GapCause.DISK_FULL)
    assert 9500 <= gap.end_ms <= 9500 + MOST_LOST_MS


@pytest.mark.parametrize("set_by_ms", [-3_600_000, 3_600_000], ids=["back", "ahead"])
async def test_a_clock_that_was_set_over_a_kill_changes_nothing(studio: Studio, set_by_ms: int) -> None:
    studio.boot = "a"
    await studio.open()
    studio.join("p", tone(frequency_hz=440, seconds=3))
    await studio.run(3000)
    studio.kill()
    again = Studio(
        studio.directory, clock_ms=8000, wall_offset_ms=EPOCH_MS + set_by_ms, boot="a", boot_offset_ms=0
    )
    await again.open()
    again.join("p", tone(frequency_hz=440, seconds=1))
    await again.run(1000)
    facts = await again.close()
    assert abs(facts.duration_ms - 9000) <= 100
    (gap,) = facts.gaps
    assert gap.cause is GapCause.RESTART
    assert abs(gap.end_ms - 8000) <= 80


async def test_after_a_reboot_with_a_clock_set_back_no_less_is_told_than_the_machine_was_up(
    studio: Studio,
) -> None:
    studio.boot, studio.boot_offset_ms = "a", 1_000_000
    await studio.open()
    studio.join("p", tone(frequency_hz=440, seconds=3))
    await studio.run(3000)
    studio.kill()
    again = Studio(studio.directory, clock_ms=40_000, wall_offset_ms=EPOCH_MS - 3_600_000, boot="b")
    opened = await again.open()
    again.join("p", tone(frequency_hz=440, seconds=1))
    await again.run(1000)
    (gap,) = (await again.close()).gaps
    assert abs(gap.end_ms - opened.duration_ms - 40_000) <= 100
