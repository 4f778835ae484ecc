"""Parts add up to the fragments that plain players read, and a playlist says which there are."""

from pathlib import Path

import pytest

from media.encoder import programme_init, silent_frame
from media.low_latency import Edge, read_edge, read_part
from media.mp4 import FRAGMENT_FRAMES, PART_FRAMES, Fragment, part
from media.playlist import PROGRAMME, Index, read_index, render, render_live_window
from media.room import Room
from media.voice import MAX_TICKS, TICK_NS
from tests.media.publisher import tone
from tests.media.sound import decode
from tests.media.studio import Studio
from tests.product.player import read_playlist

PART_S = 0.32


def edge_at(index: Index, path: Path) -> Edge:
    return read_edge(path, init_bytes=index.init_bytes, fragments=index.fragments)


async def test_parts_of_a_recording_are_the_bytes_of_its_fragments(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "recording")
    await studio.open()
    studio.join("p", tone(frequency_hz=440, seconds=8))
    path = studio.directory / PROGRAMME
    grown: list[int] = []
    for _ in range(20):
        await studio.run(320)
        index = read_index(studio.directory)
        if index.init_bytes:
            edge = edge_at(index, path)
            grown.append(edge.next_part)
            playlist = read_playlist(render(index, ended=False, edge=edge))
            assert len(playlist.growing) == edge.next_part
            assert playlist.hint == "part-{}-{}.m4s".format(*edge.hint)
    assert set(grown) == {0, 1, 2}
    data, index = path.read_bytes(), read_index(studio.directory)
    place = {"init_bytes": index.init_bytes, "fragments": index.fragments}
    for number, whole in enumerate(index.fragments):
        parts = [read_part(path, **place, fragment=number, number=at) for at in range(3)]  # type: ignore[arg-type]
        assert b"".join(filter(None, parts)) == data[whole.offset : whole.offset + whole.length]
        for piece in parts:
            assert piece is not None
            assert len(decode(data[: index.init_bytes] + piece)) == PART_FRAMES * 1024
    for fragment, at in ((0, 3), (len(index.fragments), 2), (len(index.fragments) + 1, 0), (0, -1)):
        assert read_part(path, **place, fragment=fragment, number=at) is None  # type: ignore[arg-type]
    await studio.close()
    assert read_playlist(render(read_index(studio.directory))).hint is None


async def test_a_stretch_that_ends_early_ends_its_fragment_with_a_short_part(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "recording")
    await studio.open()
    voice = studio.join("p", tone(frequency_hz=440, seconds=1.5))
    await studio.run(1500)
    studio.leave(voice)
    await studio.run(1000)
    index = read_index(studio.directory)
    edge = edge_at(index, studio.directory / PROGRAMME)
    last = edge.parts_s[len(index.fragments) - 1]
    assert sum(last) == pytest.approx(index.fragments[-1].duration_s)
    assert 0 < last[-1] < PART_S
    assert edge.hint == (len(index.fragments), 0)
    read_playlist(render(index, ended=False, edge=edge))
    studio.join("p", tone(frequency_hz=440, seconds=3))
    await studio.run(3000)
    index = read_index(studio.directory)
    read_playlist(render(index, ended=False, edge=edge_at(index, studio.directory / PROGRAMME)))
    await studio.close()


def test_a_part_that_is_being_written_is_not_there_yet(tmp_path: Path) -> None:
    frames, init = [silent_frame()] * PART_FRAMES, programme_init()
    parts = [
        part(frames, sequence=number + 1, start_frame=number * PART_FRAMES, begins=number % 3 == 0)
        for number in range(4)
    ]
    path = tmp_path / PROGRAMME
    counts = []
    data = init + b"".join(parts)
    for length in range(len(init), len(data) + 1, 7):
        path.write_bytes(data[:length])
        counts.append(read_edge(path, init_bytes=len(init), fragments=()).next_part)
    path.write_bytes(data)
    # The fourth begins a fragment that follows on one which no playlist names yet.
    assert read_edge(path, init_bytes=len(init), fragments=()).hint == (1, 0)
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2, 3}
    assert read_edge(tmp_path / "nothing", init_bytes=len(init), fragments=()).hint == (0, 0)


