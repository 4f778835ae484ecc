"""Recordings in an object store: carried there when they are over, played from there, destroyed there with proof."""

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.purge_receipt import PurgeReceipt
from models.recording import Recording
from tests.product.s3 import ObjectStore, object_store
from tests.product.town import Person, Town, open_town
from tests.product.voices import uuid_of
from workers.porter import Porter

FILES = {"programme.mp4", "programme.m3u8", "journal.jsonl", "peaks.bin", "manifest.json"}


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _fine(store: ObjectStore) -> Iterator[None]:
    yield
    store.tell("up")
    store.tell("fine")


@asynccontextmanager
async def stored_town(
    tmp_path: Path, store: ObjectStore, *, versions: bool = False, **changes: Any
) -> AsyncIterator[tuple[Town, str]]:
    bucket = store.bucket(versions=versions)
    settings = {**store.settings(bucket), **changes}
    async with open_town(tmp_path / "data", quiet=True, **settings) as town:
        yield town, bucket


async def porter_round(town: Town) -> bool:
    return await Porter(town.built.house, interval_s=3600).round()


async def recorded(town: Town) -> tuple[Person, str, Recording]:
    """A Space of somebody new that is over, and its recording."""
    host = await town.person()
    space_id = await host.live_space(record=True)
    await host.do("endSpace", spaceId=space_id)
    return host, space_id, await Recording.get(space_id=uuid_of(space_id))


def folder(town: Town, recording: Recording) -> Path:
    return town.data_dir / "recordings" / str(recording.id)


async def play(town: Town, host: Person, space_id: str) -> tuple[str, bytes]:
    """The playlist of a recording, and all its bytes."""
    made = await host.recording(space_id, "playback { url }")
    playlist = await town.fetch(made["playback"]["url"])
    assert playlist.status_code == 200, playlist.text
    whole = await town.fetch(made["playback"]["url"].replace("index.m3u8", "programme.mp4"))
    assert whole.status_code == 200, whole.text
    return playlist.text, whole.content


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


@pytest.mark.parametrize("versions", [False, True], ids=["plain", "versioned"])
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


async def test_a_store_that_is_down_delays_uploads_and_purges_and_neither_is_reported_before_it_is_done(
    tmp_path: Path, store: ObjectStore
) -> None:
    async with stored_town(tmp_path, store) as (town, bucket):
        kept, kept_space, shelved = await recorded(town)
        await porter_round(town)
        store.tell("down")
        host, space_id, recording = await recorded(town)

        assert not await porter_round(town)
        await play(town, host, space_id)
        url = (await kept.recording(kept_space, "playback { url }"))["playback"]["url"]
        away = await town.fetch(url)
        assert away.status_code == 503
        assert int(away.headers["Retry-After"]) >= 1
        await kept.do("deleteRecording", recordingId=(await kept.recording(kept_space, "id"))["id"])
        town.clock.move(timedelta(days=31))
        await town.round()
        assert (await Recording.get(id=shelved.id)).status == "DELETED"
        metrics = (await town.http.get("/metrics")).text
        for line in ("spaces_store_up 0.0", "spaces_store_waiting 1.0", "spaces_purges_overdue 1.0"):
            assert line in metrics

        store.tell("up")
        town.clock.move(timedelta(minutes=2))
        assert await porter_round(town)
        await town.round()
        assert (await Recording.get(id=shelved.id)).status == "PURGED"
        assert {key.split("/")[1] for key in store.everything(bucket)} == {str(recording.id)}
        metrics = (await town.http.get("/metrics")).text
        for line in ("spaces_store_up 1.0", "spaces_store_waiting 0.0", "spaces_purges_overdue 0.0"):
            assert line in metrics
