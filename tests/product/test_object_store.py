"""Recordings in an object store: carried there when they are over, played from there, destroyed there with proof."""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from api.bucket import StoreElsewhere, ask_bucket, remembered_bucket
from media.bucket import Bucket
from media.mp4 import PART_FRAMES
from media.shelf import PART_BYTES
from media.store import RecordingStore
from models.audit_entry import AuditEntry
from models.purge_receipt import PurgeReceipt
from models.recording import Recording, RecordingStatus
from services import reconcile
from services.purge import Border
from tests.product.s3 import ObjectStore, object_store
from tests.product.town import PATIENCE_S, Person, Town, open_town, settings_for
from tests.product.voices import uuid_of
from workers.porter import Porter
from workers.timetable import Timetable

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
@pytest.mark.parametrize("status", [500, 503, 403])
async def test_a_store_that_refuses_costs_no_byte_and_answers_503(
    tmp_path: Path, store: ObjectStore, status: int
) -> None:
    async with stored_town(tmp_path, store) as (town, _):
        host, space_id, recording = await recorded(town)
        store.tell(f"fail {status}")
        assert not await porter_round(town)
        assert folder(town, recording).exists()
        whole = await play(town, host, space_id)

        store.tell("fine")
        assert await porter_round(town)
        store.tell(f"fail {status}")
        made = await host.recording(space_id, "playback { url } waveform(points: 1)")
        assert made["waveform"] == []
        answer = await town.fetch(made["playback"]["url"].replace("index.m3u8", "programme.mp4"))
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        store.tell("fine")
        assert await play(town, host, space_id) == whole


