"""Clips: who may cut what, what they play to the fragment, and that they die with their recording."""

from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

import pytest

from media.playlist import read_index
from models.block import Block
from models.recording import Recording
from services.changes import new_id
from tests.media.sound import SAMPLE_RATE_HZ, decode
from tests.product.player import fetch_piece, fetch_playlist, play
from tests.product.town import Person, Town
from tests.product.voices import GARBAGE_IDS, Talk, at, recorded, speak, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIP = "id title startMs endMs createdAt author { id } recording { id status } playback { url mimeType expiresAt }"
FRAGMENT_MS = 46 * 1024 / 48


async def cut(person: Person, talk: Talk, start_ms: int = 0, end_ms: int = 1000, **more: Any) -> Any:
    """A clip and its card."""
    return await person.do(
        "createClip",
        f"clip {{ {CLIP} }} item {{ id kind comment startMs url clip {{ id }} recording {{ id shareCount }} }}",
        **{
            "recordingId": talk.recording_id,
            "startMs": start_ms,
            "endMs": end_ms,
            "title": "The point",
            **more,
        },
    )


async def test_a_listener_cuts_a_clip_and_gets_a_card_of_its_own(city: Town) -> None:
    host, fan, follower = [await city.person() for _ in range(3)]
    await follower.do("follow", userId=fan.id)
    talk = await recorded(city, host, seconds=3)
    made = await cut(fan, talk, 1000, 2000, comment="Hear this")
    clip, item = made["clip"], made["item"]
    assert (clip["title"], clip["startMs"], clip["endMs"]) == ("The point", 1000, 2000)
    assert clip["author"]["id"] == fan.id
    assert clip["recording"] == {"id": talk.recording_id, "status": "AVAILABLE"}
    assert (item["kind"], item["comment"], item["startMs"]) == ("CLIP_SHARED", "Hear this", 1000)
    assert item["clip"]["id"] == clip["id"]
    assert item["recording"] == {"id": talk.recording_id, "shareCount": 1}
    page = await follower.read("{ timeline { edges { node { kind clip { id title playback { url } } } } } }")
    (card,) = [edge["node"] for edge in page["timeline"]["edges"]]
    assert (card["kind"], card["clip"]["id"]) == ("CLIP_SHARED", clip["id"])
    assert card["clip"]["playback"]["url"]
    listed = await city.anyone.read(
        "query($id: ID!) { recording(id: $id) { clips { edges { node { id } } } } node(id: $id) { id } }",
        id=talk.recording_id,
    )
    assert listed["recording"]["clips"]["edges"] == [{"node": {"id": clip["id"]}}]


async def test_a_clip_plays_its_stretch_to_the_fragment_and_not_a_byte_beside_it(city: Town) -> None:
    talk = await recorded(city, await city.person(), seconds=6)
    clip = (await cut(await city.person(), talk, 2500, 3500))["clip"]
    url = clip["playback"]["url"]
    assert clip["playback"]["mimeType"] == "application/vnd.apple.mpegurl"
    playlist = await fetch_playlist(city, url)
    assert (playlist.kind, playlist.ended, playlist.first_number) == ("VOD", True, 2)
    assert len(playlist.pieces) == 2
    assert len(await play(city, url)) / SAMPLE_RATE_HZ == pytest.approx(2 * FRAGMENT_MS / 1000, abs=0.05)

    index = read_index(city.data_dir / "recordings" / str(uuid_of(talk.recording_id)))
    first, last = index.fragments[2], index.fragments[3]
    data = urljoin(url, "programme.mp4")
    for range_, status in (
        (f"{first.offset - 1}-{first.offset - 1}", 416),
        (f"{first.offset}-{first.offset}", 206),
        (f"{last.offset + last.length - 1}-{last.offset + last.length - 1}", 206),
        (f"{last.offset + last.length}-{last.offset + last.length}", 416),
        (f"{index.init_bytes}-", 416),
    ):
        assert (await city.fetch(data, Range=f"bytes={range_}")).status_code == status, range_
    over = await city.fetch(data, Range=f"bytes={last.offset}-{index.size_bytes - 1}")
    assert len(over.content) == last.length
    whole = await city.fetch(data)
    assert len(whole.content) == index.init_bytes + first.length + last.length


