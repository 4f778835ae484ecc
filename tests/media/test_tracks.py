"""Each speaker's own packets, untouched, on the programme's timeline."""

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media import ogg
from media.journal import JOURNAL, parse
from media.opus import packet_samples
from media.playlist import PROGRAMME
from media.tracks import Track, repair_tracks
from tests.media.publisher import tone
from tests.media.sound import Signal, decode, noise, opus_packets, place_of
from tests.media.studio import Studio


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def track_of(directory: Path, participant_id: str = "p") -> Path:
    """The participant's last track."""
    tracks = parse((directory / JOURNAL).read_bytes()).tracks
    return directory / [item.file for item in tracks if item.participant_id == participant_id][-1]


def offset_ms(piece: Signal, *, programme: Path, track: Path) -> float:
    """How far apart a piece lies in programme and track."""
    found = [place_of(piece, within=decode(path)) for path in (programme, track)]
    assert min(score for _, score in found) > 0.8
    return abs(found[0][0] - found[1][0]) / 48


@pytest.fixture
async def studio(tmp_path: Path) -> Studio:
    studio = Studio(tmp_path / "recording")
    await studio.open()
    return studio


@pytest.mark.parametrize("ptime_ms", [20, 60])
async def test_a_track_is_the_packets_as_they_came_in_step_with_the_programme(
    studio: Studio, ptime_ms: int
) -> None:
    signal = noise(seconds=3)
    voice = studio.join("p", signal, ptime_ms=ptime_ms)
    await studio.run(3200)
    await studio.close()
    track = track_of(studio.directory)
    kept = [packet for packet in packets_of(track) if len(packet) > 10]
    assert kept == [packet for packet in voice.packets if len(packet) > 10]
    piece = signal[48_000:86_400]
    assert offset_ms(piece, programme=studio.directory / PROGRAMME, track=track) < 10


async def test_who_comes_late_and_who_comes_back_stays_in_step(studio: Studio) -> None:
    first, late, again = noise(seconds=9, seed=1), noise(seconds=2, seed=2), noise(seconds=2, seed=3)
    studio.join("host", first)
    await studio.run(2110)
    guest = studio.join("guest", late)
    await studio.run(2300)
    studio.leave(guest)
    await studio.run(1430)
    guest = studio.join("guest", again)
    await studio.run(2300)
    await studio.close()
    programme = studio.directory / PROGRAMME
    for number, piece in ((1, late[24_000:72_000]), (2, again[24_000:72_000])):
        track = studio.directory / f"tracks/guest-{number}.opus"
        assert np.abs(decode(track)[: 2 * 48_000]).max() < 0.001
        assert offset_ms(piece, programme=programme, track=track) < 10


async def test_when_nobody_was_there_the_track_is_filled_as_the_programme_is(studio: Studio) -> None:
    before, after = noise(seconds=2, seed=2), noise(seconds=2, seed=3)
    voice = studio.join("p", before)
    await studio.run(2200)
    studio.leave(voice)
    await studio.run(3000)
    studio.join("p", after)
    await studio.run(2200)
    await studio.close()
    piece = after[24_000:72_000]
    programme, track = studio.directory / PROGRAMME, track_of(studio.directory)
    assert offset_ms(piece, programme=programme, track=track) < 22  # whole AAC frames fill the programme


async def test_a_kill_loses_at_most_a_second_and_a_half_and_the_next_track_is_in_step(studio: Studio) -> None:
    signal = noise(seconds=4)
    studio.join("p", signal)
    await studio.run(4000)
    studio.kill()
    track = track_of(studio.directory)
    assert len(decode(track)) / 48 > 4000 - 1500
    with track.open("ab") as file:
        file.write(b"OggS torn")
    again = Studio(studio.directory, wall_offset_ms=studio.now_ms() + 3000)
    await again.open()
    assert len(decode(track)) / 48 > 4000 - 1500
    after = noise(seconds=2, seed=5)
    again.join("p", after)
    await again.run(2200)
    await again.close()
    piece = after[24_000:72_000]
    assert offset_ms(piece, programme=studio.directory / PROGRAMME, track=track_of(studio.directory)) < 22


