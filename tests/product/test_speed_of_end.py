"""A recording can be played within a second of its end, however long it is."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from media import journal
from media.mp4 import FRAME_SAMPLES
from media.store import RecordingStore
from media.waveform import peaks_for
from tests.media.publisher import SAMPLE_RATE_HZ, tone
from tests.media.sound import decode
from tests.product.player import fetch_piece, place_of_tone, read_playlist
from tests.product.process import ServedTown, served_town
from tests.product.town import Person

MINUTE_S = 60
FOUR_HOURS_S = 4 * 60 * 60
# What the product promises, from the end to the first byte.
MOST_S = 1.0
LAST_PIECES = 3


@dataclass(frozen=True, slots=True)
class Room:
    """A live recorded Space, and where its recording lies."""

    host: Person
    space_id: str
    folder: Path
    length_s: int


async def open_room(town: ServedTown, length_s: int) -> Room:
    """Launch a recorded Space."""
    before = set(town.server.recordings())
    host = await town.person()
    space_id = await host.live_space(record=True)
    (folder,) = set(town.server.recordings()) - before
    return Room(host, space_id, folder, length_s)


def feed(room: Room) -> None:
    """What the recorder would have written by now, had it listened for so long: below WebRTC, in no time."""
    began_ms = round((time.time() - room.length_s) * 1000)
    frames = room.length_s * SAMPLE_RATE_HZ // FRAME_SAMPLES
    store = RecordingStore(room.folder)
    store.open()
    store.begin(at_ms=began_ms)
    store.append_journal(journal.started(at_ms=began_ms))
    store.append_silence(frames)
    store.append_peaks(bytes(peaks_for(frames * FRAME_SAMPLES)))
    store.close()


async def end_and_play(town: ServedTown, room: Room) -> None:
    """End the Space while its host speaks, and play at once."""
    voice = await room.host.publish(room.space_id, tone(frequency_hz=440, seconds=1))
    await voice.play_to_end()
    began_s = time.monotonic()
    ended = await room.host.do(
        "endSpace", "space { recording { status durationMs playback { url } } }", spaceId=room.space_id
    )
    answered_s = time.monotonic() - began_s
    recording = ended["space"]["recording"]
    url = recording["playback"]["url"]
    text = (await town.fetch(url)).text
    listed_s = time.monotonic() - began_s
    await town.fetch(url.replace("index.m3u8", "programme.mp4"), Range="bytes=0-1023")
    played_s = time.monotonic() - began_s
    await voice.close()
    print(
        f"{room.length_s} s: answered after {answered_s:.3f} s, playlist of {len(text)} characters after"
        f" {listed_s:.3f} s, first byte after {played_s:.3f} s"
    )
    assert played_s < MOST_S

    playlist = read_playlist(text)
    assert (playlist.ended, recording["status"]) == (True, "AVAILABLE")
    assert playlist.duration_s == pytest.approx(recording["durationMs"] / 1000, abs=0.01)
    # All of it is there: what was fed, the restart, and the second in which the host spoke.
    assert room.length_s + 1 <= playlist.duration_s <= room.length_s + 30
    assert playlist.init is not None
    wanted = (playlist.init, *playlist.pieces[-LAST_PIECES:])
    tail = decode(b"".join([await fetch_piece(town, url, piece) for piece in wanted]))
    start_s, end_s = place_of_tone(tail, frequency_hz=440, level=0.2)
    # Longer where the machine sent it late.
    assert 0.7 <= end_s - start_s <= 2


@pytest.mark.long
async def test_a_minute_and_four_hours_alike_are_played_within_a_second_of_the_end(tmp_path: Path) -> None:
    async with served_town(tmp_path) as town:
        rooms = [await open_room(town, length_s) for length_s in (MINUTE_S, FOUR_HOURS_S)]
        await town.server.stop()
        for room in rooms:
            began_s = time.monotonic()
            feed(room)
            print(f"{room.length_s} s fed in {time.monotonic() - began_s:.2f} s")
        ready_s = await town.server.start()
        print(f"ready again after {ready_s:.2f} s")
        for room in rooms:
            await end_and_play(town, room)
