"""A disk that fills up under live recordings, and has room again."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import m3u8
import pytest

from tests.media.publisher import tone
from tests.product.player import place_of_tone, play
from tests.product.process import ServedTown, served_town
from tests.product.small_disk import MB, SmallDisk, small_disk
from tests.product.town import Person
from tests.product.whip import began_s, sent_s, until_sent

PATIENCE_S = 20.0
MOST_LOST_S = 1.5
WANT = "status gaps { startMs endMs cause }"


async def until_gap(host: Person, space_id: str, cause: str) -> Any:
    """Wait until the recording is interrupted, and tells why."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            recording = await host.recording(space_id, WANT)
            if recording["status"] == "INTERRUPTED" and recording["gaps"]:
                assert recording["gaps"][-1]["cause"] == cause
                return recording["gaps"][-1]
            await asyncio.sleep(0.1)


async def until_recording(host: Person, space_id: str) -> None:
    """Wait until it records (again); a full database may refuse the question."""
    async with asyncio.timeout(PATIENCE_S):
        while (await host.recording(space_id, WANT))["status"] != "RECORDING":
            await asyncio.sleep(0.1)


async def live_fragments(town: ServedTown, url: str) -> list[str]:
    """What the live playlist names now."""
    answer = await town.http.get(url)
    assert answer.status_code == 200, answer.text
    playlist = m3u8.loads(answer.text)
    return [f"{playlist.media_sequence + number}" for number in range(len(playlist.segments))]


async def assert_goes_on(disk: SmallDisk, town: ServedTown) -> None:
    """Live listeners get new sound."""
    assert disk.free_bytes < 100 * MB
    before = await live_fragments(town, town.live)
    async with asyncio.timeout(PATIENCE_S):
        while set(await live_fragments(town, town.live)) <= set(before):
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("how", ["reserve", pytest.param("full", marks=pytest.mark.long)])
async def test_a_recording_stops_on_a_full_disk_and_goes_on_by_itself(tmp_path: Path, how: str) -> None:
    reserve_mb = 4 if how == "reserve" else 0
    settings = {"SPACES_DISK_FLOOR_MB": "12", "SPACES_DISK_RESERVE_MB": str(reserve_mb)}
    with small_disk(tmp_path / "data", size_mb=40) as disk:
        async with served_town(tmp_path, **settings) as town:
            host, other, guest = await town.person("host"), await town.person("other"), await town.person()
            space_id = await host.live_space(record=True)
            town.live = (await town.anyone.space(space_id, "live { url }"))["live"]["url"]
            voice = await host.publish(space_id, tone(frequency_hz=440, seconds=60))
            await until_recording(host, space_id)

            disk.leave(11 * MB)
            refused = await other.new_space(record=True)
            answer = (await other.try_("startSpace", spaceId=refused["id"]))["errors"]
            assert [error["code"] for error in answer] == ["UNAVAILABLE"]
            assert "room for another recording" in answer[0]["message"]
            assert answer[0]["retryAfterMs"] > 0
            await other.do("toggleRecording", spaceId=refused["id"], enabled=False)
            await other.do("startSpace", spaceId=refused["id"])
            await guest.do("joinSpace", spaceId=space_id)
            assert (await host.recording(space_id, "status"))["status"] == "RECORDING"

            await until_sent(voice, 1.5)
            full_s = sent_s(voice)
            disk.leave(reserve_mb * MB - 1 if reserve_mb else 0)
            if reserve_mb:
                gap = await until_gap(host, space_id, "DISK_FULL")
                assert gap["startMs"] / 1000 >= full_s - 0.2
                await assert_goes_on(disk, town)
            else:
                # Here the database is full too, and waits.
                await until_sent(voice, full_s + 5)

            room_s = sent_s(voice)
            disk.leave(20 * MB)
            await until_recording(host, space_id)
            await until_sent(voice, room_s + 2.5)
            ended_s = sent_s(voice)
            await host.do("endSpace", spaceId=space_id)
            await voice.close()
            recording = await host.recording(space_id, WANT + " durationMs failureReason playback { url }")
            assert (recording["status"], recording["failureReason"]) == ("AVAILABLE", None)
            assert {gap["cause"] for gap in recording["gaps"]} == {"DISK_FULL"}
            first, last = recording["gaps"][0], recording["gaps"][-1]
            assert full_s - MOST_LOST_S <= first["startMs"] / 1000
            assert last["endMs"] / 1000 <= room_s + 2 + MOST_LOST_S
            assert recording["durationMs"] / 1000 == pytest.approx(ended_s, abs=0.3)
            programme = await play(town, recording["playback"]["url"])
            start_s, _ = place_of_tone(programme, frequency_hz=440, level=0.2)
            assert start_s < 0.1
            assert began_s(voice) > 0
            # On a disk that is full the database and the log complain too.
            town.server.forgive(*(("stopped: No space left", "the disk takes more") if reserve_mb else ("",)))


