"""Recordings: the toggle, the trim, deletion, positions, shares, counts, and what who may do when."""

import re
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from models.audit_entry import AuditEntry
from models.recording import Recording, RecordingStatus
from tests.product.town import Person, Town
from tests.product.voices import GARBAGE_IDS, MS, Talk, at, global_id, iso, recorded, speak, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = timedelta(days=1)
FLAGS = "viewerCanPlay viewerCanShare viewerCanDelete playback { url } download { url } waveform(points: 1)"


async def _recording(person: Person, recording_id: str, want: str) -> Any:
    query = f"query($id: ID!) {{ recording(id: $id) {{ {want} }} }}"
    return (await person.read(query, id=recording_id))["recording"]


async def _set(recording_id: str, **values: Any) -> None:
    await Recording.filter(id=uuid_of(recording_id)).update(**values)


async def test_the_toggle_arms_and_disarms_before_launch(city: Town) -> None:
    host = await city.person()
    space_id = (await host.new_space())["id"]
    want = "space { recordingEnabled isRecording recording { id status } consent { version } }"
    off = {"recordingEnabled": False, "isRecording": False, "recording": None, "consent": None}
    assert (await host.do("toggleRecording", want, spaceId=space_id, enabled=False))["space"] == off
    armed = (await host.do("toggleRecording", want, spaceId=space_id, enabled=True))["space"]
    assert (armed["recordingEnabled"], armed["isRecording"]) == (True, False)
    assert armed["recording"]["status"] == "ARMED"
    assert (await host.do("toggleRecording", want, spaceId=space_id, enabled=True))["space"] == armed
    assert (await host.do("toggleRecording", want, spaceId=space_id, enabled=False))["space"] == off
    assert await _recording(host, armed["recording"]["id"], "id") is None
    assert not list((city.data_dir / "recordings").glob(f"*{uuid_of(armed['recording']['id'])}*"))


async def test_the_accounts_default_sets_the_toggle_and_an_explicit_wish_wins(city: Town) -> None:
    host = await city.person()
    assert not (await host.new_space("recordingEnabled"))["recordingEnabled"]
    await host.do("updateAccount", recordsByDefault=True)
    assert (await host.new_space("recordingEnabled"))["recordingEnabled"]
    assert (await host.new_space("recordingEnabled", record=None))["recordingEnabled"]
    assert not (await host.new_space("recordingEnabled", record=False))["recordingEnabled"]
    await host.do("updateAccount", recordsByDefault=False)
    assert (await host.new_space("recordingEnabled", record=True))["recordingEnabled"]


async def test_deleting_what_is_armed_turns_the_toggle_off(city: Town) -> None:
    host = await city.person()
    space = await host.new_space("id recording { id viewerCanDelete }", record=True)
    assert space["recording"]["viewerCanDelete"]
    payload = await host.do("deleteRecording", "recording { id }", recordingId=space["recording"]["id"])
    assert payload["recording"] is None
    assert await host.space(space["id"], "recordingEnabled recording { id } state") == {
        "recordingEnabled": False,
        "recording": None,
        "state": "SCHEDULED",
    }
    assert await host.refused("deleteRecording", recordingId=space["recording"]["id"]) == "NOT_FOUND"
    await host.do("startSpace", spaceId=space["id"])
    assert not (await host.space(space["id"], "isRecording"))["isRecording"]


async def test_a_space_without_audio_ends_failed_with_a_reason_and_no_clocks(city: Town) -> None:
    host = await city.person()
    space_id = await host.live_space(record=True)
    want = "id status failureReason startedAt endedAt expiresAt durationMs sizeBytes gaps { cause } " + FLAGS
    starting = await host.recording(space_id, want)
    assert (starting["status"], starting["failureReason"], starting["endedAt"]) == ("STARTING", None, None)
    ended = await host.do("endSpace", "space { endedAt isRecording }", spaceId=space_id)
    assert not ended["space"]["isRecording"]
    failed = await host.recording(space_id, want)
    assert failed.pop("failureReason")
    assert failed == {
        "id": starting["id"],
        "status": "FAILED",
        "startedAt": None,
        "endedAt": ended["space"]["endedAt"],
        "expiresAt": None,
        "durationMs": 0,
        "sizeBytes": 0,
        "gaps": [],
        "viewerCanPlay": False,
        "viewerCanShare": False,
        "viewerCanDelete": False,
        "playback": None,
        "download": None,
        "waveform": [],
    }
    assert await host.refused("deleteRecording", recordingId=failed["id"]) == "RECORDING_NOT_AVAILABLE"
    assert await host.refused("shareRecording", recordingId=failed["id"]) == "RECORDING_NOT_AVAILABLE"
    items = (await host.read("{ timeline { edges { node { kind recording { status } } } } }"))["timeline"]
    assert items["edges"] == [{"node": {"kind": "SPACE_ENDED", "recording": {"status": "FAILED"}}}]
    city.clock.move(200 * DAY)
    await city.round()
    assert (await host.recording(space_id, "status"))["status"] == "FAILED"


