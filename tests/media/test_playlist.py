"""Playlists pass a strict reading of RFC 8216, and say the truth about bytes and time."""

import re
from pathlib import Path

import m3u8
import pytest

from media.engine import LiveFragment, LiveWindow
from media.mp4 import Fragment
from media.playlist import (
    PLAYLIST,
    PROGRAMME,
    Index,
    first_fragment_at,
    parse_index,
    read_index,
    render,
    render_live_window,
)
from tests.media.publisher import tone
from tests.media.sound import decode
from tests.media.studio import Studio

INDEX = Index(
    init_bytes=611,
    fragments=(Fragment(611, 8000, 46), Fragment(8611, 8100, 46), Fragment(16_711, 900, 5)),
    ended=True,
    started_at_ms=1_800_000_000_123,
)


def check_strictly(text: str, *, live: bool) -> m3u8.M3U8:
    """RFC 8216 sections 4 and 6.2, as far as media playlists of byte ranges go."""
    lines = text.split("\n")
    assert lines[0] == "#EXTM3U"
    assert lines[-1] == ""
    assert "" not in lines[:-1]
    assert "\r" not in text
    tags = [line.split(":")[0] for line in lines if line.startswith("#")]
    for once in ("#EXTM3U", "#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-MAP"):
        assert tags.count(once) == 1
    assert tags.count("#EXT-X-ENDLIST") == (0 if live else 1)
    target = int(re.findall(r"#EXT-X-TARGETDURATION:(\d+)\n", text)[0])
    for seconds in re.findall(r"#EXTINF:([0-9.]+),\n", text):
        assert round(float(seconds)) <= target
    first_segment = next((n for n, tag in enumerate(tags) if tag == "#EXTINF"), len(tags))
    for before in ("#EXT-X-MEDIA-SEQUENCE", "#EXT-X-MAP", "#EXT-X-INDEPENDENT-SEGMENTS"):
        assert tags.index(before) < first_segment
    version = int(re.findall(r"#EXT-X-VERSION:(\d+)", text)[0])
    assert version >= 6
    return m3u8.loads(text)


def test_a_whole_recording_is_a_vod_playlist() -> None:
    parsed = check_strictly(render(INDEX), live=False)
    assert parsed.playlist_type == "vod"
    assert [segment.byterange for segment in parsed.segments] == ["8000@611", "8100@8611", "900@16711"]
    assert parsed.segment_map[0].byterange == "611@0"
    assert parsed.segments[0].current_program_date_time.isoformat() == "2027-01-15T08:00:00.123000+00:00"


def test_a_recording_that_goes_on_is_an_event_playlist() -> None:
    parsed = check_strictly(render(INDEX, ended=False, start_s=-3.0), live=True)
    assert parsed.playlist_type == "event"
    assert parsed.start.time_offset == -3.0


def test_a_trimmed_start_tells_nothing_of_what_is_before_it() -> None:
    parsed = check_strictly(render(INDEX, first_fragment=1, uri="media.mp4"), live=False)
    assert parsed.media_sequence == 1
    assert [segment.byterange for segment in parsed.segments] == ["8100@8611", "900@16711"]
    assert {segment.uri for segment in parsed.segments} == {"media.mp4"}
    assert parsed.segments[0].current_program_date_time.isoformat() == "2027-01-15T08:00:01.104000+00:00"


@pytest.mark.parametrize(
    ("start_ms", "number"), [(-5, 0), (0, 0), (981, 0), (982, 1), (1962, 1), (1963, 2), (2069, 2), (2070, 3)]
)
def test_a_position_is_found_in_the_fragment_that_holds_it(start_ms: int, number: int) -> None:
    assert first_fragment_at(INDEX, start_ms) == number


def test_a_playlist_that_is_being_written_is_read_up_to_its_last_whole_line() -> None:
    text = render(INDEX, ended=False)
    whole = parse_index(text, file_bytes=17_611)
    assert whole.fragments == INDEX.fragments
    for cut in range(len(text)):
        part = parse_index(text[:cut], file_bytes=17_611)
        assert part.fragments == INDEX.fragments[: len(part.fragments)]
    assert parse_index(text, file_bytes=17_610).fragments == INDEX.fragments[:2]


def test_the_live_window_slides_without_an_end() -> None:
    fragments = tuple(LiveFragment(sequence=number, duration_ms=981.333) for number in range(7, 12))
    text = render_live_window(LiveWindow(generation=3, fragments=fragments))
    parsed = check_strictly(text, live=True)
    assert parsed.media_sequence == 7
    assert parsed.discontinuity_sequence == 3
    assert [segment.uri for segment in parsed.segments] == [f"live-{number}.m4s" for number in range(7, 12)]
    assert parsed.segment_map[0].uri == "init-3.mp4"


def test_an_empty_window_is_a_playlist_without_segments() -> None:
    assert (
        check_strictly(render_live_window(LiveWindow(generation=0, fragments=())), live=True).segments == []
    )


def test_a_window_that_has_only_begun_counts_from_the_fragment_that_comes() -> None:
    # A player that is told of number 0 here counts up to what comes next: two thousand million steps.
    growing = LiveFragment(sequence=1_994_947_827, duration_ms=320.0, parts_ms=(320.0,))
    text = render_live_window(LiveWindow(generation=1_994_947_827, fragments=(), growing=growing))
    assert check_strictly(text, live=True).media_sequence == growing.sequence


def test_breaks_are_counted_from_the_beginning_of_the_space() -> None:
    window = LiveWindow(generation=1_994_947_830, fragments=())
    for since, breaks in ((1_994_947_827, 3), (1_994_947_830, 0), (1_994_947_831, 0)):
        text = render_live_window(window, since=since)
        assert check_strictly(text, live=True).discontinuity_sequence == breaks


async def test_any_run_of_fragments_behind_the_init_segment_decodes(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "recording")
    await studio.open()
    studio.join("p", tone(frequency_hz=440, seconds=3))
    await studio.run(3000)
    check_strictly((studio.directory / PLAYLIST).read_text(), live=True)
    await studio.close()
    check_strictly((studio.directory / PLAYLIST).read_text(), live=False)
    index = read_index(studio.directory)
    data = (studio.directory / PROGRAMME).read_bytes()
    assert index.size_bytes == len(data)
    for number, piece in enumerate(index.fragments):
        sound = decode(data[: index.init_bytes] + data[piece.offset : piece.offset + piece.length])
        assert len(sound) == piece.frames * 1024, number
