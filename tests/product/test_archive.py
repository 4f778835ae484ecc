"""The host's archive: programme, tracks and timeline; and who spoke when."""

import asyncio
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.account import Account
from models.block import Block
from services.changes import change, new_id
from tests.media.publisher import tone
from tests.media.sound import decode, tone_level_db
from tests.product.town import Person, Town

TURNS = "speakerTurns { edges { cursor node { startMs endMs user { handle } } } pageInfo { hasNextPage } }"


@dataclass(frozen=True)
class Conversation:
    """`apart_ms`: how much later the guest began."""

    host: Person
    guest: Person
    space: str
    apart_ms: float


async def conversation(town: Town) -> Conversation:
    """The host speaks for 1.5 s, the guest about a second later for 1 s."""
    host, guest = await town.person("host"), await town.person("guest")
    space = await host.live_space(record=True)
    await guest.speak_in(space, host)
    silence = np.zeros(16_000, np.float32)
    first = await host.publish(space, np.concatenate([tone(frequency_hz=440, seconds=1.5), silence]))
    await asyncio.sleep(1)
    second = await guest.publish(space, np.concatenate([tone(frequency_hz=1000, seconds=1), silence]))
    await second.play_to_end()
    await asyncio.sleep(0.3)
    # Ended while both are there: between the last one's going and the end there would be a gap.
    await host.do("endSpace", spaceId=space)
    for publisher in (first, second):
        await publisher.close()
    assert first.track._started_s is not None
    assert second.track._started_s is not None
    return Conversation(host, guest, space, (second.track._started_s - first.track._started_s) * 1000)


def onset_ms(path: Path, frequency_hz: float) -> float:
    sound = decode(path)
    window = 480
    levels = [
        tone_level_db(sound[at : at + 2 * window], frequency_hz=frequency_hz, reference=0.2)
        for at in range(0, len(sound) - 2 * window, window)
    ]
    return next(number for number, level in enumerate(levels) if level > -6) * window / 48


async def turns(person: Person, space: str) -> Any:
    return (await person.recording(space, TURNS))["speakerTurns"]


async def test_the_host_takes_everything_home_in_step(town: Town, tmp_path: Path) -> None:
    talk = await conversation(town)
    host, guest, space = talk.host, talk.guest, talk.space
    recording = await host.recording(space, "id archive { url mimeType }")
    assert recording["archive"]["mimeType"] == "application/zip"
    fetched = await town.fetch(recording["archive"]["url"])
    assert fetched.status_code == 200
    assert "no-store" in fetched.headers["Cache-Control"]
    with zipfile.ZipFile(io.BytesIO(fetched.content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [
            "programme.mp4",
            "timeline.json",
            "tracks/guest.opus",
            "tracks/host.opus",
        ]
        assert {item.compress_type for item in archive.infolist()} == {zipfile.ZIP_STORED}
        archive.extractall(tmp_path)
    programme = tmp_path / "programme.mp4"
    for handle, frequency_hz in (("host", 440), ("guest", 1000)):
        apart = onset_ms(tmp_path / f"tracks/{handle}.opus", frequency_hz) - onset_ms(programme, frequency_hz)
        assert abs(apart) <= 20
    timeline = json.loads((tmp_path / "timeline.json").read_bytes())
    assert [turn["handle"] for turn in timeline["turns"]] == ["host", "guest"]
    assert timeline["gaps"] == []

    assert (await guest.recording(space, "archive { url }"))["archive"] is None
    forged = recording["archive"]["url"].replace("/archives/", "/downloads/").replace(".zip", ".mp4")
    assert (await town.fetch(forged)).status_code in {403, 404}
    await host.do("deleteRecording", recordingId=recording["id"])
    assert (await town.fetch(recording["archive"]["url"])).status_code == 410


async def test_who_spoke_when_is_told_in_order_and_in_pages(town: Town) -> None:
    talk = await conversation(town)
    host, guest, space = talk.host, talk.guest, talk.space
    told = await turns(town.anyone, space)
    (first, second) = [edge["node"] for edge in told["edges"]]
    assert (first["user"]["handle"], second["user"]["handle"]) == ("host", "guest")
    assert first["startMs"] <= 100
    # 300 ms of hang-over are part of a turn; a machine that is late makes it longer.
    assert 1600 <= first["endMs"] <= 2600
    assert abs(second["startMs"] - talk.apart_ms) <= 800
    assert 1100 <= second["endMs"] - second["startMs"] <= 2100

    page = await town.anyone.recording(
        space, "speakerTurns(first: 1) { edges { cursor } pageInfo { hasNextPage endCursor } }"
    )
    assert page["speakerTurns"]["pageInfo"]["hasNextPage"]
    after = page["speakerTurns"]["pageInfo"]["endCursor"]
    rest = await town.anyone.recording(
        space, f'speakerTurns(after: "{after}") {{ edges {{ node {{ user {{ handle }} }} }} }}'
    )
    assert rest["speakerTurns"]["edges"] == [{"node": {"user": {"handle": "guest"}}}]

    blocked = await town.person()
    async with change(town.built.house) as made:
        me, them = [(await Account.get(handle=person.handle)).id for person in (blocked, guest)]
        await Block.create(id=new_id(), blocker_id=me, blocked_id=them, created_at=made.now)
    seen = [edge["node"]["user"]["handle"] for edge in (await turns(blocked, space))["edges"]]
    assert seen == ["host"]
    recording = await host.recording(space, "id")
    await host.do("deleteRecording", recordingId=recording["id"])
    assert (await turns(town.anyone, space))["edges"] == []
