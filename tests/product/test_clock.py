"""The two clocks of a recording, to the millisecond, and with nothing of it left at their end."""

import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from models.audit_entry import AuditEntry
from tests.media.publisher import tone
from tests.product.process import served_town
from tests.product.town import Person, Town

DAY = timedelta(days=1)
MS = timedelta(milliseconds=1)
WANT = "id status endedAt expiresAt playback { url } download { url } viewerCanPlay"


async def recorded(host: Person) -> str:
    """A Space of half a second, over."""
    space_id = await host.live_space(record=True)
    voice = await host.publish(space_id, tone(frequency_hz=440, seconds=0.5))
    await voice.play_to_end()
    await voice.close()
    await host.do("endSpace", spaceId=space_id)
    return space_id


def stored(town: Town) -> list[Path]:
    """Every file of every recording."""
    return [path for path in (town.data_dir / "recordings").rglob("*") if path.is_file()]


async def purges() -> list[UUID]:
    """Which recordings the audit log says were purged, one for each entry."""
    return [entry.subject_id for entry in await AuditEntry.filter(action="recording.purged")]


async def assert_purged(town: Town, space_id: str, at: datetime) -> None:
    """By a round at a moment, not by one a millisecond before; told once, however many rounds follow."""
    town.clock.stand_at(at - MS)
    await town.round()
    assert {path.name for path in stored(town)} >= {"programme.mp4"}
    assert await purges() == []
    town.clock.stand_at(at)
    await town.round()
    await town.round()
    assert list((town.data_dir / "recordings").iterdir()) == []
    recording = await town.anyone.recording(space_id, "status playback { url }")
    assert recording == {"status": "PURGED", "playback": None}
    assert len(await purges()) == 1
    town.clock.stand_at(at + 30 * DAY)
    await town.round()
    assert len(await purges()) == 1


async def test_a_recording_plays_until_30_days_after_the_end_and_is_purged_30_days_later(town: Town) -> None:
    host = await town.person()
    space_id = await recorded(host)
    first = await host.recording(space_id, WANT)
    ended_at = datetime.fromisoformat(first["endedAt"])
    over_at = ended_at + 30 * DAY
    assert datetime.fromisoformat(first["expiresAt"]) == over_at

    town.clock.stand_at(over_at - timedelta(seconds=1))
    last = await host.recording(space_id, WANT)
    assert (last["status"], last["viewerCanPlay"]) == ("AVAILABLE", True)
    programme = last["playback"]["url"].replace("index.m3u8", "programme.mp4")
    urls = (last["playback"]["url"], programme, last["download"]["url"])
    for url in urls:
        assert (await town.fetch(url)).status_code == 200
    town.clock.stand_at(over_at - MS)
    assert (await town.fetch(urls[0])).status_code == 200

    # No round of any worker has been here.
    town.clock.stand_at(over_at)
    for url in urls:
        assert (await town.fetch(url)).status_code == 410
    gone = await host.recording(space_id, WANT)
    assert (gone["status"], gone["playback"], gone["download"], gone["viewerCanPlay"]) == (
        *("EXPIRED", None, None),
        False,
    )
    assert await host.refused("shareRecording", recordingId=gone["id"]) == "RECORDING_NOT_AVAILABLE"
    await town.round()
    assert (await host.recording(space_id, "status"))["status"] == "EXPIRED"
    await assert_purged(town, space_id, over_at + 30 * DAY)


async def test_a_round_that_comes_months_late_expires_and_purges_at_once(town: Town) -> None:
    host = await town.person()
    space_id = await recorded(host)
    ended_at = datetime.fromisoformat((await host.recording(space_id, WANT))["endedAt"])
    await assert_purged(town, space_id, ended_at + 60 * DAY)


async def test_a_deletion_starts_the_review_clock(town: Town) -> None:
    host = await town.person()
    space_id = await recorded(host)
    recording_id = (await host.recording(space_id, "id"))["id"]
    deleted_at = datetime.now(UTC).replace(microsecond=0) + 3 * DAY
    town.clock.stand_at(deleted_at)
    await host.do("deleteRecording", recordingId=recording_id)
    assert (await host.recording(space_id, "status"))["status"] == "DELETED"
    await assert_purged(town, space_id, deleted_at + 30 * DAY)


async def test_a_space_that_goes_on_after_its_recording_was_deleted_does_not_hold_up_the_purge(
    town: Town,
) -> None:
    host = await town.person()
    space_id = await host.live_space(record=True)
    voice = await host.publish(space_id, tone(frequency_hz=440, seconds=0.5))
    await voice.play_to_end()
    recording_id = (await host.recording(space_id, "id"))["id"]
    deleted_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    town.clock.stand_at(deleted_at)
    await host.do("deleteRecording", recordingId=recording_id)
    town.clock.stand_at(deleted_at + timedelta(hours=1))
    await host.do("endSpace", spaceId=space_id)
    await voice.close()
    await assert_purged(town, space_id, deleted_at + 30 * DAY)


def moved(offset: str) -> dict[str, str]:
    """The environment that sets a process's wall clock forward, and leaves its monotonic clock alone."""
    shown = subprocess.run(["faketime", "-f", offset, "env"], capture_output=True, text=True, check=True)
    found = re.search(r"^LD_PRELOAD=(.+)$", shown.stdout, re.MULTILINE)
    assert found is not None
    return {"LD_PRELOAD": found[1], "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.needs_faketime
async def test_a_server_whose_machine_clock_is_moved_comes_to_the_same_end(tmp_path: Path) -> None:
    async with served_town(tmp_path) as town:
        host = await town.person("host")
        space_id = await recorded(host)
        assert (await host.recording(space_id, "status"))["status"] == "AVAILABLE"
        await town.server.stop()

        await town.server.start(**moved("+2591940s"))  # a minute less than 30 days
        last = await host.recording(space_id, "status playback { url }")
        assert last["status"] == "AVAILABLE"
        assert (await town.fetch(last["playback"]["url"])).status_code == 200
        await town.server.stop()

        await town.server.start(**moved("+30d"))
        gone = await host.recording(space_id, "status playback { url }")
        assert gone == {"status": "EXPIRED", "playback": None}
        assert (await town.fetch(last["playback"]["url"])).status_code == 410
        assert stored(town)
        await town.server.stop()

        await town.server.start(**moved("+60d"))
        await host.until(space_id, "PURGED")
        assert town.server.recordings() == []