@pytest.mark.long
async def test_bytes_that_the_store_got_wrong_never_replace_the_spool(
    tmp_path: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stored_town(tmp_path, store) as (town, bucket):
        host, space_id, recording = await recorded(town)
        put = Bucket.put

        async def torn(self: Bucket, name: str, data: bytes, *, kind: str) -> None:
            await put(self, name, data[:-1] if name.endswith("peaks.bin") else data, kind=kind)

        with monkeypatch.context() as patched:
            patched.setattr(Bucket, "put", torn)
            assert not await porter_round(town)
        assert folder(town, recording).exists()
        assert f"talks/{recording.id}/manifest.json" not in store.keys(bucket)
        assert await porter_round(town)
        assert not folder(town, recording).exists()
        await play(town, host, space_id)


@pytest.mark.long
async def test_a_purge_and_an_upload_of_one_recording_never_cross(tmp_path: Path, store: ObjectStore) -> None:
    async with stored_town(tmp_path, store) as (town, bucket):
        host, space_id, recording = await recorded(town)
        await host.do("deleteRecording", recordingId=(await host.recording(space_id, "id"))["id"])
        town.clock.move(timedelta(days=31))
        store.tell("slow 0.05")
        # Each round tries both; whoever has the lease goes on, and the other leaves it alone.
        for _ in range(4):
            await asyncio.gather(porter_round(town), town.round())
            town.clock.move(timedelta(minutes=2))
        assert (await Recording.get(id=recording.id)).status == "PURGED"
        assert store.everything(bucket) == []
        assert not folder(town, recording).exists()


@pytest.mark.long
async def test_what_was_cut_off_on_its_way_is_carried_again_and_leaves_no_half_upload(
    tmp_path: Path, store: ObjectStore
) -> None:
    async with stored_town(tmp_path, store) as (town, bucket):
        _, _, recording = await recorded(town)
        programme = folder(town, recording) / "programme.mp4"
        # As a server that was killed leaves it.
        left = store.client.create_multipart_upload(Bucket=bucket, Key=f"talks/{recording.id}/programme.mp4")
        store.client.upload_part(
            Bucket=bucket,
            Key=f"talks/{recording.id}/programme.mp4",
            UploadId=left["UploadId"],
            PartNumber=1,
            Body=programme.read_bytes(),
        )
        await Recording.filter(id=recording.id).update(
            lease_owner="killed", lease_until=town.clock.now() + timedelta(seconds=60)
        )
        assert await porter_round(town)
        assert folder(town, recording).exists()

        town.clock.move(timedelta(seconds=61))
        assert await porter_round(town)
        assert not folder(town, recording).exists()
        assert len(store.everything(bucket)) == len(FILES)


@pytest.mark.long
async def test_bytes_of_nobody_in_the_store_are_told_and_those_of_a_purged_recording_removed(
    tmp_path: Path, store: ObjectStore
) -> None:
    async with stored_town(tmp_path, store) as (town, bucket):
        host, space_id, recording = await recorded(town)
        await porter_round(town)
        stray = f"talks/{uuid4()}/programme.mp4"
        store.client.put_object(Bucket=bucket, Key=stray, Body=b"sound")
        await host.do("deleteRecording", recordingId=(await host.recording(space_id, "id"))["id"])
        town.clock.move(timedelta(days=31))
        await town.round()
        store.client.put_object(Bucket=bucket, Key=f"talks/{recording.id}/programme.mp4", Body=b"sound")
        store.client.create_multipart_upload(Bucket=bucket, Key=f"talks/{recording.id}/half.opus")

        findings = await reconcile.reconcile(town.built.house)

        assert {(one.kind, one.mended) for one in findings} == {
            ("bytes without a recording", False),
            ("purged recording had bytes", True),
        }
        assert store.everything(bucket) == [stray]


@pytest.mark.long
async def test_a_row_that_knows_of_no_audio_never_costs_the_store_what_it_has(
    tmp_path: Path, store: ObjectStore
) -> None:
    async with stored_town(tmp_path, store) as (town, bucket):
        _, _, recording = await recorded(town)
        await porter_round(town)
        # As a database restored from before its first sound, without the spool of that day.
        await Recording.filter(id=recording.id).update(
            status=RecordingStatus.FAILED, started_at=None, size_bytes=0, expires_at=None
        )
        found = await reconcile.reconcile(town.built.house)
        assert [(one.kind, one.mended) for one in found] == [("recording without audio has some", False)]
        assert len(store.keys(bucket)) == len(FILES)


@pytest.mark.long
async def test_a_recording_that_the_store_lost_is_told_and_given_back_when_it_is_there_again(
    tmp_path: Path, store: ObjectStore
) -> None:
    async with stored_town(tmp_path, store) as (town, bucket):
        host, space_id, recording = await recorded(town)
        await porter_round(town)
        key = f"talks/{recording.id}/programme.mp4"
        body = store.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        store.client.delete_object(Bucket=bucket, Key=key)
        store.tell("down")
        away = await reconcile.reconcile(town.built.house)
        assert {one.kind for one in away} == {reconcile.STORE_AWAY}
        assert (await host.recording(space_id, "status"))["status"] == "AVAILABLE"

        store.tell("up")
        [lost] = await reconcile.reconcile(town.built.house)
        assert lost.kind == reconcile.WITHOUT_BYTES
        assert (await host.recording(space_id, "status"))["status"] == "FAILED"

        store.client.put_object(Bucket=bucket, Key=key, Body=body)
        await reconcile.reconcile(town.built.house)
        assert (await host.recording(space_id, "status"))["status"] == "AVAILABLE"
        await play(town, host, space_id)


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
async def test_a_slow_store_holds_up_neither_the_end_of_a_space_nor_other_playback(
    tmp_path: Path, store: ObjectStore
) -> None:
    async with stored_town(tmp_path, store) as (town, _):
        first, first_space, _ = await recorded(town)
        await porter_round(town)
        made = await first.recording(first_space, "playback { url }")
        store.tell("slow 2")
        await recorded(town)
        carrying = asyncio.create_task(porter_round(town))
        waiting = asyncio.create_task(town.fetch(made["playback"]["url"]))
        host, space_id, _ = await recorded(town)
        await play(town, host, space_id)
        assert (await waiting).status_code == 200
        store.tell("fine")
        assert await carrying


def lengthen(directory: Path, parts: int) -> None:
    """Let a recording be so many parts of an upload longer."""
    writing = RecordingStore(directory)
    writing.open()
    for _ in range(parts * PART_BYTES // (1000 * PART_FRAMES) + 1):
        writing.append([bytes(1000)] * PART_FRAMES)
    writing.end_fragment()
    writing.close()


async def parts_of(store: ObjectStore, bucket: str, count: int) -> None:
    """Wait until an unfinished upload has so many parts."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            uploads = store.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
            if len(uploads) == 1:
                # It may just be called off, for another one.
                with suppress(store.client.exceptions.NoSuchUpload):
                    found = store.client.list_parts(
                        Bucket=bucket, Key=uploads[0]["Key"], UploadId=uploads[0]["UploadId"]
                    )
                    if len(found.get("Parts", [])) >= count:
                        return
            await asyncio.sleep(0.05)


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


class CutOff(BaseException):
    """As a worker that is killed there."""


@pytest.mark.long
@pytest.mark.parametrize("border", list(Border))
async def test_a_purge_that_is_cut_off_at_any_border_ends_the_same_in_the_store(
    tmp_path: Path, store: ObjectStore, border: Border
) -> None:
    async with stored_town(tmp_path, store, versions=True) as (town, bucket):
        host, space_id, recording = await recorded(town)
        await porter_round(town)
        there = store.client.list_object_versions(Bucket=bucket)["Versions"]
        await host.do("deleteRecording", recordingId=(await host.recording(space_id, "id"))["id"])
        town.clock.move(timedelta(days=31))

        def cut_off(passed: str) -> None:
            if passed == border:
                raise CutOff

        house = replace(town.built.house, border=cut_off)
        with pytest.raises(CutOff):
            await Timetable(house, interval_s=3600, owns_rooms=False).clocks()
        town.clock.move(timedelta(seconds=61))
        await town.round()

        assert store.everything(bucket) == []
        assert (await Recording.get(id=recording.id)).status == "PURGED"
        assert (await PurgeReceipt.get(recording_id=recording.id)).size_bytes == sum(
            one["Size"] for one in there
        )
        assert await AuditEntry.filter(action="recording.purged").count() == 1


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