async def test_what_is_available_says_so_and_until_when(city: Town) -> None:
    host = await city.person()
    talk = await recorded(city, host, seconds=2)
    space = await host.space(talk.space_id, "endedAt startedAt recording { id }")
    got = await _recording(
        host,
        talk.recording_id,
        "status startedAt endedAt expiresAt durationMs sizeBytes gaps { cause } failureReason space { id }"
        " startOffsetMs playCount shareCount viewerPositionMs playback { url mimeType expiresAt }",
    )
    assert got["endedAt"] == space["endedAt"]
    assert at(got["expiresAt"]) - at(space["endedAt"]) == 30 * DAY
    assert 1900 <= got["durationMs"] <= 2300
    assert got["sizeBytes"] > 1000
    assert (got["gaps"], got["failureReason"], got["viewerPositionMs"]) == ([], None, None)
    assert (got["startOffsetMs"], got["playCount"], got["shareCount"]) == (0, 0, 0)
    assert got["space"] == {"id": talk.space_id}
    slack = at(got["playback"]["expiresAt"]) - city.clock.now()
    assert slack <= timedelta(milliseconds=got["durationMs"], minutes=15)
    assert slack >= timedelta(minutes=15)
    assert got["playback"]["url"].startswith(city.url)


async def _flags(person: Person, recording_id: str) -> str:
    got = await _recording(person, recording_id, FLAGS)
    assert (got["playback"] is not None) == got["viewerCanPlay"] == (got["waveform"] != [])
    names = {
        "viewerCanPlay": "play",
        "viewerCanShare": "share",
        "viewerCanDelete": "delete",
        "download": "download",
    }
    return " ".join(word for name, word in names.items() if got[name])


async def test_what_each_may_do_in_each_status(city: Town) -> None:
    host, listener, moderator = await city.person(), await city.person(), await city.moderator()
    talk = await recorded(city, host)
    everyone = (city.anyone, listener, moderator, host)
    answers = {
        "ARMED": ("", "", "", "delete"),
        "STARTING": ("", "", "", "delete"),
        "RECORDING": ("", "", "", "delete"),
        "INTERRUPTED": ("", "", "", "delete"),
        "FINALIZING": ("", "", "", "delete"),
        "AVAILABLE": ("play", "play share", "play share", "play share delete download"),
        "FAILED": ("",) * 4,
        "EXPIRED": ("",) * 4,
        "DELETED": ("",) * 4,
        "TAKEN_DOWN": ("",) * 4,
        "PURGED": ("",) * 4,
    }
    assert answers.keys() == set(RecordingStatus)
    for status, expected in answers.items():
        await _set(talk.recording_id, status=status)
        assert tuple([await _flags(person, talk.recording_id) for person in everyone]) == expected, status
        for person in (listener, host):
            share = await person.try_("shareRecording", "item { id }", recordingId=talk.recording_id)
            codes = [error["code"] for error in share["errors"]]
            assert codes == ([] if status == "AVAILABLE" else ["RECORDING_NOT_AVAILABLE"])
        assert await listener.refused("deleteRecording", recordingId=talk.recording_id) == "FORBIDDEN"
        assert await moderator.refused("deleteRecording", recordingId=talk.recording_id) == "FORBIDDEN"
        if status in {"FAILED", "EXPIRED", "DELETED", "TAKEN_DOWN", "PURGED"}:
            refused = await host.refused("deleteRecording", recordingId=talk.recording_id)
            assert refused == "RECORDING_NOT_AVAILABLE"
        if status != "AVAILABLE":
            for mutation, given in (
                ("trimRecording", {"startOffsetMs": 0}),
                ("savePlaybackPosition", {"positionMs": 0}),
            ):
                refused = await host.refused(mutation, recordingId=talk.recording_id, **given)
                assert refused == "RECORDING_NOT_AVAILABLE"


