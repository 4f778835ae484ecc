"""Who comes at the same time: exactly one wins, counts are exact, the sequence has no holes."""

import asyncio
from typing import Any

import pytest

from models.playback_position import PlaybackPosition
from models.space_event import SpaceEvent
from tests.product.town import Person, Town
from tests.product.voices import recorded, speak, uuid_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.both_databases]

AT_ONCE = 8


async def _codes(person: Person, mutation: str, **given: Any) -> list[str]:
    """The codes of so many equal mutations at once, "" for one that succeeded; sorted."""
    payloads = await asyncio.gather(*(person.try_(mutation, **given) for _ in range(AT_ONCE)))
    return sorted(payload["errors"][0]["code"] if payload["errors"] else "" for payload in payloads)


async def _sequence_is_whole(space_id: str) -> None:
    rows = await SpaceEvent.filter(space_id=uuid_of(space_id)).order_by("id")
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))


async def test_of_many_launches_ends_and_deletions_one_each_is_taken(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space(record=True))["id"]
    assert await _codes(host, "startSpace", spaceId=space_id) == ["", *["ALREADY_LIVE"] * (AT_ONCE - 1)]
    await speak(city, space_id, 0.3)
    assert await _codes(host, "endSpace", spaceId=space_id) == ["", *["ALREADY_ENDED"] * (AT_ONCE - 1)]
    recording = await host.recording(space_id, "id status")
    assert recording["status"] == "AVAILABLE"
    refused = ["RECORDING_NOT_AVAILABLE"] * (AT_ONCE - 1)
    assert await _codes(host, "deleteRecording", recordingId=recording["id"]) == ["", *refused]
    await _sequence_is_whole(space_id)


async def test_a_host_who_launches_two_spaces_at_once_gets_one(city: Town) -> None:
    host = await city.person()
    spaces = [(await host.new_space())["id"] for _ in range(4)]
    payloads = await asyncio.gather(*(host.try_("startSpace", spaceId=one) for one in spaces))
    codes = sorted(payload["errors"][0]["code"] if payload["errors"] else "" for payload in payloads)
    assert codes == ["", "CONFLICT", "CONFLICT", "CONFLICT"]
    states = [(await host.space(one, "state"))["state"] for one in spaces]
    assert sorted(states) == ["LIVE", "SCHEDULED", "SCHEDULED", "SCHEDULED"]


async def test_deleting_and_ending_at_once_leave_a_recording_that_is_gone(city: Town) -> None:
    host = await city.person()
    for _ in range(4):
        space_id = await host.live_space(record=True)
        await speak(city, space_id, 0.2)
        recording_id = (await host.recording(space_id, "id"))["id"]
        deleted, ended = await asyncio.gather(
            host.try_("deleteRecording", recordingId=recording_id), host.try_("endSpace", spaceId=space_id)
        )
        assert (deleted["errors"], ended["errors"]) == ([], [])
        space = await host.space(space_id, "state isRecording recording { status viewerCanPlay }")
        assert space == {
            "state": "ENDED",
            "isRecording": False,
            "recording": {"status": "DELETED", "viewerCanPlay": False},
        }
        await _sequence_is_whole(space_id)


async def test_many_toggles_at_once_leave_the_toggle_and_the_recording_of_one_mind(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    calls = [host.try_("toggleRecording", spaceId=space_id, enabled=one % 2 == 0) for one in range(10)]
    payloads = await asyncio.gather(*calls)
    assert all(payload["errors"] == [] for payload in payloads)
    space = await host.space(space_id, "recordingEnabled recording { status }")
    assert space["recordingEnabled"] == (space["recording"] is not None)
    await _sequence_is_whole(space_id)


async def test_a_handle_is_given_once(city: Town) -> None:
    codes = await _codes(city.anyone, "signUp", handle="only_one", name="One", password="correct horse")
    assert codes == ["", *["CONFLICT"] * (AT_ONCE - 1)]


async def test_follows_shares_plays_and_positions_are_counted_exactly(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host)
    assert await _codes(fan, "follow", userId=host.id) == [""] * AT_ONCE
    assert await _codes(fan, "shareRecording", recordingId=talk.recording_id) == [""] * AT_ONCE
    saved = await _codes(fan, "savePlaybackPosition", recordingId=talk.recording_id, positionMs=5)
    assert saved == [""] * AT_ONCE
    url = (await fan.space(talk.space_id, "recording { playback { url } }"))["recording"]["playback"]["url"]
    media = url.replace("index.m3u8", "programme.mp4")
    await asyncio.gather(*(city.fetch(media, Range="bytes=0-9") for _ in range(AT_ONCE)))
    seen = await fan.space(talk.space_id, "host { followerCount } recording { playCount shareCount }")
    assert seen == {"host": {"followerCount": 1}, "recording": {"playCount": 1, "shareCount": AT_ONCE}}
    assert await PlaybackPosition.filter(recording_id=uuid_of(talk.recording_id)).count() == 1


async def test_a_share_is_taken_back_once(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host)
    items = [
        (await fan.do("shareRecording", "item { id }", recordingId=talk.recording_id))["item"]["id"]
        for _ in range(2)
    ]
    assert await _codes(fan, "deleteShare", itemId=items[0]) == ["", *["NOT_FOUND"] * (AT_ONCE - 1)]
    counted = await host.recording(talk.space_id, "shareCount")
    assert counted == {"shareCount": 1}


async def test_rounds_of_the_clockwork_at_once_purge_once(city: Town) -> None:
    from datetime import timedelta

    from models.audit_entry import AuditEntry

    host = await city.person()
    talk = await recorded(city, host)
    await host.do("deleteRecording", recordingId=talk.recording_id)
    city.clock.move(timedelta(days=30))
    await asyncio.gather(*(city.round() for _ in range(4)))
    await city.round()
    assert (await host.recording(talk.space_id, "status"))["status"] == "PURGED"
    purged = AuditEntry.filter(subject_id=uuid_of(talk.recording_id), action="recording.purged")
    assert await purged.count() == 1