async def test_a_clip_in_one_file_begins_at_zero_and_is_one_file_to_ranges(city: Town) -> None:
    talk = await recorded(city, await city.person(), seconds=4)
    clip = (await cut(await city.person(), talk, 1100, 2500))["clip"]
    url = urljoin(clip["playback"]["url"], "clip.m4a")
    whole = (await city.fetch(url)).content
    assert len(decode(whole)) / SAMPLE_RATE_HZ == pytest.approx(2 * FRAGMENT_MS / 1000, abs=0.05)
    at = whole.index(b"tfdt") + 8
    assert int.from_bytes(whole[at : at + 8], "big") == 0
    size = len(whole)
    pieces = b""
    for start in range(0, size, 5000):
        part = await city.fetch(url, Range=f"bytes={start}-{start + 4999}")
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {start}-{min(start + 4999, size - 1)}/{size}"
        pieces += part.content
    assert pieces == whole
    assert (await city.http.head(url)).headers["content-length"] == str(size)
    assert (await city.fetch(url, Range=f"bytes={size}-")).status_code == 416


async def test_a_clip_lies_within_its_recording_and_is_at_most_30_s(city: Town) -> None:
    talk, person = await recorded(city, await city.person()), await city.person()
    # Said to last 31 s, which saves recording them.
    await Recording.filter(id=uuid_of(talk.recording_id)).update(duration_ms=31_000)
    for start_ms, end_ms, path in (
        *((-1, 100, "startMs"), (0, 0, "endMs"), (500, 500, "endMs"), (500, 499, "endMs")),
        *((0, 30_001, "endMs"), (500, 30_501, "endMs"), (30_999, 31_001, "endMs")),
        *((31_000, 31_001, "startMs"), (2**31 - 1, 2**31 - 1, "startMs"), (0, -(2**31), "endMs")),
    ):
        payload = await person.try_(
            "createClip", recordingId=talk.recording_id, startMs=start_ms, endMs=end_ms, title="x"
        )
        errors = [(error["code"], error["path"]) for error in payload["errors"]]
        assert errors == [("INVALID_INPUT", [path])], (start_ms, end_ms)
    for start_ms, end_ms in ((0, 30_000), (500, 30_500), (30_999, 31_000), (0, 1)):
        clip = (await cut(person, talk, start_ms, end_ms))["clip"]
        assert (clip["startMs"], clip["endMs"]) == (start_ms, end_ms)


async def test_who_may_not_play_cannot_cut(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host)
    wish: dict[str, Any] = {"recordingId": talk.recording_id, "startMs": 0, "endMs": 500, "title": "x"}
    assert await city.anyone.refused("createClip", **wish) == "UNAUTHENTICATED"
    for garbage in GARBAGE_IDS:
        assert await fan.refused("createClip", **{**wish, "recordingId": garbage}) == "NOT_FOUND"
    assert await fan.refused("createClip", **{**wish, "title": " "}) == "INVALID_INPUT"
    assert await fan.refused("createClip", **{**wish, "title": "x" * 201}) == "INVALID_INPUT"
    assert await fan.refused("createClip", **{**wish, "comment": "x" * 1001}) == "INVALID_INPUT"
    live = await host.live_space(record=True)
    recording = await host.recording(live, "id")
    refused = await fan.refused("createClip", **{**wish, "recordingId": recording["id"]})
    assert refused == "RECORDING_NOT_AVAILABLE"
    await host.do("deleteRecording", recordingId=talk.recording_id)
    assert await fan.refused("createClip", **wish) == "RECORDING_NOT_AVAILABLE"


