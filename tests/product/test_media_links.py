"""A media link that was good and is no more answers 410, one that never was 403 or 404; and what a player
that comes back with an entity tag gets."""

import asyncio
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from media.playlist import first_number_at
from models.fields import to_ms
from tests.media.publisher import tone
from tests.product.player import read_playlist
from tests.product.test_card_pages import Page, card_of
from tests.product.town import Person, Town, open_town
from tests.product.voices import recorded

NEVER = {403, 404}


async def links_of(host: Person, space_id: str) -> dict[str, str]:
    """Every link to a recording, by what it opens."""
    recording = await host.recording(space_id, "playback { url } download { url } archive { url }")
    playlist = recording["playback"]["url"]
    return {
        "playlist": playlist,
        "bytes": urljoin(playlist, "programme.mp4"),
        "download": recording["download"]["url"],
        "archive": recording["archive"]["url"],
    }


async def live_links_of(town: Town, space_id: str) -> dict[str, str]:
    """Every link to a live Space."""
    playlist = (await town.anyone.space(space_id, "live { url }"))["live"]["url"]
    read = read_playlist((await town.fetch(playlist)).text)
    assert read.init is not None
    return {
        "playlist": playlist,
        "init": urljoin(playlist, read.init.uri),
        "piece": urljoin(playlist, read.pieces[-1].uri),
    }


async def test_every_link_to_a_recording_is_410_once_it_is_deleted_and_403_when_it_is_made_up(
    town: Town,
) -> None:
    host = await town.person()
    talk = await recorded(town, host)
    links = await links_of(host, talk.space_id)
    live = (await town.anyone.space(talk.space_id, "live { url }"))["live"]
    assert live is None
    for link in links.values():
        assert (await town.fetch(link)).status_code == 200
        token = link.split("/")[-2]
        assert (await town.fetch(link.replace(token, "A" * len(token)))).status_code in NEVER
        assert (await town.fetch(link.replace(token, ""))).status_code in NEVER
        assert (await town.fetch(link + "x")).status_code in NEVER
    await host.do("deleteRecording", recordingId=talk.recording_id)
    for link in links.values():
        for header in ({}, {"Range": "bytes=0-0"}, {"If-None-Match": "*"}):
            assert (await town.fetch(link, **header)).status_code == 410


async def test_of_a_live_space_that_is_not_recorded_what_has_passed_is_410_and_what_never_was_404(
    town: Town,
) -> None:
    host = await town.person()
    space_id = await host.live_space()
    publisher = await host.publish(space_id, tone(frequency_hz=440, seconds=60))
    playlist = (await town.anyone.space(space_id, "live { url }"))["live"]["url"]
    async with asyncio.timeout(30):
        while len(read_playlist((await town.fetch(playlist)).text).pieces) < 2:
            await asyncio.sleep(0.1)
    links = await live_links_of(town, space_id)
    for link in links.values():
        assert (await town.fetch(link)).status_code == 200
        token = link.split("/")[-2]
        assert (await town.fetch(link.replace(token, "A" * len(token)))).status_code in NEVER
    number = int(links["piece"].rpartition("-")[2].partition(".")[0])
    generation = int(links["init"].rpartition("-")[2].partition(".")[0])
    before = first_number_at(to_ms(town.clock.now() - timedelta(hours=1)))
    for name, status in {
        f"live-{number + 1000}.m4s": 404,
        f"live-{before}.m4s": 404,
        "live-0.m4s": 404,
        f"init-{generation + 1}.mp4": 404,
        f"init-{before}.mp4": 404,
        "programme.mp4": 404,
        "live-x.m4s": 404,
        f"part-{number}-99.m4s": 404,
        f"part-{before}-0.m4s": 404,
    }.items():
        assert (await town.fetch(urljoin(playlist, name))).status_code == status, name
    known = (await town.fetch(links["piece"])).headers["etag"]
    assert (await town.fetch(links["piece"], **{"If-None-Match": known})).status_code == 304
    await publisher.close()
    await host.do("endSpace", spaceId=space_id)
    for link in links.values():
        assert (await town.fetch(link)).status_code == 410


