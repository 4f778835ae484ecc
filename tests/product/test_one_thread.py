"""The product's main job, from the toggle to the purge."""

from datetime import timedelta

import pytest

from tests.media.publisher import tone
from tests.product.town import Town

LIVE = """subscription($id: ID!) { recordingStatus(spaceId: $id) { cursor isRecording status durationMs } }"""


@pytest.mark.both_databases
async def test_a_voice_is_recorded_played_shared_deleted_and_purged(town: Town) -> None:
    host = await town.person("host")
    space = await host.new_space("id recordingEnabled isRecording recording { status }", record=True)
    assert space["recordingEnabled"]
    assert not space["isRecording"]
    assert space["recording"]["status"] == "ARMED"

    async with town.anyone.socket() as socket:
        status = await socket.subscribe(LIVE, id=space["id"])
        assert (await socket.next(status))["status"] == "ARMED"
        await host.do("startSpace", spaceId=space["id"])
        starting = await socket.next(status)
        assert (starting["status"], starting["isRecording"]) == ("STARTING", True)

        voice = await host.publish(space["id"], tone(frequency_hz=440, seconds=2))
        assert (await socket.next(status))["status"] == "RECORDING"
        await voice.play_to_end()
        await voice.close()

        await host.do("endSpace", spaceId=space["id"])
        ended = await socket.until(status, isRecording=False)
        assert ended["status"] == "FINALIZING"
        assert (await socket.next(status))["status"] == "AVAILABLE"

    recording = await host.recording(space["id"], "id status durationMs sizeBytes playback { url mimeType }")
    assert recording["status"] == "AVAILABLE"
    assert 1800 <= recording["durationMs"] <= 3500
    playlist = await town.fetch(recording["playback"]["url"])
    assert playlist.status_code == 200
    assert playlist.text.rstrip().endswith("#EXT-X-ENDLIST")
    media_url = recording["playback"]["url"].replace("index.m3u8", "programme.mp4")
    programme = await town.fetch(media_url)
    assert programme.status_code == 200
    assert len(programme.content) == recording["sizeBytes"]

    listener = await town.person("listener")
    shared = await listener.do(
        "shareRecording", "item { id kind }", recordingId=recording["id"], comment="Listen!"
    )
    assert shared["item"]["kind"] == "RECORDING_SHARED"
    assert (await host.recording(space["id"], "playCount shareCount")) == {"playCount": 1, "shareCount": 1}

    await host.do("deleteRecording", recordingId=recording["id"])
    assert (await town.fetch(media_url)).status_code == 410
    directory = town.data_dir / "recordings"
    assert list(directory.rglob("programme.mp4"))

    town.clock.move(timedelta(days=30))
    await town.round()
    assert not list(directory.iterdir())
    assert (await host.recording(space["id"], "status"))["status"] == "PURGED"
