"""Recordings in an object store: carried there when they are over, played from there, destroyed there with proof."""

import asyncio
import hashlib
import io
import zipfile
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError
from rich.console import Console

from api.bucket import StoreElsewhere, ask_bucket, remembered_bucket
from api.move_command import NothingToMove, move
from media.shelf import PART_BYTES
from models.purge_receipt import PurgeReceipt
from models.recording import Recording
from tests.product.s3 import ObjectStore
from tests.product.stored import (
    FILES,
    folder,
    lengthen,
    make_recordings,
    parts_of,
    play,
    porter_round,
    recorded,
    stored_town,
)
from tests.product.town import PATIENCE_S, open_town, settings_for
from tests.product.voices import uuid_of
from workers.porter import Porter


async def test_a_recording_plays_on_while_it_moves_from_the_spool_into_the_store(
    tmp_path: Path, store: ObjectStore
) -> None:
    async with stored_town(tmp_path, store) as (town, bucket):
        host, space_id, recording = await recorded(town)
        from_spool = await play(town, host, space_id)
        assert folder(town, recording).exists()
        assert await porter_round(town)

        assert not folder(town, recording).exists()
        assert set(store.keys(bucket)) == {f"talks/{recording.id}/{name}" for name in FILES}
        assert await play(town, host, space_id) == from_spool
        made = await host.recording(
            space_id,
            "playback { url } download { url } archive { url } waveform(points: 5) speakerTurns { edges"
            " { cursor } }",
        )
        part = await town.fetch(
            made["playback"]["url"].replace("index.m3u8", "programme.mp4"), Range="bytes=700-899"
        )
        assert (part.status_code, part.content) == (206, from_spool[1][700:900])
        assert (await town.fetch(made["download"]["url"])).content == from_spool[1]
        one_file = await town.fetch(made["playback"]["url"].replace("index.m3u8", "recording.m4a"))
        assert one_file.content == from_spool[1]
        with zipfile.ZipFile(io.BytesIO((await town.fetch(made["archive"]["url"])).content)) as archive:
            assert archive.read("programme.mp4") == from_spool[1]
        assert made["waveform"] == [0] * 5


@pytest.mark.long
async def test_a_deletion_stops_playback_from_the_store_at_the_next_request(
    tmp_path: Path, store: ObjectStore
) -> None:
    async with stored_town(tmp_path, store) as (town, bucket):
        host, space_id, recording = await recorded(town)
        await porter_round(town)
        made = await host.recording(space_id, "id playback { url }")
        assert (await town.fetch(made["playback"]["url"])).status_code == 200

        await host.do("deleteRecording", recordingId=made["id"])

        for name in ("index.m3u8", "programme.mp4", "recording.m4a"):
            gone = await town.fetch(made["playback"]["url"].replace("index.m3u8", name))
            assert gone.status_code == 410
        moderator = await town.moderator()
        opened = await moderator.do(
            "openReviewCopy", "playback { url }", recordingId=made["id"], reason="to look"
        )
        review = await town.fetch(opened["playback"]["url"])
        assert review.status_code == 200
        assert f"talks/{recording.id}/programme.mp4" in store.keys(bucket)


