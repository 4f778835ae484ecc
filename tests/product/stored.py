"""What tests of the object store have in common: a server that keeps recordings there, and recordings."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from media.mp4 import PART_FRAMES
from media.shelf import PART_BYTES
from media.store import RecordingStore
from models import database
from models.fields import to_ms
from models.recording import Recording, RecordingStatus
from models.space import Space, SpaceState
from services.changes import new_id
from tests.product.quiet_engine import write_recording
from tests.product.s3 import ObjectStore
from tests.product.town import PATIENCE_S, MovableClock, Person, Town, open_town, settings_for
from tests.product.voices import uuid_of
from workers.porter import Porter

FILES = {"programme.mp4", "programme.m3u8", "journal.jsonl", "peaks.bin", "manifest.json"}


@asynccontextmanager
async def stored_town(
    tmp_path: Path, store: ObjectStore, *, versions: bool = False, folder: str = "talks", **changes: Any
) -> AsyncIterator[tuple[Town, str]]:
    bucket = store.bucket(versions=versions)
    settings = {**store.settings(bucket, folder=folder), **changes}
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


async def make_recordings(folder: Path, count: int) -> None:
    """So many recordings that are over, with tiny files, and their Spaces."""
    clock = MovableClock()
    settings = settings_for(folder, 1)
    template = folder / "recordings" / "template"
    now = clock.now()
    facts = write_recording(template, at_ms=to_ms(now))
    await database.connect(settings.database)
    spaces, recordings = [], []
    for number in range(count):
        space = Space(
            id=new_id(), host_id=new_id(), title=f"Talk {number}", state=SpaceState.ENDED,
            created_at=now, ended_at=now,
        )  # fmt: skip
        recording = Recording(
            id=new_id(), space_id=space.id, host_id=space.host_id, status=RecordingStatus.AVAILABLE,
            created_at=now + timedelta(milliseconds=number), started_at=now, ended_at=now,
            expires_at=now + timedelta(days=30), policy_version=1, duration_ms=facts.duration_ms,
            size_bytes=facts.size_bytes, gaps=[{"from_ms": number, "to_ms": number + 1, "cause": "RESTART"}],
        )  # fmt: skip
        spaces.append(space)
        recordings.append(recording)
        shutil.copytree(template, folder / "recordings" / str(recording.id))
    shutil.rmtree(template)
    await Space.bulk_create(spaces, batch_size=500)
    await Recording.bulk_create(recordings, batch_size=500)
    await database.close()