@pytest.mark.long
async def test_a_space_that_ends_while_the_disk_is_full_keeps_what_there_was(tmp_path: Path) -> None:
    settings = {"SPACES_DISK_FLOOR_MB": "12", "SPACES_DISK_RESERVE_MB": "4"}
    with small_disk(tmp_path / "data", size_mb=40) as disk:
        async with served_town(tmp_path, **settings) as town:
            host = await town.person("host")
            space_id = await host.live_space(record=True)
            voice = await host.publish(space_id, tone(frequency_hz=440, seconds=60))
            await until_recording(host, space_id)
            await until_sent(voice, 2)
            disk.leave(3 * MB)
            gap = await until_gap(host, space_id, "DISK_FULL")
            await until_sent(voice, gap["startMs"] / 1000 + 2)
            await host.do("endSpace", spaceId=space_id)
            await voice.close()
            recording = await host.recording(space_id, WANT + " durationMs playback { url }")
            assert recording["status"] == "AVAILABLE"
            assert recording["gaps"][-1]["startMs"] == recording["durationMs"]
            assert recording["gaps"][-1]["endMs"] >= recording["durationMs"] + 1500
            url = recording["playback"]["url"]
            assert (await town.http.get(url)).text.endswith("#EXT-X-ENDLIST\n")
            # The reserve is for this: whoever wants to make room can.
            assert disk.free_bytes < 4 * MB
            await host.do("deleteRecording", recordingId=(await host.recording(space_id, "id"))["id"])
            assert (await town.http.get(url)).status_code == 410
            town.server.forgive("stopped: No space left")


async def spaces_until_refused(person: Person, *, first: int = 0) -> tuple[list[str], dict[str, Any]]:
    """Create Spaces until it is refused; the titles that were acknowledged, and the refusal."""
    told: list[str] = []
    async with asyncio.timeout(3 * PATIENCE_S):
        while True:
            title = f"Talk {first + len(told)}"
            payload = await person.try_("createSpace", "space { title }", title=title)
            if payload["errors"]:
                return told, payload["errors"][0]
            told.append(payload["space"]["title"])


@pytest.mark.long
@pytest.mark.sqlite_file
async def test_on_a_disk_without_a_byte_left_nothing_is_acknowledged_that_is_lost(tmp_path: Path) -> None:
    """Twice: what a full disk has left behind is written on."""
    settings = {"SPACES_DISK_FLOOR_MB": "12", "SPACES_DISK_RESERVE_MB": "0"}
    with small_disk(tmp_path / "data", size_mb=40) as disk:
        async with served_town(tmp_path, **settings) as town:
            host = await town.person("host")
            told: list[str] = []
            for _ in range(2):
                disk.leave(0)
                more, refusal = await spaces_until_refused(host, first=len(told))
                assert refusal["code"] == "UNAVAILABLE"
                assert refusal["retryAfterMs"] > 0
                told += more
                # What there is can be read.
                assert (await town.http.get("/healthz")).status_code == 200
                assert (await host.read("query { viewer { user { handle } } }"))["viewer"] is not None
                disk.leave(20 * MB)
                async with asyncio.timeout(PATIENCE_S):
                    while (await host.try_("createSpace", title="again"))["errors"]:
                        await asyncio.sleep(0.1)
                told.append("again")
            town.server.forgive("")
            await town.server.stop()
        with closing(sqlite3.connect(tmp_path / "data" / "spaces.sqlite3")) as rows:
            assert rows.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            kept = [title for (title,) in rows.execute("SELECT title FROM space")]
        assert sorted(kept) == sorted(told)


@pytest.mark.long
async def test_a_server_that_is_killed_at_the_reserve_starts_there_and_records_on_once_there_is_room(
    tmp_path: Path,
) -> None:
    settings = {"SPACES_DISK_FLOOR_MB": "12", "SPACES_DISK_RESERVE_MB": "4"}
    with small_disk(tmp_path / "data", size_mb=40) as disk:
        async with served_town(tmp_path, **settings) as town:
            host = await town.person("host")
            space_id = await host.live_space(record=True)
            voice = await host.publish(space_id, tone(frequency_hz=440, seconds=60))
            await until_recording(host, space_id)
            await until_sent(voice, 2)
            disk.leave(3 * MB)
            gap = await until_gap(host, space_id, "DISK_FULL")
            await town.server.kill()
            await voice.close()
            await town.server.start()
            again = await host.publish(space_id, tone(frequency_hz=1000, seconds=60))
            await until_sent(again, 2)
            assert (await host.recording(space_id, "status"))["status"] == "INTERRUPTED"

            disk.leave(20 * MB)
            await until_recording(host, space_id)
            await until_sent(again, sent_s(again) + 2.5)
            await host.do("endSpace", spaceId=space_id)
            await again.close()
            recording = await host.recording(space_id, WANT + " playback { url }")
            assert recording["status"] == "AVAILABLE"
            [hole] = recording["gaps"]
            assert (hole["startMs"], hole["cause"]) == (gap["startMs"], "DISK_FULL")
            programme = await play(town, recording["playback"]["url"])
            start_s, _ = place_of_tone(programme, frequency_hz=1000, level=0.2)
            assert start_s >= hole["endMs"] / 1000 - 0.2
            town.server.forgive("stopped: No space left", "the disk takes more", "No space left")
