"""Live recordings whose hosts talk on whatever fails, and what of their sound must be there in the end."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.media.publisher import SAMPLE_RATE_HZ, Publisher, tone
from tests.product.chaos import History
from tests.product.player import play
from tests.product.process import ServedTown
from tests.product.test_kills import MOST_LOST_S, WANT, loud
from tests.product.town import Person
from tests.product.voices import uuid_of
from tests.product.whip import began_s

_LOOK_EVERY_S = 0.5
_TRY_AGAIN_S = 0.2
# One that was connected and is not recorded within this time connects anew.
_HEARD_WITHIN_S = 10.0
# A speaker's first words may come too late on a machine that has just started everything.
_LATE_S = 1.0
_REFUSED = (httpx.TransportError, AssertionError, TypeError, ValueError, KeyError, TimeoutError, OSError)


@dataclass
class Talk:
    """A recorded Space and its host, who connects again whenever the recording is told to be interrupted."""

    name: str
    host: Person
    space_id: str
    recording_id: str
    history: History
    # From when to when each connection carried sound, by the monotonic clock.
    stretches: list[tuple[float, float]] = field(default_factory=list)
    _task: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, host: Person, name: str, history: History) -> "Talk":
        """Launched; nobody talks yet."""
        space_id = await host.live_space(record=True)
        recording_id = str(uuid_of((await host.recording(space_id, "id"))["id"]))
        return cls(name, host, space_id, recording_id, history)

    def start(self) -> None:
        """Talk from now on."""
        self._task = asyncio.create_task(self._talk_on(), name=self.name)

    async def end(self) -> None:
        """End the Space, and then hang up: who hangs up first leaves a gap behind."""
        ended_s = time.monotonic()
        await self.host.do("endSpace", spaceId=self.space_id)
        await self.stop()
        self.stretches[-1] = (self.stretches[-1][0], ended_s)

    async def stop(self) -> None:
        """Hang up."""
        if self._task is not None:
            self._task.cancel()
            (gone,) = await asyncio.gather(self._task, return_exceptions=True)
            assert isinstance(gone, asyncio.CancelledError), gone

    async def _talk_on(self) -> None:
        while True:
            try:
                voice = await (await self.host.join(self.space_id)).publish(
                    tone(frequency_hz=440, seconds=1), repeat=True
                )
            except _REFUSED:
                await asyncio.sleep(_TRY_AGAIN_S)
                continue
            await self._until_lost(voice)

    async def _until_lost(self, voice: Publisher) -> None:
        try:
            try:
                async with asyncio.timeout(_HEARD_WITHIN_S):
                    while await self._status() != "RECORDING":
                        await asyncio.sleep(_TRY_AGAIN_S)
            except TimeoutError:
                return
            while (status := await self._status()) != "INTERRUPTED":
                if status == "RECORDING":
                    self.history.went_well(self.name)
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            # One that is cut off before its first sample has sent nothing.
            if voice.track._started_s is not None:
                self.stretches.append((began_s(voice), time.monotonic()))
            await voice.close()

    async def _status(self) -> str | None:
        """None when nobody answers."""
        try:
            return str((await self.host.recording(self.space_id, "status"))["status"])
        except _REFUSED:
            return None

    # --- the model ---

    async def check(self, town: ServedTown, *, silenced_at_s: float | None) -> tuple[float, float]:
        """Hold the recording against what was sent, all of it unless its process was lost at a moment.

        How much was lost of what had been sent before that moment, and how long nobody was heard: seconds.
        """
        recording: dict[str, Any] = await self.host.recording(self.space_id, WANT)
        assert recording["status"] == "AVAILABLE", recording
        sound = await play(town, recording["playback"]["url"])
        assert abs(len(sound) / SAMPLE_RATE_HZ - recording["durationMs"] / 1000) < 0.1
        origin_s = self.stretches[0][0]
        expected = self._expected(silenced_at_s)
        for stretch in expected:
            for start_s, end_s in _sent(stretch, self.history.stalls):
                from_s, to_s = start_s - origin_s + _LATE_S, end_s - origin_s - MOST_LOST_S
                heard = loud(sound, from_s, to_s)
                assert to_s <= from_s or heard > 0.95, (self.name, from_s, to_s, heard, recording["gaps"])
        if silenced_at_s is None:
            assert recording["gaps"] == []
            return 0.0, 0.0
        return _told(recording["gaps"], [(a - origin_s, b - origin_s) for a, b in expected])

    def _expected(self, silenced_at_s: float | None) -> list[tuple[float, float]]:
        if silenced_at_s is None:
            assert len(self.stretches) == 1, f"{self.name} had to connect again: {self.stretches}"
            return self.stretches
        (begun_s, _), again = self.stretches
        return [(begun_s, silenced_at_s), again]


def _sent(stretch: tuple[float, float], stalls: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A stretch without what we, who send it, were too late for."""
    start_s, end_s = stretch
    found = []
    for stalled_s, on_s in stalls:
        if start_s < on_s and stalled_s < end_s:
            found.append((start_s, stalled_s))
            start_s = on_s
    return [*found, (start_s, end_s)]


def _told(gaps: Sequence[dict[str, Any]], spoken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The hole between two connections is told as what it is: no more and no less."""
    (_, broke_off_s), (again_s, _) = spoken
    assert gaps, "the hole is not told"
    assert {gap["cause"] for gap in gaps} == {"RESTART"}, gaps
    from_s, to_s = gaps[0]["startMs"] / 1000, gaps[-1]["endMs"] / 1000
    # A process that loses its server closes what it has, a moment later.
    assert broke_off_s - MOST_LOST_S <= from_s <= broke_off_s + _LATE_S, (gaps, spoken)
    assert again_s - 0.5 <= to_s <= again_s + _LATE_S, (gaps, spoken)
    return max(0.0, broke_off_s - from_s), to_s - from_s