@pytest.mark.parametrize(
    "versions", [pytest.param(False, marks=pytest.mark.long, id="plain"), pytest.param(True, id="versioned")]
)
async def test_a_purge_leaves_no_version_marker_or_half_an_upload_in_the_store(
    tmp_path: Path, store: ObjectStore, versions: bool
) -> None:
    async with stored_town(tmp_path, store, versions=versions) as (town, bucket):
        host, space_id, recording = await recorded(town)
        _, _, other = await recorded(town)
        await porter_round(town)
        key = f"talks/{recording.id}/programme.mp4"
        store.client.create_multipart_upload(Bucket=bucket, Key=f"talks/{recording.id}/tracks/1.opus")
        if versions:
            body = store.client.get_object(Bucket=bucket, Key=key)["Body"].read()
            store.client.put_object(Bucket=bucket, Key=key, Body=body)
            store.client.delete_object(Bucket=bucket, Key=f"talks/{recording.id}/peaks.bin")
        digests = sorted(
            hashlib.sha256(
                store.client.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])[
                    "Body"
                ].read()
            ).hexdigest()
            for one in store.client.list_object_versions(Bucket=bucket, Prefix=f"talks/{recording.id}/")[
                "Versions"
            ]
        )

        await host.do("deleteRecording", recordingId=(await host.recording(space_id, "id"))["id"])
        town.clock.move(timedelta(days=30, seconds=1))
        await town.round()

        purged = await Recording.get(id=recording.id)
        assert purged.status == "PURGED"
        assert [one for one in store.everything(bucket) if str(recording.id) in one] == []
        assert f"talks/{other.id}/programme.mp4" in store.keys(bucket)
        receipt = await PurgeReceipt.get(recording_id=recording.id)
        assert receipt.sha256 == hashlib.sha256("".join(digests).encode()).hexdigest()


@pytest.mark.long
async def test_players_are_sent_to_the_store_for_a_minute_at_most_and_never_for_what_is_hidden(
    tmp_path: Path, store: ObjectStore
) -> None:
    async with stored_town(tmp_path, store, store_link_s=60) as (town, _):
        host, space_id, _ = await recorded(town)
        made = await host.recording(space_id, "id playback { url }")
        url = made["playback"]["url"].replace("index.m3u8", "programme.mp4")
        spooled = await town.fetch(url)
        assert spooled.status_code == 200
        await porter_round(town)

        sent = await town.fetch(url, Range="bytes=0-99")
        assert sent.status_code == 307
        assert sent.headers["Cache-Control"] == "private, no-store"
        assert parse_qs(urlsplit(sent.headers["Location"]).query)["X-Amz-Expires"] == ["60"]
        part = await town.fetch(sent.headers["Location"], Range="bytes=0-99")
        assert (part.status_code, part.content) == (206, spooled.content[:100])
        assert part.headers["Content-Type"] == "audio/mp4"
        assert (await host.recording(space_id, "playCount"))["playCount"] == 1

        await host.do("trimRecording", recordingId=made["id"], startOffsetMs=990)
        assert (await town.fetch(url)).status_code == 200
        await host.do("deleteRecording", recordingId=made["id"])
        assert (await town.fetch(url)).status_code == 410
        opened = await (await town.moderator()).do(
            "openReviewCopy", "playback { url }", recordingId=made["id"], reason="to look"
        )
        review = opened["playback"]["url"].replace("index.m3u8", "programme.mp4")
        assert (await town.fetch(review)).status_code == 200


@pytest.mark.long
@pytest.mark.parametrize("versions", [False, True], ids=["plain", "versioned"])
async def test_a_long_recording_goes_in_parts_and_comes_back_whole(
    tmp_path: Path, store: ObjectStore, versions: bool
) -> None:
    async with stored_town(tmp_path, store, versions=versions) as (town, bucket):
        host, space_id, recording = await recorded(town)
        lengthen(folder(town, recording), 3)
        data = (folder(town, recording) / "programme.mp4").read_bytes()
        assert len(data) > 3 * PART_BYTES
        assert await porter_round(town)

        _, whole = await play(town, host, space_id)
        assert whole == data
        await host.do("deleteRecording", recordingId=(await host.recording(space_id, "id"))["id"])
        town.clock.move(timedelta(days=31))
        await town.round()
        assert store.everything(bucket) == []