async def test_deleted_while_live_the_icon_goes_and_the_space_goes_on(city: Town) -> None:
    host = await city.person()
    space_id = await host.live_space(record=True)
    await speak(city, space_id, 1.2)
    space = await host.space(space_id, "live { url } recording { id }")
    media = space["live"]["url"].replace("index.m3u8", "programme.mp4")
    assert (await city.fetch(media)).status_code == 200
    want = "recording { status endedAt expiresAt }"
    gone = await host.do("deleteRecording", want, recordingId=space["recording"]["id"])
    assert gone["recording"] == {"status": "DELETED", "endedAt": None, "expiresAt": None}
    assert await host.space(space_id, "state isRecording") == {"state": "LIVE", "isRecording": False}
    assert (await city.fetch(media)).status_code == 410
    assert (await city.fetch(space["live"]["url"])).status_code == 200
    refused = await host.refused("deleteRecording", recordingId=space["recording"]["id"])
    assert refused == "RECORDING_NOT_AVAILABLE"
    listener = await city.person()
    joined = await listener.do("joinSpace", "space { isRecording }", spaceId=space_id)
    assert joined["space"] == {"isRecording": False}
    await host.do("endSpace", spaceId=space_id)
    ended = await host.space(space_id, "state recording { status durationMs }")
    assert (ended["state"], ended["recording"]["status"]) == ("ENDED", "DELETED")
    assert ended["recording"]["durationMs"] >= 1000
    home = await city.http.get("/timeline")
    assert home.status_code == 200


@pytest.mark.parametrize("seconds", [0, 1])
async def test_deleted_before_or_after_the_first_audio_it_is_deleted_and_purged(
    city: Town, seconds: int
) -> None:
    host = await city.person()
    space_id = await host.live_space(record=True)
    if seconds:
        await speak(city, space_id, seconds)
    recording_id = (await host.recording(space_id, "id"))["id"]
    city.clock.stand_at(city.clock.now())
    await host.do("deleteRecording", recordingId=recording_id)
    deleted = city.clock.now()
    assert (await host.recording(space_id, "expiresAt"))["expiresAt"] is None
    await host.do("endSpace", spaceId=space_id)
    assert (await host.recording(space_id, "expiresAt"))["expiresAt"] == iso(deleted + 30 * DAY)
    city.clock.stand_at(deleted + 30 * DAY - MS)
    await city.round()
    assert (await host.recording(space_id, "status"))["status"] == "DELETED"
    city.clock.stand_at(deleted + 30 * DAY)
    await city.round()
    assert (await host.recording(space_id, "status"))["status"] == "PURGED"
    assert not (city.data_dir / "recordings" / str(uuid_of(recording_id))).exists()


@pytest.mark.both_databases
async def test_deletion_stops_every_link_at_the_next_request(city: Town) -> None:
    host, listener = await city.person(), await city.person()
    talk = await recorded(city, host)
    urls = [
        (await _recording(host, talk.recording_id, "playback { url }"))["playback"]["url"],
        (await _recording(host, talk.recording_id, "download { url }"))["download"]["url"],
        (await _recording(listener, talk.recording_id, "playback { url }"))["playback"]["url"],
        (await _recording(city.anyone, talk.recording_id, "playback { url }"))["playback"]["url"],
    ]
    urls += [url.replace("index.m3u8", "programme.mp4") for url in urls]
    assert {(await city.fetch(url)).status_code for url in urls} == {200}
    gone = await host.do("deleteRecording", "recording { id status }", recordingId=talk.recording_id)
    assert gone["recording"] == {"id": talk.recording_id, "status": "DELETED"}
    for url in urls:
        for headers in ({}, {"Range": "bytes=0-9"}):
            answer = await city.fetch(url, **headers)
            assert answer.status_code == 410
            assert b"ftyp" not in answer.content
    assert await host.refused("deleteRecording", recordingId=talk.recording_id) == "RECORDING_NOT_AVAILABLE"