EDGE = Edge(next_fragment=7, parts_s={5: (PART_S,) * 3, 6: (PART_S, 0.1), 7: (PART_S,)})


@pytest.mark.parametrize(
    ("fragment", "number", "there", "too_far"),
    [
        (0, None, True, False),
        (0, 0, True, False),
        (5, 2, True, False),
        (6, None, True, False),
        (6, 1, True, False),
        (6, 2, True, False),  # it never got one: the first of the next is meant
        (7, 0, True, False),
        (7, 1, False, False),
        (7, None, False, False),
        (7, 10, False, False),
        (7, 11, False, True),
        (8, 0, False, False),
        (8, None, False, False),
        (9, 0, False, True),
        (9, None, False, True),
    ],
)
def test_what_is_asked_for_is_there_or_to_come_or_a_mistake(
    fragment: int, number: int | None, there: bool, too_far: bool
) -> None:
    assert EDGE.has(fragment, number) is there
    assert EDGE.is_too_far(fragment, number) is too_far


def test_who_asks_for_the_changes_alone_gets_a_playlist_of_one_length_after_hours() -> None:
    sizes = []
    for fragments in (10, 100, 14_000):
        step = 8000
        index = Index(
            init_bytes=611,
            fragments=tuple(_fragments(fragments, step=step)),
            ended=False,
            started_at_ms=1_800_000_000_000,
        )
        edge = Edge(next_fragment=fragments, parts_s={fragments - 1: (PART_S,) * 3, fragments: (PART_S,)})
        whole = read_playlist(render(index, edge=edge))
        changes = read_playlist(render(index, edge=edge, skip=True))
        assert changes.next_number == whole.next_number == fragments
        assert (changes.growing, changes.hint) == (whole.growing, whole.hint)
        assert whole.pieces[changes.skipped :] == changes.pieces
        assert sum(piece.duration_s for piece in changes.pieces) >= min(fragments * 0.96, 12)
        sizes.append(len(render(index, edge=edge, skip=True)))
    assert sizes[2] < sizes[1] + 200


def _fragments(count: int, *, step: int) -> list[Fragment]:
    return [Fragment(611 + number * step, step, FRAGMENT_FRAMES) for number in range(count)]


async def test_parts_of_a_room_in_memory_are_the_bytes_of_its_fragments(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.room = Room(space_id="space", emit=studio.events.append, now_ms=studio.now_ms)
    studio.join("p", tone(frequency_hz=440, seconds=8))
    await studio.run(7000)
    window = studio.room.window.window
    assert window.growing is not None
    playlist = read_playlist(render_live_window(window))
    assert playlist.next_number == window.growing.sequence
    buffer = studio.room.window
    first = window.fragments[0].sequence
    for number in range(first, window.growing.sequence):
        parts = [buffer.part(number, at) or b"" for at in range(3)]
        assert b"".join(parts) == buffer.fragment(number)
    assert buffer.part(first, 3) is None
    assert buffer.part(first - 1, 0) is None
    assert buffer.part(window.growing.sequence, len(window.growing.parts_ms)) is None
    buffer.clear()
    assert buffer.part(window.growing.sequence - 1, 0) is None
    read_playlist(render_live_window(buffer.window))


async def test_a_part_is_there_as_soon_as_its_ticks_have_been_made(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.room = Room(space_id="space", emit=studio.events.append, now_ms=studio.now_ms)
    voice = studio.join("p", tone(frequency_hz=440, seconds=8))
    counts = []
    for block in range(20):
        voice.send_until(block * 160 + 140)
        studio.room.tick(block * MAX_TICKS * TICK_NS, ticks=MAX_TICKS)
        window = studio.room.window.window
        assert window.growing is not None
        counts.append(3 * len(window.fragments) + len(window.growing.parts_ms))
    # The encoder holds two frames back; the rest is at most a block behind.
    assert all(parts * 16 >= (block + 1) * MAX_TICKS - 2 * 16 for block, parts in enumerate(counts))
