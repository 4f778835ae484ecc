"""An object store that is down, slow, out of order or wrong: nothing is lost, and nothing told before it is so."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from media.bucket import Bucket
from models.audit_entry import AuditEntry
from models.purge_receipt import PurgeReceipt
from models.recording import Recording, RecordingStatus
from services import reconcile
from services.purge import Border
from tests.product.s3 import ObjectStore
from tests.product.stored import (
    FILES,
    folder,
    play,
    porter_round,
    recorded,
    stored_town,
)
from workers.timetable import Timetable

pytestmark = pytest.mark.long


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


@pytest.mark.parametrize("odd", ["", "versionless", "minio"], ids=["versioned", "versionless", "minio"])
async def test_a_purge_finds_what_bears_a_strange_name_and_what_a_store_hardly_tells(
    tmp_path: Path, store: ObjectStore, odd: str
) -> None:
    async with stored_town(tmp_path, store, folder="a%20b/ü~+", versions=not odd) as (town, bucket):
        host, space_id, recording = await recorded(town)
        await porter_round(town)
        folder_of = f"a%20b/ü~+/{recording.id}/"
        assert set(store.keys(bucket)) == {folder_of + name for name in FILES}
        # A console makes a folder by an object whose name ends in a slash.
        for name in ("", "a%2Fb#c?d", "tracks/"):
            store.client.put_object(Bucket=bucket, Key=f"{folder_of}{name}", Body=b"sound")
        store.client.create_multipart_upload(Bucket=bucket, Key=f"{folder_of}programme.mp4")
        other = f"a%20b/ü~+/{uuid4()}"
        store.client.put_object(Bucket=bucket, Key=other, Body=b"sound")
        store.tell(f"odd {odd}")

        await host.do("deleteRecording", recordingId=(await host.recording(space_id, "id"))["id"])
        town.clock.move(timedelta(days=31))
        await town.round()

        assert (await Recording.get(id=recording.id)).status == "PURGED"
        store.tell("fine")
        assert store.everything(bucket) == [other]


async def test_a_page_of_somebody_else_in_the_place_of_the_store_proves_nothing(
    tmp_path: Path, store: ObjectStore
) -> None:
    async with stored_town(tmp_path, store) as (town, bucket):
        host, space_id, recording = await recorded(town)
        await porter_round(town)
        before = store.everything(bucket)
        made = await host.recording(space_id, "id playback { url }")
        store.tell("odd page")

        answer = await town.fetch(made["playback"]["url"].replace("index.m3u8", "programme.mp4"))
        assert (answer.status_code, b"Sign in" in answer.content) == (503, False)
        await host.do("deleteRecording", recordingId=made["id"])
        town.clock.move(timedelta(days=31))
        await town.round()
        assert (await Recording.get(id=recording.id)).status == "DELETED"
        assert {one.kind for one in await reconcile.reconcile(town.built.house)} == {reconcile.STORE_AWAY}
        _, _, waits = await recorded(town)
        assert not await porter_round(town)
        assert folder(town, waits).exists()

        store.tell("fine")
        assert store.everything(bucket) == before
        town.clock.move(timedelta(minutes=2))
        await town.round()
        assert (await Recording.get(id=recording.id)).status == "PURGED"
        assert store.everything(bucket) == []


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


class CutOff(BaseException):
    """As a worker that is killed there."""


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