async def test_a_host_who_disallows_clips_still_cuts_their_own(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    space_id = await host.live_space(record=True)
    await host.do("updateSpace", spaceId=space_id, clipsAllowed=False)
    await speak(city, space_id, 1)
    await host.do("endSpace", spaceId=space_id)
    talk = Talk(space_id, (await host.recording(space_id, "id"))["id"])
    wish: dict[str, Any] = {"recordingId": talk.recording_id, "startMs": 0, "endMs": 500, "title": "x"}
    assert await fan.refused("createClip", **wish) == "FORBIDDEN"
    assert (await cut(host, talk, 0, 500))["clip"]["playback"]["url"]
    # The host may think again once the Space has ended: only then is there something to cut.
    await host.do("updateSpace", spaceId=space_id, clipsAllowed=True)
    assert (await cut(fan, talk, 0, 500))["clip"]["playback"]["url"]
    assert await host.refused("updateSpace", spaceId=space_id, title="Another") == "ALREADY_ENDED"


@pytest.mark.parametrize("end", ["deleted", "expired", "taken down"])
async def test_a_clip_dies_with_its_recording_at_the_same_instant(city: Town, end: str) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host)
    made = await cut(fan, talk, 0, 900)
    url = made["clip"]["playback"]["url"]
    links = [url, urljoin(url, "programme.mp4"), urljoin(url, "clip.m4a")]
    assert [(await city.fetch(link)).status_code for link in links] == [200, 200, 200]
    if end == "deleted":
        await host.do("deleteRecording", recordingId=talk.recording_id)
    elif end == "taken down":
        await (await city.moderator()).do(
            "reviewRecording", recordingId=talk.recording_id, decision="VIOLATION", note="x"
        )
    else:
        expires = (await host.recording(talk.space_id, "expiresAt"))["expiresAt"]
        city.clock.stand_at(at(expires) - timedelta(milliseconds=1))
        url = (await city.anyone.read(
            "query($id: ID!) { node(id: $id) { ... on Clip { playback { url } } } }", id=made["clip"]["id"]
        ))["node"]["playback"]["url"]  # fmt: skip
        links = [url, urljoin(url, "programme.mp4"), urljoin(url, "clip.m4a")]
        assert [(await city.fetch(link)).status_code for link in links] == [200, 200, 200]
        city.clock.stand_at(at(expires))
    assert [(await city.fetch(link)).status_code for link in links] == [410, 410, 410]
    card = (
        await fan.read(
            "{ timeline { edges { node { kind recording { status } clip { title playback { url } } } } } }"
        )
    )["timeline"]["edges"][0]["node"]
    assert card["kind"] == "CLIP_SHARED"
    assert card["clip"] == {"title": "The point", "playback": None}
    assert card["recording"]["status"] in {"DELETED", "EXPIRED", "TAKEN_DOWN"}


async def test_a_trim_takes_what_lies_before_it_from_clips_too(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host, seconds=5)
    before = (await cut(fan, talk, 0, 900))["clip"]
    across = (await cut(fan, talk, 500, 3900))["clip"]
    await host.do("trimRecording", recordingId=talk.recording_id, startOffsetMs=2000)
    assert (await city.fetch(before["playback"]["url"])).status_code == 410
    again = await fan.read(
        "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Clip { playback { url } } } }",
        ids=[before["id"], across["id"]],
    )
    assert again["nodes"][0]["playback"] is None
    playlist = await fetch_playlist(city, across["playback"]["url"])
    assert playlist.first_number == 2
    assert playlist.init is not None
    await fetch_piece(city, across["playback"]["url"], playlist.pieces[0])
    assert (
        await fan.refused("createClip", recordingId=talk.recording_id, startMs=1999, endMs=2500, title="x")
        == "INVALID_INPUT"
    )
    assert (await cut(fan, talk, 2000, 2500))["clip"]["playback"]["url"]


async def test_a_trimmed_recording_in_one_file_has_nothing_of_what_was_cut(city: Town) -> None:
    host = await city.person()
    talk = await recorded(city, host, seconds=4)
    await host.do("trimRecording", recordingId=talk.recording_id, startOffsetMs=2000)
    link = (await city.anyone.space(talk.space_id, "recording { playback { url } }"))["recording"]["playback"]
    url = urljoin(link["url"], "recording.m4a")
    whole = (await city.fetch(url)).content
    assert len(decode(whole)) / SAMPLE_RATE_HZ == pytest.approx(4 - 2 * FRAGMENT_MS / 1000, abs=0.1)
    tail = await city.fetch(url, Range=f"bytes={len(whole) - 100}-")
    assert (tail.status_code, tail.content) == (206, whole[-100:])
    await host.do("deleteRecording", recordingId=talk.recording_id)
    assert (await city.fetch(url)).status_code == 410