async def test_a_room_that_is_muted_or_not_recorded_keeps_no_packet(studio: Studio) -> None:
    voice = studio.join("p", tone(frequency_hz=440, seconds=3))
    voice.publisher.muted = True
    await studio.run(1000)
    assert not list(studio.directory.rglob("*.opus"))
    voice.publisher.muted = False
    await studio.run(500)
    await studio.room.stop_recording()
    size = track_of(studio.directory).stat().st_size
    await studio.run(1500)
    assert track_of(studio.directory).stat().st_size == size


def test_a_word_after_a_long_silence_has_its_level_at_once(tmp_path: Path) -> None:
    track = Track(participant_id="p", number=1)
    for number, packet in enumerate(opus_packets(tone(frequency_hz=440, seconds=0.5))):
        track.add(packet, at_samples=48_000 * 600 + number * 960)
    pages = track.take(end=True)
    assert pages is not None
    assert len(pages.data) < 30_000
    (tmp_path / "p.opus").write_bytes(pages.data)
    heard = decode(tmp_path / "p.opus")[48_000 * 600 :]
    assert 0.18 < np.abs(heard[720:1200]).max() < 0.22


def test_holes_ask_the_decoder_to_conceal_to_the_10_ms() -> None:
    packet = opus_packets(tone(frequency_hz=440, seconds=0.1))[1]
    track = Track(participant_id="p", number=1)
    track.add(packet, at_samples=480)
    track.add(packet, at_samples=480 + 960 + 479)
    track.add(packet, at_samples=480 + 2 * 960 + 5760 + 960 + 480 + 479)
    sizes = [(len(payload), packet_samples(payload)) for payload in track._packets]
    own = (len(packet), 960)
    assert sizes == [(2, 480), own, own, (2, 5760), (2, 960), (2, 480), own]


def test_a_speaker_whose_clock_runs_fast_is_kept_in_step() -> None:
    packet = opus_packets(tone(frequency_hz=440, seconds=0.1))[1]
    track = Track(participant_id="p", number=1)
    for number in range(20_000):
        track.add(packet, at_samples=number * 959)
        assert -960 < track.samples - (number * 959 + 960) <= 2880
    assert track.dropped == pytest.approx(20_000 / 960, abs=4)


@given(st.lists(st.tuples(st.integers(0, 200_000), st.sampled_from([20, 60])), max_size=30))
@settings(max_examples=50, deadline=None)
def test_every_track_is_sound_whatever_came(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]
) -> None:
    packets = {ptime_ms: opus_packets(noise(seconds=0.2), ptime_ms=ptime_ms)[1] for ptime_ms in (20, 60)}
    track, at = Track(participant_id="p", number=1), 0
    path = tmp_path_factory.mktemp("track") / "p-1.opus"
    with path.open("wb") as file:
        for step, ptime_ms in steps:
            at += step
            track.add(packets[ptime_ms], at_samples=at)
            at += ptime_ms * 48
            assert abs(track.samples - at) <= 2880
            if step % 3 and (pages := track.take()) is not None:
                file.write(pages.data)
        if (pages := track.take()) is not None:
            file.write(pages.data)
    if steps:
        assert ogg.whole_bytes(path) == path.stat().st_size
        assert len(decode(path)) == track.samples


async def test_a_track_that_is_cut_anywhere_is_whole_up_to_its_last_page(studio: Studio) -> None:
    studio.join("p", noise(seconds=3))
    await studio.run(3000)
    studio.kill()
    path = track_of(studio.directory)
    data = path.read_bytes()
    lengths = set()
    for size in [0, 1, 26, 27, 28, 47, 90, *range(100, len(data), 997), len(data) - 1, len(data)]:
        path.write_bytes(data[:size])
        assert repair_tracks(studio.directory) == {"p": 1}
        whole = path.read_bytes()
        assert data.startswith(whole)
        lengths.add(len(decode(path)) if whole else 0)
    assert len(lengths) == 3  # nothing, a second, two
    path.unlink()
    assert repair_tracks(studio.directory) == {}