async def test_what_was_recorded_live_and_deleted_meanwhile_is_410_and_the_window_goes_on(town: Town) -> None:
    host = await town.person()
    space_id = await host.live_space(record=True)
    publisher = await host.publish(space_id, tone(frequency_hz=440, seconds=60))
    playlist = (await town.anyone.space(space_id, "live { url }"))["live"]["url"]
    async with asyncio.timeout(30):
        while not read_playlist((await town.fetch(playlist)).text).pieces:
            await asyncio.sleep(0.1)
    links = await live_links_of(town, space_id)
    assert (await town.fetch(links["piece"], Range="bytes=0-0")).status_code == 206
    assert (await town.fetch(urljoin(playlist, "live-0.m4s"))).status_code == 404
    recording = await host.recording(space_id, "id")
    await host.do("deleteRecording", recordingId=recording["id"])
    assert (await town.fetch(links["piece"])).status_code == 410
    assert (await town.fetch(playlist)).status_code == 200
    await publisher.close()


@pytest.mark.parametrize("name", ["bytes", "download"])
async def test_a_range_is_answered_alone_only_while_the_bytes_are_those_that_the_player_has(
    town: Town, name: str
) -> None:
    host = await town.person()
    talk = await recorded(town, host, seconds=3)
    links = await links_of(host, talk.space_id)
    whole = await town.fetch(links[name])
    tag = whole.headers["etag"]
    assert tag.startswith('"')
    for if_range, status in {
        tag: 206,
        '"another"': 200,
        f"W/{tag}": 200,
        "Fri, 29 Oct 2021 12:00:00 GMT": 200,
    }.items():
        part = await town.fetch(links[name], Range="bytes=10-19", **{"If-Range": if_range})
        assert part.status_code == status, if_range
        assert part.headers["etag"] == tag
        assert part.content == (whole.content[10:20] if status == 206 else whole.content)
    for known, status in {tag: 304, f'"x", W/{tag}': 304, "*": 304, '"another"': 200}.items():
        again = await town.fetch(links[name], **{"If-None-Match": known})
        assert (again.status_code, again.headers["etag"]) == (status, tag)
        assert again.content == (b"" if status == 304 else whole.content)
        assert "no-store" in again.headers["cache-control"]


async def test_a_trim_makes_other_bytes_of_what_listeners_get_and_not_of_the_host_s_download(
    town: Town,
) -> None:
    host = await town.person()
    talk = await recorded(town, host, seconds=4)
    links = await links_of(host, talk.space_id)
    before = {name: (await town.fetch(links[name])).headers.get("etag") for name in links}
    await host.do("trimRecording", recordingId=talk.recording_id, startOffsetMs=2500)
    after = {name: (await town.fetch(links[name])).headers.get("etag") for name in links}
    assert {name for name in links if before[name] != after[name]} == {"playlist", "bytes"}
    resumed = await town.fetch(links["bytes"], Range="bytes=100-", **{"If-Range": before["bytes"] or ""})
    assert resumed.status_code == 200


async def test_below_a_path_every_address_of_a_page_leads_back_through_the_proxy(tmp_path: Path) -> None:
    base = "https://spaces.example/base/"
    async with open_town(tmp_path / "data", quiet=True, public_url=base) as town:
        host = await town.person("mira")
        space_id = await host.live_space(record=True)
        await host.do("endSpace", spaceId=space_id)
        card = str((await card_of(host))["url"])
        assert card.startswith(base)

        async def through_proxy(url: str) -> httpx.Response:
            return await town.fetch("/" + url.removeprefix(base))

        for url in (card, card.replace("/cards/", "/embed/"), f"{base}timeline", base, f"{base}people/mira"):
            answer = await through_proxy(url)
            policy = answer.headers["content-security-policy"]
            for kind in ("media-src", "style-src", "img-src"):
                assert f"{kind} 'self' https://spaces.example;" in policy
            page = Page(answer.text)
            named = [str(value) for _, attrs in page.elements for name in ("src", "href")
                     if (value := attrs.get(name)) is not None]  # fmt: skip
            assert len(named) > 2
            assert all(one.startswith(base) for one in named), named
            for source in {one for one in named if "/media/" in one or "/assets/" in one or "/oembed" in one}:
                assert (await through_proxy(source)).status_code == 200
        assert "cannot run under a path" in (await through_proxy(base)).text
        graphql = await town.fetch("/graphql", Accept="text/html")
        assert f"{base}graphql" in graphql.text
