"""Everybody is told at once whether a Space is being recorded, and of every change, none lost and none twice."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.media.lateness import lateness
from tests.media.publisher import SAMPLE_RATE_HZ, tone
from tests.product.player import between, fetch_playlist, level_of_tone, play, read_playlist
from tests.product.process import served_town
from tests.product.town import PATIENCE_S, Person, Town

STATUS = """subscription($id: ID!, $after: String) {
  recordingStatus(spaceId: $id, after: $after) { cursor at isRecording status durationMs sizeBytes } }"""
SPACE = """subscription($id: ID!, $after: String) {
  spaceUpdates(spaceId: $id, after: $after) { cursor at kind } }"""
TIMELINE = """subscription($after: String) { timelineUpdates(after: $after) { cursor at kind itemId } }"""
PULLED = """query($id: ID!, $after: String) { spaceEvents(spaceId: $id, first: 2, after: $after) {
  edges { cursor node { cursor at kind } } pageInfo { hasNextPage endCursor } } }"""
CARDS = """{ timeline { edges { node { kind recording { ...Card } space { recording { ...Card } } } } } }
fragment Card on Recording { status viewerCanPlay viewerCanShare playback { url } download { url } }"""

Event = dict[str, Any]


async def soon(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_a_joining_listener_sees_the_icon_in_the_very_first_answer(town: Town) -> None:
    host = await town.person()
    space_id = await host.live_space(record=True)
    first = await (await town.person()).do("joinSpace", "space { isRecording }", spaceId=space_id)
    assert first["space"]["isRecording"]
    voice = await host.publish(space_id, tone(frequency_hz=440, seconds=0.5))
    await host.until(space_id, "RECORDING")
    second = await (await town.person()).do("joinSpace", "space { isRecording }", spaceId=space_id)
    assert second["space"]["isRecording"]
    assert (await town.anyone.space(space_id, "isRecording"))["isRecording"]
    await voice.close()
    await host.until(space_id, "INTERRUPTED")
    third = await (await town.person()).do("joinSpace", "space { isRecording }", spaceId=space_id)
    assert third["space"]["isRecording"]
    await host.do("endSpace", spaceId=space_id)
    assert not (await town.anyone.space(space_id, "isRecording"))["isRecording"]


async def test_nobody_sees_the_icon_where_nothing_is_recorded(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    space_id = await host.live_space()
    joined = await guest.do("joinSpace", "space { isRecording recording { status } }", spaceId=space_id)
    assert joined["space"] == {"isRecording": False, "recording": None}
    async with guest.socket() as socket:
        status = await socket.subscribe(STATUS, id=space_id)
        assert (await socket.next(status))["isRecording"] is False


async def test_the_status_is_told_at_once_then_every_change_to_the_deletion(town: Town) -> None:
    host = await town.person()
    space_id = (await host.new_space(record=True))["id"]
    async with town.anyone.socket() as socket:
        status = await socket.subscribe(STATUS, id=space_id)
        told = [await socket.next(status)]
        await host.do("startSpace", spaceId=space_id)
        told.append(await socket.next(status))
        voice = await host.publish(space_id, tone(frequency_hz=440, seconds=1))
        told.append(await socket.next(status))
        await voice.play_to_end()
        await host.do("endSpace", spaceId=space_id)
        await voice.close()
        told.append(await socket.until(status, isRecording=False))
        told.append(await socket.next(status))
        recording_id = (await host.recording(space_id, "id"))["id"]
        await host.do("deleteRecording", recordingId=recording_id)
        told.append(await socket.next(status))
    assert [(event["status"], event["isRecording"]) for event in told] == [
        ("ARMED", False),
        ("STARTING", True),
        ("RECORDING", True),
        ("FINALIZING", False),
        ("AVAILABLE", False),
        ("DELETED", False),
    ]
    async with town.anyone.socket() as socket:
        late = await socket.subscribe(STATUS, id=space_id)
        assert (await socket.next(late))["status"] == "DELETED"


async def test_while_recording_a_tick_comes_every_second_also_when_people_come_and_go(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    space_id = await host.live_space(record=True)

    async def come_and_go() -> None:
        while True:
            await guest.do("joinSpace", spaceId=space_id)
            await asyncio.sleep(0.25)
            await guest.do("leaveSpace", spaceId=space_id)
            await asyncio.sleep(0.25)

    async with town.anyone.socket() as socket, lateness() as late:
        status = await socket.subscribe(STATUS, id=space_id)
        assert (await socket.next(status))["status"] == "STARTING"
        voice = await host.publish(space_id, tone(frequency_hz=440, seconds=5))
        change = await socket.next(status)
        restless = asyncio.create_task(come_and_go())
        heard_s = [time.monotonic()]
        ticks: list[Event] = []
        while len(ticks) < 3:
            ticks.append(await socket.next(status))
            heard_s.append(time.monotonic())
        restless.cancel()
        await voice.close()
    assert {(tick["status"], tick["cursor"]) for tick in ticks} == {("RECORDING", change["cursor"])}
    assert ticks[0]["durationMs"] < ticks[-1]["durationMs"]
    assert ticks[0]["sizeBytes"] < ticks[-1]["sizeBytes"]
    moments = [datetime.fromisoformat(event["at"]) for event in (change, *ticks)]
    pauses_s = [(after - before).total_seconds() for before, after in itertools.pairwise(moments)]
    assert max(pauses_s) <= late.allowing(1.0)
    assert max(after - before for before, after in itertools.pairwise(heard_s)) <= late.allowing(1.2)


@dataclass
class Follower:
    """Someone who writes down a subscription, goes away and comes back with the last cursor."""

    person: Person
    query: str
    variables: dict[str, Any]
    told: list[Event]

    async def listen(self, until: Callable[[Event], bool]) -> None:
        """Connect, and stay until something is heard."""
        async with self.person.socket() as socket:
            after = {"after": self.told[-1]["cursor"]} if self.told else {}
            name = await socket.subscribe(self.query, **self.variables, **after)
            while not (self.told and until(self.told[-1])):
                event = await socket.next(name)
                if not self.told or event["cursor"] != self.told[-1]["cursor"]:
                    self.told.append(event)
                else:
                    assert event["status"] == "RECORDING", f"expected {event} once"


def places(events: list[Event]) -> list[tuple[str, str]]:
    """What must be the same whenever it is told."""
    return [(event["cursor"], event["at"]) for event in events]


async def pulled(person: Person, space_id: str, after: str | None) -> list[Event]:
    """The sequence by query, two at a time."""
    found: list[Event] = []
    while True:
        page = (await person.read(PULLED, id=space_id, after=after))["spaceEvents"]
        assert [edge["cursor"] for edge in page["edges"]] == [
            edge["node"]["cursor"] for edge in page["edges"]
        ]
        found += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


@pytest.mark.long
async def test_from_any_cursor_nothing_is_lost_and_nothing_comes_twice_across_a_restart(
    tmp_path: Path,
) -> None:
    async with served_town(tmp_path) as town:
        host, guest = await town.person("host"), await town.person("guest")
        await guest.do("follow", userId=host.id)
        space_id = (await host.new_space(record=True))["id"]
        of_space = {"id": space_id}
        space = Follower(town.anyone, SPACE, of_space, [])
        status = Follower(town.anyone, STATUS, of_space, [])
        timeline = Follower(guest, TIMELINE, {}, [])
        public = Follower(town.anyone, TIMELINE, {}, [])
        followers = (space, status, timeline, public)
        for follower in followers:
            await follower.listen(lambda _: True)

        # Half of a Space's life, in which some are away; then the server goes and comes back.
        await host.do("updateSpace", spaceId=space_id, title="Another talk")
        await host.do("startSpace", spaceId=space_id)
        await guest.do("joinSpace", spaceId=space_id)
        await guest.do("raiseHand", spaceId=space_id, raised=True)
        await status.listen(lambda event: event["status"] == "STARTING")
        voice = await host.publish(space_id, tone(frequency_hz=440, seconds=1.2))
        await space.listen(lambda event: event["kind"] == "RECORDING_STATUS_CHANGED")
        await voice.play_to_end()
        await town.server.stop()
        await voice.close()
        await town.server.start()
        await status.listen(lambda event: event["status"] == "INTERRUPTED")
        voice = await host.publish(space_id, tone(frequency_hz=440, seconds=1.2))
        await status.listen(lambda event: event["status"] == "RECORDING")
        await voice.close()
        await status.listen(lambda event: event["status"] == "INTERRUPTED")
        await guest.do("leaveSpace", spaceId=space_id)
        await host.do("endSpace", spaceId=space_id)
        await status.listen(lambda event: event["status"] == "AVAILABLE")
        recording_id = (await host.recording(space_id, "id"))["id"]
        await host.do("shareRecording", recordingId=recording_id)

        pulled_all = await pulled(town.anyone, space_id, None)
        last = pulled_all[-1]["cursor"]
        await space.listen(lambda event: event["cursor"] == last)
        added = (await host.read(CARDS))["timeline"]["edges"]
        assert len(added) == 2
        await timeline.listen(lambda event: event["kind"] == "ADDED")
        available_at = status.told[-1]["at"]
        await public.listen(lambda event: event["at"] >= available_at)

        assert places(space.told[1:]) == places(pulled_all[-len(space.told) + 1 :])
        of_recording = set(places(status.told[1:]))
        assert of_recording <= set(places(pulled_all))
        assert [event["status"] for event in status.told] == [
            *("ARMED", "STARTING", "RECORDING", "INTERRUPTED"),
            *("RECORDING", "INTERRUPTED", "FINALIZING", "AVAILABLE"),
        ]
        for place, event in enumerate(pulled_all):
            assert await pulled(town.anyone, space_id, event["cursor"]) == pulled_all[place + 1 :]
        await hear_the_rest_from_everywhere(followers, host, recording_id)


async def hear_the_rest_from_everywhere(
    followers: tuple[Follower, ...], host: Person, recording_id: str
) -> None:
    """From each cursor on: just what followed, and after that the one thing that happens next."""
    async with host.town.anyone.socket() as nobody, followers[2].person.socket() as somebody:
        open_ones = []
        for follower in followers:
            socket = somebody if follower.person.token else nobody
            for place, event in enumerate(follower.told):
                name = await socket.subscribe(follower.query, **follower.variables, after=event["cursor"])
                rest = [await socket.next(name) for _ in follower.told[place + 1 :]]
                assert rest == follower.told[place + 1 :]
                open_ones.append((follower, socket, name))
        assert len(open_ones) > 20
        await host.do("deleteRecording", recordingId=recording_id)
        firsts: dict[str, Event] = {}
        for follower, socket, name in open_ones:
            following = await socket.next(name)
            assert firsts.setdefault(follower.query + str(follower.person.token), following) == following
            assert following["cursor"] not in {event["cursor"] for event in follower.told}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording that can be played."""

    space_id: str
    id: str
    playback: str
    download: str