@pytest.mark.both_databases
async def test_it_is_playable_for_30_days_and_gone_30_days_later(city: Town) -> None:
    host = await city.person()
    talk = await recorded(city, host)
    got = await _recording(host, talk.recording_id, "expiresAt playback { url }")
    expires = at(got["expiresAt"])
    city.clock.stand_at(expires - MS)
    fresh = await _recording(city.anyone, talk.recording_id, "status playback { url }")
    assert fresh["status"] == "AVAILABLE"
    assert (await city.fetch(fresh["playback"]["url"])).status_code == 200
    city.clock.stand_at(expires)
    assert (await city.fetch(fresh["playback"]["url"])).status_code == 410
    assert (await _recording(host, talk.recording_id, "status"))["status"] == "EXPIRED"
    assert await _flags(host, talk.recording_id) == ""
    assert await host.refused("deleteRecording", recordingId=talk.recording_id) == "RECORDING_NOT_AVAILABLE"
    folder = city.data_dir / "recordings" / str(uuid_of(talk.recording_id))
    city.clock.stand_at(expires + 30 * DAY - MS)
    await city.round()
    assert (folder / "programme.mp4").exists()
    city.clock.stand_at(expires + 30 * DAY)
    for _ in range(3):
        await city.round()
    assert not folder.exists()
    assert (await _recording(host, talk.recording_id, "status durationMs"))["status"] == "PURGED"
    entries = AuditEntry.filter(subject_id=uuid_of(talk.recording_id), action="recording.purged")
    assert await entries.count() == 1


async def _playlist(town: Town, url: str) -> list[tuple[int, int]]:
    """Lengths and offsets of a playlist's fragments, the init segment first."""
    text = (await town.fetch(url)).text
    init = re.search(r'BYTERANGE="(\d+)@(\d+)"', text)
    assert init
    found = re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", text)
    return [(int(length), int(offset)) for length, offset in [init.groups(), *found]]


async def test_a_trim_hides_what_lies_before_it_from_all_but_the_hosts_download(city: Town) -> None:
    host, listener = await city.person(), await city.person()
    talk = await recorded(city, host, seconds=4)
    want = "durationMs sizeBytes playback { url } download { url }"
    whole = await _recording(host, talk.recording_id, want)
    before = await _playlist(city, whole["playback"]["url"])
    assert len(before) >= 5
    trimmed = await host.do(
        "trimRecording",
        "recording { startOffsetMs durationMs }",
        recordingId=talk.recording_id,
        startOffsetMs=2000,
    )
    assert trimmed["recording"] == {"startOffsetMs": 2000, "durationMs": whole["durationMs"]}
    for person in (city.anyone, listener, host):
        url = (await _recording(person, talk.recording_id, "playback { url }"))["playback"]["url"]
        after = await _playlist(city, url)
        assert after == [before[0], *before[3:]]
        media = url.replace("index.m3u8", "programme.mp4")
        cut, init = after[1][1], after[0][0]
        answer = await city.fetch(media)
        assert answer.status_code == 200
        assert len(answer.content) == whole["sizeBytes"] - cut + init
        for hidden in (f"bytes={init}-{cut - 1}", f"bytes={cut - 1}-", f"bytes={init}-"):
            answer = await city.fetch(media, Range=hidden)
            assert answer.status_code == 416
            assert len(answer.content) < 1000
            assert b"moof" not in answer.content
        answer = await city.fetch(media, Range=f"bytes=0-{cut}")
        assert answer.status_code == 206
        assert len(answer.content) == init
        answer = await city.fetch(media, Range=f"bytes={cut}-")
        assert len(answer.content) == whole["sizeBytes"] - cut
        assert b"moof" in answer.content[:64]
    download = await city.fetch(whole["download"]["url"])
    assert len(download.content) == whole["sizeBytes"]
    await host.do("trimRecording", recordingId=talk.recording_id, startOffsetMs=0)
    assert await _playlist(city, whole["playback"]["url"]) == before


async def test_a_trim_lies_within_the_recording_and_is_the_hosts(city: Town) -> None:
    host, other = await city.person(), await city.person()
    talk = await recorded(city, host, seconds=1)
    duration = (await _recording(host, talk.recording_id, "durationMs"))["durationMs"]
    for offset, good in (
        (-1, False),
        (0, True),
        (duration - 1, True),
        (duration + 1, False),
        (2**31 - 1, False),
    ):
        payload = await host.try_(
            "trimRecording",
            "recording { startOffsetMs }",
            recordingId=talk.recording_id,
            startOffsetMs=offset,
        )
        if good:
            assert payload["recording"] == {"startOffsetMs": offset}
            url = (await _recording(host, talk.recording_id, "playback { url }"))["playback"]["url"]
            assert len(await _playlist(city, url)) >= 2
        else:
            assert [(one["code"], one["path"]) for one in payload["errors"]] == [
                ("INVALID_INPUT", ["startOffsetMs"])
            ]
            assert payload["recording"] is None
    assert await other.refused("trimRecording", recordingId=talk.recording_id, startOffsetMs=0) == "FORBIDDEN"


