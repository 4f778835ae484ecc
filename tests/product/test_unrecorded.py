"""A Space that is not recorded leaves no byte of audio anywhere."""

import asyncio
from pathlib import Path

import pytest

from tests.media.publisher import tone
from tests.product.player import between, fetch_piece, fetch_playlist, level_of_tone, play
from tests.product.process import ServedTown, served_town
from tests.product.town import PATIENCE_S

LENGTH_S = 8.0
PIECES = 5
# Rows and log lines of such a Space: less than half of its audio, as listeners get it.
MOST_GROWTH_BYTES = 16_000
# So much of a fragment is looked for, again and again; no row holds it by chance.
SAMPLE_BYTES = 24


def files(folder: Path) -> dict[str, int]:
    """What lies in a folder, and how large it is. The database's own scratch files are part of it."""
    kept = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    return {str(path.relative_to(folder)): path.stat().st_size for path in kept}


def folders(folder: Path) -> set[str]:
    """The folders in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()}


def mentions(folder: Path, sound: bytes) -> list[str]:
    """Files, scratch files included, that hold any stretch of some audio."""
    contents = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    samples = [sound[at : at + SAMPLE_BYTES] for at in range(0, len(sound) - SAMPLE_BYTES, 97)]
    return [str(path) for path, data in contents.items() if any(sample in data for sample in samples)]


def would_be_found(folder: Path, leak: bytes, *, within: bytes) -> bool:
    """Whether the search notices a little sound in the middle of a file."""
    (folder / "page").write_bytes(b"row" * 1000 + leak + b"row" * 1000)
    return bool(mentions(folder, within))


async def listen(town: ServedTown, live: str) -> tuple[bytes, list[bytes]]:
    """Follow a live playlist until several pieces have come: the init segment, and the pieces' bytes."""
    async with asyncio.timeout(PATIENCE_S):
        while (await town.fetch(live)).text.count("#EXTINF") < PIECES:
            await asyncio.sleep(0.2)
    playlist = await fetch_playlist(town, live)
    assert (playlist.ended, playlist.kind) == (False, None)
    assert playlist.init is not None
    init = await fetch_piece(town, live, playlist.init)
    return init, [await fetch_piece(town, live, piece) for piece in playlist.pieces]


async def test_a_space_with_the_toggle_off_leaves_rows_and_log_lines_and_no_audio(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with served_town(tmp_path, SPACES_LOG_LEVEL="INFO") as town:
        host = await town.person("host")
        space_id = (await host.new_space())["id"]
        await town.server.stop()
        before, folders_before = files(town.data_dir), folders(tmp_path)
        scratch = {path.name for path in (tmp_path / "scratch").iterdir()}

        await town.server.start()
        await host.do("startSpace", spaceId=space_id)
        live = (await town.anyone.space(space_id, "live { url }"))["live"]["url"]
        voice = await host.publish(space_id, tone(frequency_hz=440, seconds=LENGTH_S, level=0.3))
        init, pieces = await listen(town, live)
        heard = await play(town, live)
        inside = between(heard, 0.3, PIECES * 0.9)
        level_db = level_of_tone(inside, frequency_hz=440, reference=0.3, quantile=0.9)
        assert level_db == pytest.approx(0, abs=1)
        sound = b"".join(pieces)
        assert mentions(tmp_path, sound) == []
        assert would_be_found(tmp_path_factory.mktemp("leak"), pieces[-1][500:700], within=sound)

        await host.do("endSpace", spaceId=space_id)
        await voice.close()
        assert (await town.fetch(live)).status_code == 410
        assert (await host.space(space_id, "recording { status }"))["recording"] is None
        assert mentions(tmp_path, sound) == []
        await town.server.stop()

        after = files(town.data_dir)
        assert after.keys() == before.keys()
        assert folders(tmp_path) == folders_before
        assert {path.name for path in (tmp_path / "scratch").iterdir()} == scratch
        grown = {name: size - before[name] for name, size in after.items() if size != before[name]}
        print(f"grown by {grown}; {sum(map(len, pieces))} bytes of audio were heard, {len(init)} of head")
        assert all(name.startswith(("spaces.sqlite3", "logs/")) for name in grown), grown
        assert sum(grown.values()) < MOST_GROWTH_BYTES < sum(map(len, pieces)) / 2
        assert mentions(tmp_path, sound) == []
