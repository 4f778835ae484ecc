"""Feeds of a host: recordings as a podcast, coming Spaces as a calendar, each read by another's parser."""

import io
from datetime import timedelta
from typing import Any

import feedparser
import podcastparser
import pytest
from ical.calendar_stream import IcsCalendarStream

from models.account import Account
from tests.media.sound import SAMPLE_RATE_HZ, decode
from tests.product.town import Person, Town
from tests.product.voices import at, iso, recorded, speak, uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _talk(host: Person, title: str, *, seconds: float = 1.0) -> str:
    """A recorded Space; its id."""
    space = await host.new_space(title=title, record=True, description="About <tea> & more")
    await host.do("startSpace", spaceId=space["id"])
    await speak(host.town, space["id"], seconds)
    await host.do("endSpace", spaceId=space["id"])
    return str(space["id"])


async def _podcast(host: Person) -> Any:
    answer = await host.town.fetch(f"/people/{host.handle}/podcast.xml")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/rss+xml")
    found = feedparser.parse(answer.content)
    assert not found.bozo, found.get("bozo_exception")
    other = podcastparser.parse(str(answer.url), io.BytesIO(answer.content))
    assert [one["guid"] for one in other["episodes"]] == [entry.id for entry in found.entries]
    return found


async def _agenda(host: Person) -> list[Any]:
    answer = await host.town.fetch(f"/people/{host.handle}/calendar.ics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/calendar")
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    return IcsCalendarStream.calendar_from_ics(answer.text).events


async def test_a_podcast_has_the_hosts_recordings_the_newest_first(city: Town) -> None:
    host, other = await city.person("Mira_Pod"), await city.person()
    first = await _talk(host, "Tea & <b>biscuits</b>")
    city.clock.move(timedelta(minutes=5))
    await _talk(host, "]]> “more”\N{SNOWMAN}")
    await recorded(city, other)
    await host.new_space(title="Not yet", record=True)
    found = await _podcast(host)
    assert found.feed.title == "Mira_Pod"
    assert [entry.title for entry in found.entries] == ["]]> “more”\N{SNOWMAN}", "Tea & <b>biscuits</b>"]
    entry = found.entries[1]
    ended = at((await host.space(first, "endedAt"))["endedAt"])
    assert entry.published_parsed[:6] == ended.timetuple()[:6]
    assert (await city.fetch(entry.link)).status_code == 200
    lower = await city.fetch("/people/mira_pod/podcast.xml")
    assert lower.status_code == 200


async def test_an_enclosure_plays_without_a_header_for_as_long_as_the_recording_is_public(city: Town) -> None:
    host = await city.person()
    space_id = await _talk(host, "Long-lived", seconds=2)
    (enclosure,) = (await _podcast(host)).entries[0].enclosures
    whole = await city.fetch(enclosure.href)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/mp4")
    assert len(whole.content) == int(enclosure.length) == int(whole.headers["content-length"])
    assert len(decode(whole.content)) / SAMPLE_RATE_HZ == pytest.approx(2, abs=0.1)
    part = await city.fetch(enclosure.href, Range="bytes=100-199")
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    expires = at((await host.recording(space_id, "expiresAt"))["expiresAt"])
    city.clock.stand_at(expires - timedelta(milliseconds=1))
    assert (await _podcast(host)).entries[0].enclosures[0].href == enclosure.href
    assert (await city.fetch(enclosure.href)).status_code == 200
    city.clock.stand_at(expires)
    assert (await city.fetch(enclosure.href)).status_code == 410
    assert (await _podcast(host)).entries == []


async def test_an_item_goes_with_its_recording_and_trimming_cuts_it(city: Town) -> None:
    host = await city.person()
    space_id = await _talk(host, "Cut", seconds=3)
    recording_id = (await host.recording(space_id, "id"))["id"]
    before = (await _podcast(host)).entries[0].enclosures[0]
    await host.do("trimRecording", recordingId=recording_id, startOffsetMs=2000)
    after = (await _podcast(host)).entries[0].enclosures[0]
    assert after.href == before.href
    cut = await city.fetch(after.href)
    assert len(cut.content) == int(after.length) < int(before.length)
    await host.do("deleteRecording", recordingId=recording_id)
    assert (await _podcast(host)).entries == []
    assert (await city.fetch(after.href)).status_code == 410


async def test_a_day_of_one_podcast_app_is_one_play(city: Town) -> None:
    host = await city.person()
    space_id = await _talk(host, "Plays")
    link = (await _podcast(host)).entries[0].enclosures[0].href
    for agent, byte in (("a", 0), ("a", 10), ("b", 0), ("b", 5)):
        await city.fetch(link, **{"User-Agent": agent, "Range": f"bytes={byte}-{byte}"})
    assert (await host.recording(space_id, "playCount"))["playCount"] == 2
    await city.http.head(link)
    city.clock.move(timedelta(days=1))
    await city.fetch(link, **{"User-Agent": "a"})
    assert (await host.recording(space_id, "playCount"))["playCount"] == 3