async def test_the_latest_listening_wins_also_when_it_arrives_first(city: Town) -> None:
    host, listener, other = await city.person(), await city.person(), await city.person()
    talk = await recorded(city, host, seconds=2)
    now = city.clock.now()
    city.clock.stand_at(now)

    async def save(position: int, listened_at: object = None) -> int:
        want = "recording { viewerPositionMs }"
        given = {"recordingId": talk.recording_id, "positionMs": position, "listenedAt": listened_at}
        made = await listener.do("savePlaybackPosition", want, **given)
        return int(made["recording"]["viewerPositionMs"])

    assert await save(1000, iso(now - timedelta(seconds=10))) == 1000
    assert await save(200, iso(now - timedelta(seconds=20))) == 1000
    assert await save(300, iso(now - timedelta(seconds=10) - MS)) == 1000
    assert await save(400, iso(now - timedelta(seconds=10) + MS)) == 400
    assert await save(500) == 500
    assert await save(600, iso(now + 365 * DAY)) == 600
    city.clock.stand_at(now + MS)
    assert await save(0) == 0
    assert (await _recording(other, talk.recording_id, "viewerPositionMs"))["viewerPositionMs"] is None
    assert (await _recording(city.anyone, talk.recording_id, "viewerPositionMs"))["viewerPositionMs"] is None


async def test_a_position_lies_within_the_recording(city: Town) -> None:
    host = await city.person()
    talk = await recorded(city, host)
    duration = (await _recording(host, talk.recording_id, "durationMs"))["durationMs"]
    for position, good in (
        (-1, False),
        (0, True),
        (duration, True),
        (duration + 1, False),
        (2**31 - 1, False),
    ):
        payload = await host.try_("savePlaybackPosition", recordingId=talk.recording_id, positionMs=position)
        assert [(one["code"], one["path"]) for one in payload["errors"]] == (
            [] if good else [("INVALID_INPUT", ["positionMs"])]
        )


async def test_shares_are_cards_of_their_own_as_often_as_one_likes(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host, seconds=2)
    duration = (await _recording(host, talk.recording_id, "durationMs"))["durationMs"]
    want = "item { id kind comment startMs author { id } space { id } recording { id } viewerCanDelete url }"
    ids = set()
    for count, (start, comment) in enumerate(((0, None), (duration, "C" * 1000), (500, "  ")), start=1):
        made = await fan.do(
            "shareRecording", f"{want} recording {{ shareCount }}",
            recordingId=talk.recording_id, startMs=start, comment=comment,
        )  # fmt: skip
        assert made["recording"]["shareCount"] == count
        item = made["item"]
        ids.add(item.pop("id"))
        assert item.pop("url").startswith(city.url)
        assert item == {
            "kind": "RECORDING_SHARED",
            "comment": (comment or "").strip() or None,
            "startMs": start,
            "author": {"id": fan.id},
            "space": {"id": talk.space_id},
            "recording": {"id": talk.recording_id},
            "viewerCanDelete": True,
        }
    assert len(ids) == 3
    for given, path in (
        ({"startMs": -1}, "startMs"),
        ({"startMs": duration + 1}, "startMs"),
        ({"comment": "C" * 1001}, "comment"),
        ({"comment": "\0"}, "comment"),
    ):
        payload = await fan.try_("shareRecording", recordingId=talk.recording_id, **given)
        assert [(one["code"], one["path"]) for one in payload["errors"]] == [("INVALID_INPUT", [path])]
    assert (await _recording(host, talk.recording_id, "shareCount"))["shareCount"] == 3


async def test_its_author_alone_takes_a_share_back_once(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host)
    item = (await fan.do("shareRecording", "item { id }", recordingId=talk.recording_id))["item"]["id"]
    card = (await host.read("{ timeline { edges { node { id } } } }"))["timeline"]["edges"][0]["node"]["id"]
    assert await host.refused("deleteShare", itemId=item) == "FORBIDDEN"
    assert await host.refused("deleteShare", itemId=card) == "FORBIDDEN"
    gone = await fan.do("deleteShare", "deletedItemId", itemId=item)
    assert gone["deletedItemId"] == item
    payload = await fan.try_("deleteShare", "deletedItemId", itemId=item)
    assert payload["deletedItemId"] is None
    assert [(one["code"], one["path"]) for one in payload["errors"]] == [("NOT_FOUND", ["itemId"])]
    assert (await _recording(host, talk.recording_id, "shareCount"))["shareCount"] == 0
    assert (await host.read("query($id: ID!) { node(id: $id) { id } }", id=item))["node"] is None