async def recorded(host: Person) -> Recorded:
    """A Space of a second, over."""
    space_id = await host.live_space(record=True)
    voice = await host.publish(space_id, tone(frequency_hz=440, seconds=1))
    await voice.play_to_end()
    await voice.close()
    await host.do("endSpace", spaceId=space_id)
    found = await host.recording(space_id, "id playback { url } download { url }")
    return Recorded(space_id, found["id"], found["playback"]["url"], found["download"]["url"])


async def test_a_deletion_stops_an_open_player_at_its_next_request(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    await guest.do("follow", userId=host.id)
    recording = await recorded(host)
    await guest.do("shareRecording", recordingId=recording.id, comment="Listen!")
    await guest.do("shareSpace", spaceId=recording.space_id)
    of_guest = (await guest.recording(recording.space_id, "playback { url }"))["playback"]["url"]
    media = [url.replace("index.m3u8", "programme.mp4") for url in (recording.playback, of_guest)]
    urls = [recording.playback, of_guest, recording.download, *media]
    async with town.anyone.socket() as socket:
        status = await socket.subscribe(STATUS, id=recording.space_id)
        assert (await socket.next(status))["status"] == "AVAILABLE"
        for url in urls:
            assert (await town.fetch(url)).status_code == 200
        assert (await town.fetch(media[0], Range="bytes=0-99")).status_code == 206

        await host.do("deleteRecording", recordingId=recording.id)
        for url in urls:
            assert (await town.fetch(url)).status_code == 410
            assert (await town.http.head(url)).status_code in {405, 410}
        for span in ("bytes=0-99", "bytes=100-", "bytes=-1", "bytes=99999999-"):
            assert (await town.fetch(media[1], Range=span)).status_code == 410
        assert (await socket.next(status))["status"] == "DELETED"

    tombstone = {
        "status": "DELETED",
        "viewerCanPlay": False,
        "viewerCanShare": False,
        "playback": None,
        "download": None,
    }
    for person, count in ((host, 1), (guest, 3)):
        cards = [edge["node"] for edge in (await person.read(CARDS))["timeline"]["edges"]]
        assert [card["space"]["recording"] for card in cards] == [tombstone] * count
        # What is shared as a Space is about the Space, and its recording hangs there.
        of_cards = [card["recording"] for card in cards if card["kind"] != "SPACE_SHARED"]
        assert of_cards == [tombstone] * min(count, 2)
    assert await guest.refused("shareRecording", recordingId=recording.id) == "RECORDING_NOT_AVAILABLE"
    assert await host.refused("deleteRecording", recordingId=recording.id) == "RECORDING_NOT_AVAILABLE"


async def lists(town: Town, live: str, pieces: int) -> bool:
    """Whether a live playlist has come to so many pieces."""
    response = await town.fetch(live)
    return response.status_code == 200 and response.text.count("#EXTINF") >= pieces


async def test_who_listens_live_hears_on_when_the_recording_is_deleted(town: Town) -> None:
    host = await town.person()
    space_id = await host.live_space(record=True)
    live = (await town.anyone.space(space_id, "live { url }"))["live"]["url"]
    voice = await host.publish(space_id, tone(frequency_hz=440, seconds=20))
    await soon(lambda: lists(town, live, 1))
    recording_id = (await host.recording(space_id, "id"))["id"]
    heard = await fetch_playlist(town, live)
    await host.do("deleteRecording", recordingId=recording_id)
    await soon(lambda: lists(town, live, 1))
    following = await fetch_playlist(town, live)
    await voice.close()
    # RFC 8216, section 6.2.2: a number that a player has had is a segment that it has had.
    assert following.first_number >= heard.first_number + len(heard.pieces)


def plain(playlist: str) -> str:
    """What a player reads that knows nothing of low latency."""
    low_latency = ("#EXT-X-PART", "#EXT-X-PRELOAD-HINT", "#EXT-X-SERVER-CONTROL")
    return "".join(line for line in playlist.splitlines(keepends=True) if not line.startswith(low_latency))


async def test_a_live_playlist_only_grows_and_stays_good_over_the_end(town: Town) -> None:
    host = await town.person()
    space_id = await host.live_space(record=True)
    live = (await town.anyone.space(space_id, "live { url }"))["live"]["url"]
    voice = await host.publish(space_id, tone(frequency_hz=440, seconds=20))
    await soon(lambda: lists(town, live, 1))
    texts: list[str] = []

    async def three_pieces() -> bool:
        texts.append(plain((await town.fetch(live)).text))
        return texts[-1].count("#EXTINF") == 3

    await soon(three_pieces)
    await host.do("endSpace", spaceId=space_id)
    await voice.close()
    texts.append(plain((await town.fetch(live)).text))
    for before, after in itertools.pairwise(texts):
        # RFC 8216, section 6.2.1: nothing changes in an EVENT playlist, it is only added to.
        assert after.startswith(before)
    assert not read_playlist(texts[-2]).ended
    assert read_playlist(texts[-1]).ended
    assert len(await play(town, live)) > 3 * 0.95 * SAMPLE_RATE_HZ


def bytes_on_disk(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of each file."""
    stats = {str(path): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


async def test_deleted_while_live_the_recorder_and_the_icon_stop_and_the_space_goes_on(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    space_id = await host.live_space(record=True)
    live = (await guest.do("joinSpace", "live { url }", spaceId=space_id))["live"]["url"]
    async with town.anyone.socket() as socket:
        status = await socket.subscribe(STATUS, id=space_id)
        voice = await host.publish(space_id, tone(frequency_hz=440, seconds=20, level=0.3))
        await soon(lambda: lists(town, live, 2))
        recorded_piece = live.replace("index.m3u8", "programme.mp4")
        assert (await town.fetch(recorded_piece, Range="bytes=0-99")).status_code == 206
        recording_id = (await host.recording(space_id, "id"))["id"]

        await host.do("deleteRecording", recordingId=recording_id)
        written = bytes_on_disk(town.data_dir / "recordings")
        deleted = await socket.until(status, isRecording=False)
        assert deleted["status"] == "DELETED"
        assert (await town.fetch(recorded_piece, Range="bytes=0-99")).status_code == 410
        assert await town.anyone.space(space_id, "state isRecording") == {
            "state": "LIVE",
            "isRecording": False,
        }
        joined = await (await town.person()).do("joinSpace", "space { isRecording }", spaceId=space_id)
        assert not joined["space"]["isRecording"]

        await soon(lambda: lists(town, live, 2))
        playlist = await fetch_playlist(town, live)
        assert (playlist.ended, playlist.kind) == (False, None)
        heard = await play(town, live)
        inside = between(heard, 0.2, playlist.duration_s - 0.2)
        level_db = level_of_tone(inside, frequency_hz=440, reference=0.3, quantile=0.9)
        assert level_db == pytest.approx(0, abs=1)
        await host.do("endSpace", spaceId=space_id)
        await voice.close()
        assert bytes_on_disk(town.data_dir / "recordings") == written
    assert (await town.fetch(live)).status_code == 410
    ended = await host.space(space_id, "state recording { status playback { url } }")
    assert ended == {"state": "ENDED", "recording": {"status": "DELETED", "playback": None}}