async def test_what_has_not_changed_is_not_sent_again(city: Town) -> None:
    host = await city.person()
    space_id = await _talk(host, "Cached")
    await host.new_space(scheduledStart=iso(city.clock.now() + timedelta(days=1)))
    for path in (f"/people/{host.handle}/podcast.xml", f"/people/{host.handle}/calendar.ics"):
        fresh = await city.fetch(path)
        assert "no-cache" in fresh.headers["cache-control"]
        city.clock.move(timedelta(seconds=5))
        kept = await city.fetch(path)
        assert kept.headers["etag"] == fresh.headers["etag"]
        date = kept.headers["last-modified"]
        for header in ({"If-None-Match": kept.headers["etag"]}, {"If-None-Match": "W/" + kept.headers["etag"]},
                       {"If-Modified-Since": date}):  # fmt: skip
            again = await city.fetch(path, **header)
            assert (again.status_code, again.content) == (304, b"")
        for header in ({"If-None-Match": '"x"'}, {"If-None-Match": '"x"', "If-Modified-Since": date},
                       {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, {"If-Modified-Since": "x"}):  # fmt: skip
            assert (await city.fetch(path, **header)).status_code == 200
    path = f"/people/{host.handle}/podcast.xml"
    kept = await city.fetch(path)
    city.clock.move(timedelta(seconds=5))
    await host.do("deleteRecording", recordingId=(await host.recording(space_id, "id"))["id"])
    city.clock.move(timedelta(seconds=5))
    for header in (
        {"If-None-Match": kept.headers["etag"]},
        {"If-Modified-Since": kept.headers["last-modified"]},
    ):
        assert (await city.fetch(path, **header)).status_code == 200


async def test_a_calendar_has_coming_spaces_and_says_what_was_moved_or_called_off(city: Town) -> None:
    city.clock.stand_at(city.clock.now().replace(microsecond=0))
    host = await city.person()
    start = city.clock.now() + timedelta(days=2)
    space = await host.new_space(title="Tea, again; and\nmore " + "é" * 80, scheduledStart=iso(start))
    await host.new_space(title="No time")
    (event,) = await _agenda(host)
    uid = event.uid
    assert str(uuid_of(space["id"])) in uid
    assert (event.summary, event.sequence) == ("Tea, again; and\nmore " + "é" * 80, 0)
    assert event.dtstart == start
    assert event.status.value == "CONFIRMED"
    assert (await city.fetch(str(event.url))).status_code == 200

    city.clock.stand_at(city.clock.now() + timedelta(hours=1))
    later = start + timedelta(hours=3)
    await host.do("updateSpace", spaceId=space["id"], scheduledStart=iso(later))
    (moved,) = await _agenda(host)
    assert (moved.uid, moved.dtstart) == (uid, later)
    assert moved.sequence > event.sequence
    assert moved.dtstamp == city.clock.now()

    city.clock.stand_at(city.clock.now() + timedelta(hours=1))
    await host.do("cancelSpace", spaceId=space["id"])
    (off,) = await _agenda(host)
    assert (off.uid, off.status.value) == (uid, "CANCELLED")
    assert off.sequence > moved.sequence
    city.clock.stand_at(later + timedelta(days=2))
    assert await _agenda(host) == []


async def test_a_space_stays_in_the_calendar_until_it_is_over(city: Town) -> None:
    host = await city.person()
    space = await host.new_space(scheduledStart=iso(city.clock.now() + timedelta(minutes=5)))
    await host.do("startSpace", spaceId=space["id"])
    assert len(await _agenda(host)) == 1
    await host.do("endSpace", spaceId=space["id"])
    assert await _agenda(host) == []


async def test_feeds_of_nobody_are_not_there_and_of_a_deleted_account_gone(city: Town) -> None:
    host = await city.person()
    for handle, status in (
        (host.handle, 200),
        ("nobody_at_all", 404),
        ("x", 404),
        ("%00", 404),
        ("é" * 40, 404),
    ):
        for name in ("podcast.xml", "calendar.ics"):
            assert (await city.fetch(f"/people/{handle}/{name}")).status_code == status
    await Account.filter(id=uuid_of(host.id)).update(deleted_at=city.clock.now())
    assert (await city.fetch(f"/people/{host.handle}/podcast.xml")).status_code == 410


async def test_no_character_breaks_a_feed(city: Town) -> None:
    host = await city.person()
    await host.do("updateAccount", name="A\ufffeB\uffff & <c>", bio="]]>")
    await _talk(host, "T\ufffe\N{PILE OF POO}")
    await host.new_space(title="\ufffe;,\\n", scheduledStart=iso(city.clock.now() + timedelta(days=1)))
    found = await _podcast(host)
    assert found.feed.title == "AB & <c>"
    assert found.entries[0].title == "T\N{PILE OF POO}"
    assert (await _agenda(host))[0].summary == ";,\\n"