async def test_a_clip_goes_with_its_card_by_its_author_or_the_host(city: Town) -> None:
    host, fan, other = [await city.person() for _ in range(3)]
    talk = await recorded(city, host)
    for deleter in (fan, host):
        made = await cut(fan, talk, 0, 500)
        clip, item = made["clip"], made["item"]
        assert await city.anyone.refused("deleteClip", clipId=clip["id"]) == "UNAUTHENTICATED"
        assert await other.refused("deleteClip", clipId=clip["id"]) == "FORBIDDEN"
        gone = await deleter.do("deleteClip", "deletedClipId", clipId=clip["id"])
        assert gone["deletedClipId"] == clip["id"]
        assert await deleter.refused("deleteClip", clipId=clip["id"]) == "NOT_FOUND"
        assert (await city.fetch(clip["playback"]["url"])).status_code == 410
        found = await fan.read(
            "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[clip["id"], item["id"]]
        )
        assert found["nodes"] == [None, None]
    assert (await host.recording(talk.space_id, "shareCount"))["shareCount"] == 0


async def test_a_card_of_a_clip_can_be_taken_back_and_the_clip_stays(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host)
    made = await cut(fan, talk, 0, 500)
    await fan.do("deleteShare", itemId=made["item"]["id"])
    assert (await city.fetch(made["clip"]["playback"]["url"])).status_code == 200
    assert (await host.recording(talk.space_id, "shareCount"))["shareCount"] == 0
    await fan.do("deleteClip", clipId=made["clip"]["id"])


async def test_a_clip_is_no_play_of_its_recording_and_hides_with_a_block(city: Town) -> None:
    host, fan, third = [await city.person() for _ in range(3)]
    talk = await recorded(city, host)
    made = await cut(fan, talk, 0, 500)
    await city.fetch(urljoin(made["clip"]["playback"]["url"], "programme.mp4"))
    assert (await host.recording(talk.space_id, "playCount"))["playCount"] == 0
    seen = "query($id: ID!) { node(id: $id) { ... on Clip { playback { url } } } }"
    url = (await third.read(seen, id=made["clip"]["id"]))["node"]["playback"]["url"]
    await Block.create(
        id=new_id(), blocker_id=uuid_of(fan.id), blocked_id=uuid_of(third.id), created_at=city.clock.now()
    )
    assert (await third.read(seen, id=made["clip"]["id"]))["node"] is None
    assert (await city.fetch(url)).status_code == 410
    assert await third.refused("deleteClip", clipId=made["clip"]["id"]) == "NOT_FOUND"


async def test_a_clip_has_no_file_and_leaves_none_after_the_purge(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host)
    before = sorted(city.data_dir.rglob("*.mp4"))
    made = await cut(fan, talk, 0, 500)
    await city.fetch(urljoin(made["clip"]["playback"]["url"], "clip.m4a"))
    assert sorted(city.data_dir.rglob("*.mp4")) == before
    await host.do("deleteRecording", recordingId=talk.recording_id)
    city.clock.move(timedelta(days=31))
    await city.round()
    assert (await host.recording(talk.space_id, "status"))["status"] == "PURGED"
    assert (await city.fetch(made["clip"]["playback"]["url"])).status_code == 410


@pytest.mark.parametrize(
    "path", ["/media/clips/{}/index.m3u8", "/media/clips/{}/clip.m4a", "/media/feeds/{}/recording.m4a"]
)
async def test_a_link_of_another_kind_opens_no_clip(city: Town, path: str) -> None:
    talk = await recorded(city, await city.person())
    link = (await city.anyone.space(talk.space_id, "recording { playback { url } }"))["recording"]["playback"]
    token = link["url"].split("/")[-2]
    for forged in (token, "x", "A" * 76, "é"):
        assert (await city.fetch(path.format(forged))).status_code == 403
