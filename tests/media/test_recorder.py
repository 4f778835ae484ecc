"""The recorder: level, timing, gaps and state, from real Opus packets to decoded AAC."""

from pathlib import Path

import numpy as np
import pytest

from media.engine import Gap, GapCause, RecorderState, RoomSpec, SpeakingChanged
from media.journal import JOURNAL, parse
from media.local import LocalEngine
from media.playlist import PLAYLIST, PROGRAMME, read_index
from media.repair import finish, repair
from media.room import Room
from media.waveform import PEAKS, peaks_for, waveform
from tests.media.publisher import tone
from tests.media.sound import SAMPLE_RATE_HZ, Signal, decode, noise, opus_packets, place_of, tone_level_db
from tests.media.studio import EPOCH_MS, Studio, Voice

TICK_TOLERANCE_SAMPLES = 960


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path / "recording")


def file_names(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob("*")]


def programme(studio: Studio) -> Signal:
    return decode(studio.directory / PROGRAMME)


async def test_three_voices_keep_their_levels_and_the_length_is_what_was_sent(studio: Studio) -> None:
    await studio.open()
    for number, frequency_hz in enumerate((440, 1000, 2500)):
        studio.join(f"p{number}", tone(frequency_hz=frequency_hz, seconds=4))
    await studio.run(4000)
    facts = await studio.close()
    sound = programme(studio)
    assert facts.started_at_ms == EPOCH_MS
    assert abs(facts.duration_ms - 4000) <= 60
    assert len(sound) * 1000 / SAMPLE_RATE_HZ == pytest.approx(facts.duration_ms, abs=1)
    for frequency_hz in (440, 1000, 2500):
        level = tone_level_db(sound[24_000:168_000], frequency_hz=frequency_hz, reference=0.2)
        assert abs(level) < 0.5


@pytest.mark.parametrize("ptime_ms", [20, 60])
async def test_every_position_is_the_time_since_the_first_audio(studio: Studio, ptime_ms: int) -> None:
    await studio.open()
    await studio.run(700)  # nobody speaks yet: no programme
    first, second = noise(seconds=4, seed=1), noise(seconds=2, seed=2)
    studio.join("first", first, ptime_ms=ptime_ms)
    await studio.run(1500)
    studio.join("second", second, ptime_ms=ptime_ms)
    await studio.run(2500)
    await studio.close()
    sound = programme(studio)
    at, likeness = place_of(first[4800:48_000], within=sound)
    assert likeness > 0.9
    assert abs(at - 4800) <= TICK_TOLERANCE_SAMPLES
    at, likeness = place_of(second[24_000:72_000], within=sound)
    assert likeness > 0.5
    assert abs(at - (1500 * 48 + 24_000)) <= TICK_TOLERANCE_SAMPLES


async def test_nobody_connected_is_a_gap_that_keeps_its_length(studio: Studio) -> None:
    await studio.open()
    first, second = noise(seconds=2, seed=1), noise(seconds=2, seed=2)
    voice = studio.join("p", first)
    await studio.run(2000)
    studio.leave(voice)
    await studio.run(3000)
    assert studio.recorder.state is RecorderState.INTERRUPTED
    at_rest = (studio.directory / PROGRAMME).stat().st_size
    await studio.run(1000)
    assert (studio.directory / PROGRAMME).stat().st_size == at_rest
    studio.join("p", second)
    await studio.run(2000)
    facts = await studio.close()
    assert studio.states == [
        RecorderState.STARTING,
        RecorderState.RECORDING,
        RecorderState.INTERRUPTED,
        RecorderState.RECORDING,
    ]
    (gap,) = facts.gaps
    assert gap.cause is GapCause.NO_PUBLISHER
    assert abs(gap.start_ms - 2000) <= 80
    assert abs(gap.end_ms - 6000) <= 80
    sound = programme(studio)
    at, likeness = place_of(second[4800:48_000], within=sound)
    assert likeness > 0.9
    assert abs(at - (6000 * 48 + 4800)) <= TICK_TOLERANCE_SAMPLES
    assert np.abs(sound[2200 * 48 : 5800 * 48]).max() < 1e-3
    assert facts == repair(studio.directory, recording_id="recording")


async def test_a_gap_at_the_end_is_told_and_not_filled(studio: Studio) -> None:
    await studio.open()
    voice = studio.join("p", tone(frequency_hz=440, seconds=2))
    await studio.run(2000)
    studio.leave(voice)
    await studio.run(5000)
    facts = await studio.close()
    assert abs(facts.duration_ms - 2000) <= 80
    assert facts.gaps == (
        Gap(start_ms=facts.gaps[0].start_ms, end_ms=facts.gaps[0].end_ms, cause=GapCause.NO_PUBLISHER),
    )
    assert abs(facts.gaps[0].end_ms - 7000) <= 80
    assert facts == repair(studio.directory, recording_id="recording")


