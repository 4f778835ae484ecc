"""What a crash may cost, and what it may not."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from media.playlist import PLAYLIST, PROGRAMME
from tests.media.lateness import cpu_seconds
from tests.media.publisher import SAMPLE_RATE_HZ, tone
from tests.media.sound import decode
from tests.product.player import fetch_playlist, place_of_tone, play, read_playlist
from tests.product.process import ServedTown, Server, children_of, served_town
from tests.product.whip import knock, offer, sent_s, until_sent, whip_of

STATUS = "subscription($id: ID!) { recordingStatus(spaceId: $id) { isRecording status } }"
# Long enough for a restart on a busy machine, short enough to wait for.
RECONNECT_WINDOW_S = 12
MOST_LOST_S = 1.5


def assert_whole(folder: Path) -> float:
    """The programme decodes to its last byte, and its playlist names each byte of it; its length in s."""
    programme = decode(folder / PROGRAMME)
    playlist = read_playlist((folder / PLAYLIST).read_text())
    assert playlist.init is not None
    assert playlist.init.length is not None
    lengths = [piece.length or 0 for piece in playlist.pieces]
    assert playlist.init.length + sum(lengths) == (folder / PROGRAMME).stat().st_size
    assert playlist.duration_s == pytest.approx(len(programme) / SAMPLE_RATE_HZ, abs=0.001)
    return playlist.duration_s


async def test_a_kill_during_two_recordings_costs_each_at_most_one_and_a_half_seconds(
    tmp_path: Path,
) -> None:
    window = {"SPACES_RECONNECT_WINDOW_S": str(RECONNECT_WINDOW_S)}
    async with served_town(tmp_path, **window) as town:
        steady, lost = await town.person("steady"), await town.person("lost")
        steady_id, lost_id = await steady.live_space(record=True), await lost.live_space(record=True)
        voices = [
            await steady.publish(steady_id, tone(frequency_hz=440, seconds=60)),
            await lost.publish(lost_id, tone(frequency_hz=660, seconds=60)),
        ]
        async with town.anyone.socket() as socket:
            for space_id in (steady_id, lost_id):
                status = await socket.subscribe(STATUS, id=space_id)
                await socket.until(status, status="RECORDING")
        await until_sent(voices[1], 3.4)

        assert len(children_of(town.server.pid)) == 1
        sent = {440: sent_s(voices[0]), 660: sent_s(voices[1])}
        assert await town.server.kill() < 1
        killed_s = time.monotonic()
        await town.server.start()
        ready_s = time.monotonic() - killed_s
        assert len(town.server.recordings()) == 2
        for folder in town.server.recordings():
            assert assert_whole(folder) >= min(sent.values()) - MOST_LOST_S

        back = await steady.publish(steady_id, tone(frequency_hz=880, seconds=1.5))
        away_s = time.monotonic() - killed_s
        print(f"ready {ready_s:.2f} s and back {away_s:.2f} s after the kill")
        await asyncio.gather(*(voice.close() for voice in voices))
        await back.play_to_end()
        await steady.do("endSpace", spaceId=steady_id)
        await back.close()
        await lost.until(lost_id, "AVAILABLE")
        assert (await lost.space(lost_id, "state"))["state"] == "ENDED"
        assert await lost.refused("joinSpace", spaceId=lost_id) == "ALREADY_ENDED"

        await assert_played(town, lost_id, frequency_hz=660, sent=sent[660])
        gap_s = await assert_played(town, steady_id, frequency_hz=440, sent=sent[440])
        recording = await steady.recording(steady_id, "gaps { startMs endMs cause } playback { url }")
        assert [gap["cause"] for gap in recording["gaps"]] == ["RESTART"]
        gap = recording["gaps"][0]
        assert gap["startMs"] / 1000 == pytest.approx(gap_s, abs=0.1)
        programme = await play(town, recording["playback"]["url"])
        start_s, end_s = place_of_tone(programme, frequency_hz=880, level=0.2)
        assert start_s == pytest.approx(gap["endMs"] / 1000, abs=0.5)
        assert start_s == pytest.approx(sent[440] + away_s, abs=0.5)
        # A server that has just come up is still loading: the first packets may come too late.
        assert end_s - start_s == pytest.approx(1.5, abs=0.5)
        silence = programme[round((gap_s + 0.1) * SAMPLE_RATE_HZ) : round((start_s - 0.1) * SAMPLE_RATE_HZ)]
        assert float(np.abs(silence).max()) < 0.001


async def assert_played(town: ServedTown, space_id: str, *, frequency_hz: float, sent: float) -> float:
    """The recording is AVAILABLE and short of what was sent by no more than is allowed; where it breaks off."""
    recording = await town.anyone.recording(space_id, "status durationMs playback { url }")
    assert recording["status"] == "AVAILABLE"
    playlist = await fetch_playlist(town, recording["playback"]["url"])
    assert playlist.ended
    programme = await play(town, recording["playback"]["url"])
    start_s, end_s = place_of_tone(programme, frequency_hz=frequency_hz, level=0.2)
    print(f"{frequency_hz} Hz: {sent - end_s:.3f} s lost of {sent:.3f} s")
    assert start_s < 0.1
    assert sent - MOST_LOST_S <= end_s <= sent + 0.1
    return end_s


@pytest.mark.long
async def test_sigterm_is_obeyed_within_two_seconds_and_live_recordings_wait(tmp_path: Path) -> None:
    async with served_town(tmp_path) as town:
        host = await town.person("host")
        space_id = await host.live_space(record=True)
        live = (await town.anyone.space(space_id, "live { url }"))["live"]["url"]
        url, token = await whip_of(host, space_id)
        voice = await host.publish(space_id, tone(frequency_hz=440, seconds=60))
        async with host.socket() as socket:
            status = await socket.subscribe(STATUS, id=space_id)
            await socket.until(status, status="RECORDING")
            await until_sent(voice, 1.3)
            sent = sent_s(voice)
            stopped_s = await town.server.stop()
            print(f"gone {stopped_s:.3f} s after SIGTERM")
            assert stopped_s < 2
            await socket.raw.wait_closed()
            assert socket.raw.close_code in {1001, 1012}
        await voice.close()
        (folder,) = town.server.recordings()
        assert assert_whole(folder) >= sent - 0.2

        await town.server.start()
        assert await host.space(space_id, "isRecording recording { status }") == {
            "isRecording": True,
            "recording": {"status": "INTERRUPTED"},
        }
        # Links and sessions from before the restart are still good.
        assert (await fetch_playlist(town, live)).duration_s >= sent - 0.2
        assert (await knock(town, url, token, await offer())).status_code == 201
        await host.do("endSpace", spaceId=space_id)
        assert (await host.recording(space_id, "status"))["status"] == "AVAILABLE"


async def test_a_fresh_folder_is_served_at_once(tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        ready_s = await server.start()
        computed_s = sum(map(cpu_seconds, [server.pid, *children_of(server.pid)]))
        print(f"ready after {ready_s:.2f} s, {computed_s:.2f} s of them computing")
        assert computed_s < 10
        assert await server.stop() < 2
        assert server.errors() == []
    finally:
        await server.clean_up()