async def test_a_space_can_be_shared_before_while_and_after_but_not_canceled(city: Town) -> None:
    host, fan = await city.person(), await city.person()
    space_id = (await host.new_space())["id"]
    want = "item { kind comment recording { id } space { state } }"
    for move, state in (("", "SCHEDULED"), ("startSpace", "LIVE"), ("endSpace", "ENDED")):
        if move:
            await host.do(move, spaceId=space_id)
        shared = (await fan.do("shareSpace", want, spaceId=space_id, comment="Go"))["item"]
        assert shared == {
            "kind": "SPACE_SHARED", "comment": "Go", "recording": None, "space": {"state": state},
        }  # fmt: skip
    canceled = (await host.new_space())["id"]
    await host.do("cancelSpace", spaceId=canceled)
    assert await fan.refused("shareSpace", spaceId=canceled) == "ALREADY_ENDED"


async def test_a_listening_counts_as_one_play(city: Town) -> None:
    host, listener = await city.person(), await city.person()
    talk = await recorded(city, host)

    async def link(person: Person) -> str:
        got = await _recording(person, talk.recording_id, "playback { url }")
        return str(got["playback"]["url"]).replace("index.m3u8", "programme.mp4")

    first = await link(listener)
    for headers in ({"Range": "bytes=0-9"}, {"Range": "bytes=10-"}, {}):
        await city.fetch(first, **headers)
    await city.http.head(await link(host))
    await city.fetch((await _recording(host, talk.recording_id, "download { url }"))["download"]["url"])
    await city.fetch(await link(city.anyone), Range="bytes=999999999-")
    assert (await _recording(host, talk.recording_id, "playCount"))["playCount"] == 1
    city.clock.move(timedelta(hours=1))
    await city.fetch(await link(listener))
    assert (await _recording(host, talk.recording_id, "playCount"))["playCount"] == 2


@pytest.mark.parametrize(
    ("points", "good"), [(1, True), (2000, True), (0, False), (2001, False), (-1, False)]
)
async def test_a_waveform_has_exactly_so_many_points(
    shared_talk: Talk, city: Town, points: int, *, good: bool
) -> None:
    answer = await city.anyone.ask(
        "query($id: ID!, $n: Int) { recording(id: $id) { waveform(points: $n) } }",
        id=shared_talk.recording_id,
        n=points,
    )
    if good:
        peaks = answer["data"]["recording"]["waveform"]
        assert len(peaks) == points
        assert all(0 <= peak <= 255 for peak in peaks)
        assert max(peaks) >= 40
    else:
        assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    default = await _recording(city.anyone, shared_talk.recording_id, "waveform")
    assert len(default["waveform"]) == 200


@pytest_asyncio.fixture(loop_scope="module")
async def shared_talk(city: Town) -> Talk:
    """A recorded Space."""
    return await recorded(city, await city.person())


@pytest.mark.parametrize(
    ("mutation", "given"),
    [
        ("trimRecording", {"startOffsetMs": 0}),
        ("shareRecording", {}),
        ("deleteRecording", {}),
        ("savePlaybackPosition", {"positionMs": 0}),
    ],
)
async def test_an_id_that_is_no_recordings_is_not_found(
    city: Town, mutation: str, given: dict[str, Any]
) -> None:
    person = await city.person()
    for wrong in (*GARBAGE_IDS, global_id("Recording"), person.id):
        payload = await person.try_(mutation, recordingId=wrong, **given)
        assert [(one["code"], one["path"]) for one in payload["errors"]] == [("NOT_FOUND", ["recordingId"])]


async def test_the_viewers_recordings_are_listed_newest_first(city: Town) -> None:
    host, other = await city.person(), await city.person()
    made = []
    for _ in range(3):
        city.clock.move(timedelta(seconds=1))
        made.append((await host.new_space("recording { id }", record=True))["recording"]["id"])
    query = "{ viewer { recordings { edges { node { id status } } pageInfo { hasNextPage } } } }"
    page = (await host.read(query))["viewer"]["recordings"]
    assert [edge["node"]["id"] for edge in page["edges"]] == list(reversed(made))
    assert (await other.read(query))["viewer"]["recordings"]["edges"] == []