async def test_muted_people_who_are_connected_are_silence_and_no_gap(studio: Studio) -> None:
    await studio.open()
    studio.join("p", tone(frequency_hz=440, seconds=6))
    await studio.run(2000)
    studio.room.set_muted("p", muted=True)
    await studio.run(2000)
    studio.room.set_muted("p", muted=False)
    await studio.run(2000)
    facts = await studio.close()
    sound = programme(studio)
    assert facts.gaps == ()
    assert abs(facts.duration_ms - 6000) <= 80
    assert np.abs(sound[2060 * 48 : 3940 * 48]).max() < 1e-3
    assert np.abs(sound[4200 * 48 : 5900 * 48]).max() > 0.15


async def test_a_gap_of_hours_is_filled_at_once_and_keeps_every_position(studio: Studio) -> None:
    await studio.open()
    voice = studio.join("p", noise(seconds=2, seed=1))
    await studio.run(2000)
    studio.leave(voice)
    await studio.run(200)
    hours = 3 * 3600 * 1000
    await studio.pass_time(hours)
    second = noise(seconds=2, seed=2)
    studio.join("p", second)
    await studio.run(2000)
    facts = await studio.close()
    assert abs(facts.duration_ms - (hours + 4200)) <= 80
    index = read_index(studio.directory)
    assert index.duration_ms == facts.duration_ms
    assert all(fragment.duration_s <= 1 for fragment in index.fragments)
    data = (studio.directory / PROGRAMME).read_bytes()
    at = next(
        f.offset
        for n, f in enumerate(index.fragments)
        if sum(x.frames for x in index.fragments[:n]) * 1024 > (hours - 3000) * 48
    )
    tail = decode(data[: index.init_bytes] + data[at:])
    found, likeness = place_of(second[4800:48_000], within=tail)
    assert likeness > 0.9
    assert abs(len(tail) - found - (2000 * 48 - 4800)) <= 3 * TICK_TOLERANCE_SAMPLES


async def test_a_second_process_goes_on_in_the_same_file(studio: Studio) -> None:
    await studio.open()
    studio.join("p", noise(seconds=3, seed=1))
    await studio.run(3000)
    studio.kill()
    again = Studio(studio.directory, clock_ms=500_000, wall_offset_ms=EPOCH_MS + 8000 - 500_000)
    facts = await again.open()
    assert again.recorder.state is RecorderState.INTERRUPTED
    assert facts.started_at_ms == EPOCH_MS
    assert 3000 - 1500 <= facts.duration_ms <= 3000
    second = noise(seconds=2, seed=2)
    again.join("p", second)
    await again.run(2000)
    facts = await again.close()
    sound = decode(studio.directory / PROGRAMME)
    at, likeness = place_of(second[4800:48_000], within=sound)
    assert likeness > 0.9
    assert abs(at - (8000 * 48 + 4800)) <= 4 * TICK_TOLERANCE_SAMPLES
    (gap,) = facts.gaps
    assert gap.cause is GapCause.RESTART
    assert abs(gap.end_ms - 8000) <= 80
    assert facts == repair(studio.directory, recording_id="recording")


async def test_a_restart_during_a_gap_keeps_the_gap_and_its_cause(studio: Studio) -> None:
    await studio.open()
    voice = studio.join("p", tone(frequency_hz=440, seconds=2))
    await studio.run(2000)
    studio.leave(voice)
    await studio.run(500)
    studio.kill()
    again = Studio(studio.directory, wall_offset_ms=EPOCH_MS + 5000)
    await again.open()
    again.join("p", tone(frequency_hz=440, seconds=1))
    await again.run(1000)
    facts = await again.close()
    assert [gap.cause for gap in facts.gaps] == [GapCause.NO_PUBLISHER]
    assert abs(facts.gaps[0].end_ms - 5000) <= 100


async def test_suspending_keeps_every_sound_and_the_next_process_tells_the_gap(studio: Studio) -> None:
    await studio.open()
    voice = studio.join("p", tone(frequency_hz=440, seconds=2))
    await studio.run(2000)
    studio.leave(voice)
    facts = await studio.room.suspend()
    assert facts is not None
    assert abs(facts.duration_ms - 2000) <= 80
    assert studio.states[-1] is RecorderState.INTERRUPTED
    assert not read_index(studio.directory).ended
    ended = finish(studio.directory, recording_id="recording", ended_at_ms=EPOCH_MS + 9000)
    assert [gap.cause for gap in ended.gaps] == [GapCause.RESTART]
    assert abs(ended.gaps[0].end_ms - 9000) <= 80
    assert read_index(studio.directory).ended


async def test_a_recording_without_audio_has_no_facts_and_no_sound(studio: Studio) -> None:
    assert (await studio.open()).started_at_ms is None
    await studio.run(1000)
    facts = await studio.close()
    assert (facts.started_at_ms, facts.duration_ms, facts.size_bytes) == (None, 0, 0)
    assert finish(studio.directory, recording_id="recording", ended_at_ms=EPOCH_MS) == facts
    assert not (studio.directory / PROGRAMME).exists()


