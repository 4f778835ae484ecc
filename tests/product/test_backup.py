"""A backup of a server that goes on serving, put back: all is there again, and what was deleted since is not."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.media.publisher import tone
from tests.product.command import spaces
from tests.product.court import Court, open_court
from tests.product.databases import databases
from tests.product.process import Server, served_town
from tests.product.town import PATIENCE_S, Person, open_town

REFUSAL = "First run `spaces doctor --after-restore`."


async def back_up(data_dir: Path, folder: Path) -> None:
    """What an operator does while people use the server."""
    status, printed = await spaces(data_dir, "backup", str(folder))
    assert status == 0, printed


async def restore(data_dir: Path, folder: Path, *options: str) -> tuple[int, str]:
    """What an operator does with the server ended."""
    return await spaces(data_dir, "restore", str(folder), *options)


@contextlib.asynccontextmanager
async def reopened(data_dir: Path, before: Court) -> AsyncIterator[Court]:
    """The same people at a server on a folder that was restored, with the tokens that they had."""
    async with open_town(data_dir, quiet=True) as town:
        people = {
            name: replace(getattr(before, name), town=town) for name in ("host", "listener", "moderator")
        }
        yield Court(town=town, **people)


async def plays(court: Court, recording_id: str) -> bytes:
    """The bytes that a listener gets of a recording, which must be playable."""
    found = await court.of(recording_id, "status playback { url }", by=court.listener)
    assert found["status"] == "AVAILABLE"
    playlist = await court.town.fetch(found["playback"]["url"])
    assert playlist.status_code == 200, playlist.text
    name = next(line for line in playlist.text.splitlines() if line.startswith("#EXT-X-MAP"))
    media = await court.town.fetch(str(playlist.url.join(name.split('"')[1])))
    assert media.status_code == 200
    return media.content


async def states(court: Court, *recording_ids: str) -> list[str]:
    """Statuses as the host sees them."""
    return [(await court.of(one, "status", by=court.host))["status"] for one in recording_ids]


async def recorded_ms(host: Person, space_id: str, least_ms: int) -> int:
    """How long a live recording is, once it is at least so long."""
    async with asyncio.timeout(PATIENCE_S):
        while ((await host.recording(space_id, "durationMs"))["durationMs"] or 0) < least_ms:
            await asyncio.sleep(0.05)
    return int((await host.recording(space_id, "durationMs"))["durationMs"])


async def test_a_backup_of_a_running_server_is_a_whole_server_in_an_empty_folder(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "backup", tmp_path / "elsewhere"
    async with open_court(tmp_path / "data") as court:
        recording_id = await court.recorded()
        heard = await plays(court, recording_id)
        await back_up(court.town.data_dir, folder)
        await court.recorded()

    assert (folder.stat().st_mode & 0o777, (folder / "keys").stat().st_mode & 0o777) == (0o700, 0o700)
    status, printed = await restore(elsewhere, folder)

    assert status == 0, printed
    assert printed.rstrip().endswith("0 of them for you to look into.")
    # Also of the receipts that are yet to come, for their journal may be all that a lost machine leaves.
    assert (folder / "keys" / "receipts-1.jwk").is_file()
    assert {path.stat().st_mode & 0o777 for path in (elsewhere / "keys").iterdir()} == {0o600}
    async with reopened(elsewhere, court) as again:
        assert await plays(again, recording_id) == heard
        mine = await again.host.read("{ viewer { user { handle } } }")
        assert mine["viewer"]["user"]["handle"] == court.host.handle
        assert await again.recorded() != recording_id


async def test_what_was_deleted_after_the_backup_stays_deleted(tmp_path: Path) -> None:
    data_dir, folder = tmp_path / "data", tmp_path / "backup"
    async with open_court(data_dir) as court:
        deleted, taken_down, kept = [await court.recorded() for _ in range(3)]
        leaver = await court.town.person()
        space_id = await leaver.live_space(record=True)
        await leaver.do("endSpace", spaceId=space_id)
        left = (await leaver.recording(space_id, "id"))["id"]
        await back_up(data_dir, folder)
        await court.host.do("deleteRecording", recordingId=deleted)
        await court.report(taken_down)
        await court.decide(taken_down, "VIOLATION")
        await leaver.do("deleteAccount", password="correct horse")
        await court.town.round()
        gone = await court.of(deleted, "retention { reviewUntil }")

    refused, printed = await restore(data_dir, folder)
    assert (refused, "There is a database already" in printed) == (1, True)
    status, printed = await restore(data_dir, folder, "--replace")

    assert status == 0, printed
    for told in ("restored although DELETED", "restored although TAKEN_DOWN", "deleted: account"):
        assert told in printed
    async with reopened(data_dir, court) as again:
        assert await states(again, deleted, taken_down, left, kept) == [
            "DELETED", "TAKEN_DOWN", "DELETED", "AVAILABLE",
        ]  # fmt: skip
        assert await again.of(deleted, "retention { reviewUntil }") == gone
        leaver = replace(leaver, town=again.town)
        assert (await leaver.ask("{ viewer { user { handle } } }")).get("errors")
        name = "query($id: ID!) { user(id: $id) { handle } }"
        assert leaver.handle not in str(await again.town.anyone.ask(name, id=leaver.id))
        await again.town.round()
    status, printed = await spaces(data_dir, "audit", "verify")
    assert status == 0, printed


async def test_a_database_on_which_a_server_works_is_overwritten_from_no_folder(tmp_path: Path) -> None:
    data_dir, folder = tmp_path / "data", tmp_path / "backup"
    with databases.on("postgres"):
        async with open_court(data_dir) as court:
            recording_id = await court.recorded()
            await back_up(data_dir, folder)
            status, printed = await spaces(
                *(tmp_path / "rehearsal", "restore", str(folder), "--replace"),
                database_url=databases.url(data_dir),
            )
            assert (status, "at work on this database" in printed) == (1, True), printed
            assert await states(court, recording_id) == ["AVAILABLE"]


async def test_nothing_serves_from_a_folder_whose_restore_was_not_finished(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "restored").touch()
    for command in (["serve"], ["retention", "run"]):
        status, printed = await spaces(data_dir, *command)
        assert (status, printed.strip().endswith(REFUSAL)) == (1, True), printed
    assert not (data_dir / "recordings").exists()


@pytest.mark.long
async def test_a_restore_by_other_means_is_noticed_before_anything_is_served(tmp_path: Path) -> None:
    server, copy = Server(tmp_path), tmp_path / "copy"
    (tmp_path / "scratch").mkdir()
    async with open_court(server.data_dir) as court:
        recording_id = await court.recorded()
        databases.back_up(server.data_dir, copy)
        await court.host.do("deleteRecording", recordingId=recording_id)
        await court.town.round()
    databases.restore(server.data_dir, copy)

    for _ in range(2):
        command = await server.command("serve")
        printed, _ = await command.communicate()
        assert command.returncode == 1
        assert printed.decode().rstrip().endswith(REFUSAL)
    refused, printed_too = await spaces(server.data_dir, "retention", "run")
    assert (refused, printed_too.strip().endswith(REFUSAL)) == (1, True)
    status, mended = await spaces(server.data_dir, "doctor", "--after-restore")

    assert (status, "audit log is older than its head" in mended) == (0, True), mended
    try:
        await server.start()
    finally:
        await server.clean_up()
    async with reopened(server.data_dir, court) as again:
        assert await states(again, recording_id) == ["DELETED"]
        await again.town.round()
    assert (await spaces(server.data_dir, "audit", "verify"))[0] == 0


async def test_a_recording_that_was_purged_after_the_backup_stays_purged_on_another_machine(
    tmp_path: Path,
) -> None:
    """Of the machine that was lost, journals and keys alone were kept elsewhere."""
    data_dir, folder, elsewhere = tmp_path / "data", tmp_path / "backup", tmp_path / "elsewhere"
    async with open_court(data_dir) as court:
        recording_id = await court.recorded()
        await back_up(data_dir, folder)
        await court.host.do("deleteRecording", recordingId=recording_id)
        court.town.clock.move(timedelta(days=31))
        await court.town.round()
        assert await states(court, recording_id) == ["PURGED"]
    elsewhere.mkdir()
    for name in ("receipts.jws", "removals.jsonl"):
        shutil.copy(data_dir / name, elsewhere / name)
    # The key that has signed the receipt may be younger than the backup.
    shutil.copytree(data_dir / "keys", elsewhere / "keys")

    status, printed = await restore(elsewhere, folder)

    assert (status, "restored although purged" in printed) == (0, True), printed
    assert list((elsewhere / "recordings").iterdir()) == []
    async with reopened(elsewhere, court) as again:
        assert await states(again, recording_id) == ["PURGED"]


@pytest.mark.long
@pytest.mark.parametrize("fault", ["cut off", "bit", "missing", "list", "another", "not empty"])
async def test_a_backup_that_is_not_whole_or_not_ours_changes_nothing(tmp_path: Path, fault: str) -> None:
    data_dir, folder = tmp_path / "data", tmp_path / "backup"
    async with open_court(data_dir) as court:
        recording_id = await court.recorded()
        await back_up(data_dir, folder)
    programme = next((folder / "recordings").rglob("programme.mp4"))
    match fault:
        case "cut off":
            (folder / "backup.json").unlink()
        case "bit":
            data = bytearray(programme.read_bytes())
            data[99] ^= 1
            programme.write_bytes(data)
        case "missing":
            programme.unlink()
        case "list":
            sums = folder / "SHA256SUMS"
            sums.write_text(sums.read_text().replace("recordings/", "../../", 1))
        case "another":
            (data_dir / "keys" / "links.key").write_bytes(bytes(32))

    if fault == "not empty":
        status, printed = await spaces(data_dir, "backup", str(folder))
    else:
        before = sorted(data_dir.rglob("*"))
        status, printed = await restore(data_dir, folder, "--replace")
        assert sorted(data_dir.rglob("*")) == before

    told = {
        "cut off": "There is no finished backup",
        "bit": "is not what was backed up",
        "missing": "is missing from the backup",
        "list": "is not the list that was made with the backup",
        "another": "another installation's",
        "not empty": "is not empty",
    }
    assert (status, told[fault] in printed) == (1, True), printed
    async with open_town(data_dir, quiet=True) as town:
        assert await states(replace(court, town=town, host=replace(court.host, town=town)), recording_id)


@pytest.mark.long
async def test_a_recording_that_the_backup_caught_while_live_ends_where_it_was_caught(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    async with served_town(tmp_path / "first") as town:
        host = await town.person()
        space_id = await host.live_space(record=True)
        publisher = await host.publish(space_id, tone(frequency_hz=440, seconds=60))
        least_ms = await recorded_ms(host, space_id, 2000) - 1500
        await back_up(town.data_dir, folder)
        await host.do("endSpace", spaceId=space_id)
        await publisher.close()
    async with served_town(tmp_path / "second", SPACES_RECONNECT_WINDOW_S="1") as town:
        await town.server.stop()
        status, printed = await restore(town.data_dir, folder)
        assert status == 1, printed  # another server's: it has made keys of its own
        shutil.rmtree(town.data_dir)
        status, printed = await restore(town.data_dir, folder, "--replace")
        assert status == 0, printed
        await town.server.start()
        host = replace(host, town=town)
        await host.until(space_id, "AVAILABLE")
        found = await host.recording(space_id, "durationMs playback { url }")
        assert found["durationMs"] >= least_ms
        assert (await town.fetch(found["playback"]["url"])).status_code == 200


@pytest.mark.long
async def test_where_its_sound_is_still_there_a_recording_that_was_live_keeps_all_of_it(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "backup"
    async with served_town(tmp_path, SPACES_RECONNECT_WINDOW_S="1") as town:
        host = await town.person()
        space_id = await host.live_space(record=True)
        publisher = await host.publish(space_id, tone(frequency_hz=440, seconds=60))
        await recorded_ms(host, space_id, 1000)
        await back_up(town.data_dir, folder)
        whole_ms = await recorded_ms(host, space_id, 4000)
        await host.do("endSpace", spaceId=space_id)
        await publisher.close()
        await town.server.stop()
        status, printed = await restore(town.data_dir, folder, "--replace")
        assert status == 0, printed
        await town.server.start()
        await host.until(space_id, "AVAILABLE")
        assert (await host.recording(space_id, "durationMs"))["durationMs"] >= whole_ms


@pytest.mark.long
async def test_what_is_purged_while_the_backup_is_made_comes_back_whole_or_not_at_all(tmp_path: Path) -> None:
    data_dir, folder, elsewhere = tmp_path / "data", tmp_path / "backup", tmp_path / "elsewhere"
    async with open_court(data_dir) as court:
        ids = [await court.recorded() for _ in range(40)]
        for one in ids[::2]:
            await court.host.do("deleteRecording", recordingId=one)
        court.town.clock.move(timedelta(days=30) + timedelta(seconds=30))
        await asyncio.gather(back_up(data_dir, folder), court.town.round())
        assert await states(court, *ids[::2]) == ["PURGED"] * 20

    status, printed = await restore(elsewhere, folder)

    assert status == 0, printed
    async with reopened(elsewhere, court) as again:
        found = await states(again, *ids)
        there = {again.folder(one) for one in ids if again.folder(one).exists()}
    assert set(found[1::2]) <= {"AVAILABLE", "EXPIRED"}
    assert set(found[::2]) <= {"DELETED", "PURGED"}
    assert there == {again.folder(one) for one, state in zip(ids, found, strict=True) if state != "PURGED"}