@pytest.mark.long
@pytest.mark.parametrize("how", ["unbroken", "restarted", "store was down", "deleted"])
async def test_a_long_recording_is_carried_while_it_is_live_and_is_whole_at_its_end(
    tmp_path: Path, store: ObjectStore, how: str
) -> None:
    async with stored_town(tmp_path, store) as (town, bucket):
        host = await town.person()
        space_id = await host.live_space(record=True)
        recording = await Recording.get(space_id=uuid_of(space_id))
        porter = Porter(town.built.house, interval_s=3600)
        lengthen(folder(town, recording), 2)
        await porter.round()
        await parts_of(store, bucket, 2)
        if how == "restarted":
            await porter.stop()
            porter = Porter(town.built.house, interval_s=3600)
        if how == "store was down":
            store.tell("down")
        lengthen(folder(town, recording), 2)
        await porter.round()
        if how == "store was down":
            store.tell("up")
        else:
            await parts_of(store, bucket, 4)
        assert store.keys(bucket) == []
        if how == "deleted":
            await host.do("deleteRecording", recordingId=(await host.recording(space_id, "id"))["id"])
        else:
            await host.do("endSpace", spaceId=space_id)
        data = (folder(town, recording) / "programme.mp4").read_bytes()

        async with asyncio.timeout(PATIENCE_S):
            while folder(town, recording).exists():
                await porter.round()

        key = f"talks/{recording.id}/programme.mp4"
        assert store.client.get_object(Bucket=bucket, Key=key)["Body"].read() == data
        assert len(store.everything(bucket)) == len(FILES)
        await porter.stop()


@pytest.mark.long
async def test_who_listens_while_a_recording_moves_into_the_store_misses_no_byte(
    tmp_path: Path, store: ObjectStore
) -> None:
    async with stored_town(tmp_path, store) as (town, _):
        host, space_id, recording = await recorded(town)
        expected = await play(town, host, space_id)
        made = await host.recording(space_id, "playback { url }")
        over = asyncio.Event()
        heard = []

        async def listen() -> None:
            while not over.is_set():
                heard.append(await play(town, host, space_id))
                one_file = await town.fetch(made["playback"]["url"].replace("index.m3u8", "recording.m4a"))
                assert one_file.content == expected[1]

        async with asyncio.TaskGroup() as listeners:
            for _ in range(4):
                listeners.create_task(listen())
            await asyncio.sleep(0)
            assert await porter_round(town)
            while len(heard) < 40:
                await asyncio.sleep(0.01)
            over.set()
        assert not folder(town, recording).exists()
        assert set(heard) == {expected}


async def test_a_server_that_has_recordings_in_a_store_starts_with_no_other_and_not_without(
    tmp_path: Path, store: ObjectStore
) -> None:
    bucket = store.bucket()
    named = settings_for(tmp_path / "data", 1, **store.settings(bucket))
    assert remembered_bucket(named) is not None
    assert ask_bucket(named)[0] == ""
    for other in (
        settings_for(tmp_path / "data", 1),
        settings_for(tmp_path / "data", 1, **store.settings("another")),
    ):
        with pytest.raises(StoreElsewhere, match=bucket):
            remembered_bucket(other)
        assert bucket in ask_bucket(other)[0]
    (tmp_path / "data" / "store").unlink()
    assert "NoSuchBucket" in ask_bucket(settings_for(tmp_path / "data", 1, **store.settings("another")))[0]


async def test_recordings_alone_move_into_a_store_and_the_data_folder_keeps_its_copies_until_they_are_served(
    tmp_path: Path, store: ObjectStore
) -> None:
    folder, bucket = tmp_path / "data", store.bucket()
    await make_recordings(folder, 3)
    told = Console(file=io.StringIO())
    with pytest.raises(NothingToMove):
        await move(settings_for(folder, 1), told)

    assert await move(settings_for(folder, 1, **store.settings(bucket)), told)

    assert len(store.keys(bucket)) == 3 * 5
    assert len(list((folder / "recordings").iterdir())) == 3
    async with open_town(folder, quiet=True, **store.settings(bucket)):
        async with asyncio.timeout(PATIENCE_S):
            while list((folder / "recordings").iterdir()):
                await asyncio.sleep(0.02)
        assert len(store.keys(bucket)) == 3 * 5


@pytest.mark.parametrize("folder", ["a//b", "a/../b", "./a", "a#b", "a?b"])
def test_a_folder_that_could_be_read_in_two_ways_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ValidationError, match="SPACES_STORE_URL"):
        settings_for(tmp_path, 1, store_url=f"s3://talks/{folder}", store_key_id="key", store_secret="secret")
