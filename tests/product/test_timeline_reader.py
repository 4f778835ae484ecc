"""Timelines as a reader expects them: one card a Space, shares of their own, steady pages, counters apart."""

from datetime import timedelta

import pytest
from tortoise.connection import get_connection

from models.timeline_item import TimelineItem
from models.together import part_of
from tests.product.test_timeline import CARD, cards_of, page_of, tick
from tests.product.town import Town
from tests.product.voices import iso, recorded, speak

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_pages_join_up_while_cards_come_up_again(city: Town) -> None:
    host = await city.person()
    made = []
    for _ in range(6):
        tick(city)
        made.append((await host.new_space())["id"])
    first = await page_of(host, first=3)
    tick(city)
    # One that was still to come and one that has been seen come up: neither is seen twice behind the cursor.
    await host.do("startSpace", spaceId=made[1])
    tick(city)
    await host.do("endSpace", spaceId=made[1])
    tick(city)
    await host.do("startSpace", spaceId=made[5])
    second = await page_of(host, first=3, after=first["pageInfo"]["endCursor"])
    assert [edge["node"]["space"]["id"] for edge in second["edges"]] == [made[2], made[0]]
    assert [card["space"]["id"] for card in await cards_of(host, first=2)] == [made[5], made[1]]


async def test_a_space_that_is_shared_and_clipped_keeps_one_card_of_its_own(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    await fan.do("follow", userId=host.id)
    talk = await recorded(city, host)
    for _ in range(2):
        tick(city)
        await fan.do("shareRecording", recordingId=talk.recording_id, comment="Again")
        tick(city)
        await fan.do("shareSpace", spaceId=talk.space_id)
    tick(city)
    await fan.do("createClip", recordingId=talk.recording_id, startMs=0, endMs=100, title="x", comment="Cut")
    cards = await cards_of(fan, CARD + " comment startMs")
    assert [card["kind"] for card in cards] == [
        "CLIP_SHARED", "SPACE_SHARED", "RECORDING_SHARED", "SPACE_SHARED", "RECORDING_SHARED", "SPACE_ENDED",
    ]  # fmt: skip
    assert [card["comment"] for card in cards] == ["Cut", None, "Again", None, "Again", None]
    assert [card["kind"] for card in await cards_of(host)] == ["SPACE_ENDED"]


async def test_shares_neither_change_their_place_nor_their_kind_with_their_space(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    space_id = (await host.new_space(record=True))["id"]
    tick(city)
    await fan.do("shareSpace", spaceId=space_id)
    (before,) = (card,) = await cards_of(fan)
    for mutation in ("startSpace", "endSpace"):
        tick(city)
        await host.do(mutation, spaceId=space_id)
        (card,) = await cards_of(fan)
        assert (card["kind"], card["activityAt"]) == ("SPACE_SHARED", before["activityAt"])
    assert card["space"]["state"] == "ENDED"


async def test_live_listeners_and_plays_are_counted_apart(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    space_id = await host.live_space(record=True)
    await fan.do("joinSpace", spaceId=space_id)
    await speak(city, space_id, 2)
    live = await fan.space(space_id, "live { url } participantCount peakListenerCount totalListenerCount")
    base = live["live"]["url"].rpartition("/")[0]
    assert (await city.fetch(f"{base}/index.m3u8")).status_code == 200
    assert (await city.fetch(f"{base}/programme.mp4", Range="bytes=0-9")).status_code == 206
    counts = (live["participantCount"], live["peakListenerCount"], live["totalListenerCount"])
    assert counts == (2, 2, 2)
    assert (await host.recording(space_id, "playCount"))["playCount"] == 0
    await host.do("endSpace", spaceId=space_id)
    for number in (1, 2):
        link = (await fan.space(space_id, "recording { playback { url } }"))["recording"]["playback"]["url"]
        data = link.replace("index.m3u8", "programme.mp4")
        for byte in (0, 100):
            await city.fetch(data, Range=f"bytes={byte}-{byte}")
        assert (await host.recording(space_id, "playCount"))["playCount"] == number
        tick(city)
    after = await fan.space(space_id, "participantCount peakListenerCount totalListenerCount")
    assert list(after.values()) == [0, 2, 2]


async def test_the_latest_listening_wins_also_when_it_arrives_first(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host)
    now = city.clock.now()
    for listened_s, position, expected in (
        (0, 500, 500),
        (-10, 100, 500),
        (-1, 200, 500),
        (0, 700, 700),
        (60, 900, 900),
    ):
        await fan.do(
            "savePlaybackPosition",
            recordingId=talk.recording_id,
            positionMs=position,
            listenedAt=iso(now + timedelta(seconds=listened_s)),
        )
        card = await fan.space(talk.space_id, "recording { viewerPositionMs }")
        assert card["recording"]["viewerPositionMs"] == expected, listened_s
    assert (await host.space(talk.space_id, "recording { viewerPositionMs }"))["recording"][
        "viewerPositionMs"
    ] is None


@pytest.mark.sqlite_file
async def test_the_public_timeline_is_read_in_the_order_of_an_index(city: Town) -> None:
    query = TimelineItem.filter(is_public=True).order_by("-activity_at", "-id").limit(21)
    part = part_of(query)
    rows = await get_connection("default").execute_query_dict(
        f"EXPLAIN QUERY PLAN {part.sql}", list(part.values)
    )
    (step,) = [row["detail"] for row in rows]
    assert "is_public=?" in step