async def test_the_files_say_the_same_as_the_facts(studio: Studio) -> None:
    await studio.open()
    studio.join("p", tone(frequency_hz=440, seconds=3))
    await studio.run(3000)
    facts = await studio.close()
    index = read_index(studio.directory)
    assert (index.duration_ms, index.size_bytes) == (facts.duration_ms, facts.size_bytes)
    assert index.started_at_ms == facts.started_at_ms
    assert index.ended
    written = (studio.directory / PLAYLIST).read_text()
    assert repair(studio.directory, recording_id="recording") == facts
    assert (studio.directory / PLAYLIST).read_text() == written
    assert (studio.directory / PEAKS).stat().st_size == peaks_for(
        sum(f.frames for f in index.fragments) * 1024
    )
    assert waveform((studio.directory / PEAKS).read_bytes(), 10) == pytest.approx([51] * 10, abs=6)
    assert len(waveform((studio.directory / PEAKS).read_bytes(), 1000)) == 1000
    assert len(waveform((studio.directory / PEAKS).read_bytes(), 1)) == 1


async def test_who_spoke_when_is_kept(studio: Studio) -> None:
    await studio.open()
    quiet = np.zeros(48_000, np.float32)
    studio.join(
        "p", np.concatenate([tone(frequency_hz=300, seconds=1), quiet, tone(frequency_hz=300, seconds=1)])
    )
    await studio.run(3000)
    await studio.close()
    spoke = parse((studio.directory / JOURNAL).read_bytes()).spoke
    assert [stretch.participant_id for stretch in spoke] == ["p", "p"]
    assert abs(spoke[0].end_ms - 1300) <= 150
    assert abs(spoke[1].start_ms - 2000) <= 100
    changes = [event.speaking for event in studio.events if isinstance(event, SpeakingChanged)]
    assert changes == [True, False, True, False]


@pytest.mark.parametrize("away_ms", [500, 1200, 4000])
async def test_who_speaks_at_once_after_coming_back_spoke_from_then_on(studio: Studio, away_ms: int) -> None:
    await studio.open()
    first = studio.join("p", tone(frequency_hz=300, seconds=5))
    await studio.run(3000)
    studio.leave(first)
    await studio.run(away_ms)
    studio.join("p", tone(frequency_hz=300, seconds=5))
    # As one room does where nobody listens in real time: sound and its beginning come in one block.
    await studio.run(2000, ticks=8)
    facts = await studio.close()
    spoke = parse((studio.directory / JOURNAL).read_bytes()).spoke
    assert len(spoke) == 2
    assert spoke[1].start_ms >= facts.gaps[-1].end_ms
    assert spoke[1].start_ms - facts.gaps[-1].end_ms <= 300
    assert spoke[1].end_ms <= facts.duration_ms + 300


async def test_stopping_a_recording_closes_the_file_and_the_room_goes_on_in_memory(studio: Studio) -> None:
    await studio.open()
    studio.join("p", tone(frequency_hz=440, seconds=10))
    await studio.run(3000)
    facts = await studio.room.stop_recording()
    assert facts is not None
    assert abs(facts.duration_ms - 3000) <= 80
    size = sum(path.stat().st_size for path in studio.directory.iterdir())
    await studio.run(3000)
    assert sum(path.stat().st_size for path in studio.directory.iterdir()) == size
    assert len(studio.room.window.window.fragments) >= 2


async def test_an_unrecorded_room_writes_nothing_and_keeps_a_minute(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.room = Room(space_id="space", emit=studio.events.append, now_ms=studio.now_ms)
    publisher = studio.room.add_publisher("p")
    publisher.connected = True
    packets = opus_packets(tone(frequency_hz=440, seconds=2)) * 40
    studio.voices.append(Voice(publisher, packets, 20, 0))
    await studio.run(75_000)
    window = studio.room.window.window
    total_ms = sum(fragment.duration_ms for fragment in window.fragments)
    assert 58_000 <= total_ms <= 60_000
    first = window.fragments[0].sequence
    assert [fragment.sequence for fragment in window.fragments] == list(
        range(first, first + len(window.fragments))
    )
    init = studio.room.window.init(window.generation)
    pieces = [studio.room.window.fragment(fragment.sequence) for fragment in window.fragments]
    assert init is not None
    sound = decode(init + b"".join(piece or b"" for piece in pieces))
    assert len(sound) * 1000 / SAMPLE_RATE_HZ == pytest.approx(total_ms, abs=1)
    assert studio.room.window.fragment(first - 1) is None
    studio.room.window.clear()
    assert studio.room.window.init(window.generation) is None
    await studio.run(2000)
    after = studio.room.window.window
    assert after.generation == window.generation + 1
    assert after.fragments[0].sequence == window.fragments[-1].sequence + 1
    assert file_names(tmp_path) == []


async def test_opening_a_room_twice_finds_it_open(tmp_path: Path) -> None:
    engine = LocalEngine(now_ms=lambda: EPOCH_MS)
    try:
        assert await engine.open_room(RoomSpec(space_id="a")) is None
        assert await engine.open_room(RoomSpec(space_id="a")) is None
        assert await engine.close_room("a") is None
        assert await engine.close_room("a") is None
    finally:
        await engine.aclose()
