"""Public pages of cards as programs read them: what they show without a script, who may frame them, what is gone."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from tests.media.sound import decode
from tests.product.town import Person, Town
from tests.product.voices import recorded

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Page(HTMLParser):
    """A page's elements, and what it says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    def meta(self, name: str) -> str | None:
        found = [one for one in self.all("meta") if name in {one.get("property"), one.get("name")}]
        return found[0]["content"] if found else None


async def _page(town: Town, url: str, status: int = 200) -> Page:
    answer = await town.fetch(url)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = Page(answer.text)
    assert page.all("script") == []
    own = urlsplit(town.url).netloc
    loaded = [one[name] for tag, name in (("img", "src"), ("source", "src"), ("audio", "src"), ("iframe", "src"))
              for one in page.all(tag) if one.get(name)]  # fmt: skip
    loaded += [one["href"] for one in page.all("link") if one.get("rel") in {"stylesheet", "icon"}]
    assert all(urlsplit(str(url)).netloc in {"", own} for url in loaded)
    assert not any(name.startswith("on") or name == "style" for _, attrs in page.elements for name in attrs)
    return page


async def card_of(person: Person, want: str = "url") -> Any:
    answer = await person.read(f"{{ timeline(first: 1) {{ edges {{ node {{ {want} }} }} }} }}")
    return answer["timeline"]["edges"][0]["node"]


async def test_a_page_shows_title_host_and_player_without_a_script(city: Town) -> None:
    host = await city.person("mira_page")
    await recorded(city, host)
    url = (await card_of(host))["url"]
    page = await _page(city, url)
    assert "A talk" in page.said
    assert "Hosted by Mira_Page" in page.said
    (audio,) = page.all("audio")
    assert "controls" in audio
    assert [source["type"] for source in page.all("source")] == ["audio/mp4", "application/vnd.apple.mpegurl"]
    one_file = await city.fetch(str(page.all("source")[0]["src"]))
    assert len(decode(one_file.content)) > 0
    assert (await city.fetch(str(page.all("source")[1]["src"]))).text.startswith("#EXTM3U")
    assert page.meta("og:title") == "A talk"
    assert page.meta("og:url") == url
    assert page.meta("og:description") == "Hosted by Mira_Page"
    assert (await city.fetch(str(page.meta("og:image")))).headers["content-type"].startswith("image/")
    sound = await city.fetch(str(page.meta("og:audio")))
    assert (sound.status_code, sound.headers["content-type"]) == (200, "audio/mp4")
    feeds = {one["type"]: one["href"] for one in page.all("link") if one.get("rel") == "alternate"}
    assert set(feeds) == {"application/json+oembed", "application/rss+xml", "text/calendar"}
    for feed in feeds.values():
        assert (await city.fetch(str(feed))).status_code == 200


async def test_oembed_gives_a_player_that_any_page_may_frame(city: Town) -> None:
    host = await city.person()
    await host.do("updateAccount", name='Mira "&" <b>')
    await recorded(city, host)
    url = (await card_of(host))["url"]
    (link,) = [
        one for one in (await _page(city, url)).all("link") if one.get("type") == "application/json+oembed"
    ]
    answer = (await city.fetch(str(link["href"]))).json()
    assert (answer["version"], answer["type"], answer["title"]) == ("1.0", "rich", "A talk")
    assert answer["author_name"] == 'Mira "&" <b>'
    (frame,) = Page(answer["html"]).all("iframe")
    assert (frame["width"], frame["height"]) == (str(answer["width"]), str(answer["height"]))
    embedded = await city.fetch(str(frame["src"]))
    assert "frame-ancestors *" in embedded.headers["content-security-policy"]
    page = await _page(city, str(frame["src"]))
    assert len(page.all("audio")) == 1
    assert 'Hosted by Mira "&" <b>' in page.said
    assert "frame-ancestors 'none'" in (await city.fetch(url)).headers["content-security-policy"]
    small = (
        await city.fetch(
            "/oembed",
        )
    ).status_code
    assert small == 404


async def test_oembed_keeps_within_what_it_is_asked_for(city: Town) -> None:
    host = await city.person()
    await host.new_space()
    url = (await card_of(host))["url"]

    async def asked(**given: str) -> Any:
        return await city.http.get("/oembed", params={"url": url, **given})

    small = (await asked(maxwidth="200", maxheight="100")).json()
    assert (small["width"], small["height"]) == (200, 100)
    large = (await asked(maxwidth="5000", maxheight="5000")).json()
    assert (large["width"], large["height"]) == (480, 220)
    assert (await asked(format="json")).status_code == 200
    assert (await asked(format="xml")).status_code == 400
    for bad in ("0", "-1", "x", "1e3", "٣", "9" * 30):
        assert (await asked(maxwidth=bad)).status_code == 400, bad
    for bad in ("", "x", url + "x", "https://example.org/cards/1", url.replace("/cards/", "/embed/")):
        assert (await city.http.get("/oembed", params={"url": bad})).status_code == 404, bad


async def test_a_share_that_was_taken_back_is_gone_and_one_that_never_was_not_found(city: Town) -> None:
    host = await city.person()
    space = await host.new_space()
    item = (await host.do("shareSpace", "item { id url }", spaceId=space["id"]))["item"]
    embed = item["url"].replace("/cards/", "/embed/")
    oembed = f"/oembed?url={item['url']}"
    assert [(await city.fetch(url)).status_code for url in (item["url"], embed, oembed)] == [200] * 3
    await host.do("deleteShare", itemId=item["id"])
    assert [(await city.fetch(url)).status_code for url in (item["url"], embed, oembed)] == [410] * 3
    assert "taken back" in (await _page(city, item["url"], 410)).said
    city.clock.move(timedelta(days=60))
    await city.round()
    assert (await city.fetch(item["url"])).status_code == 410
    never = re.sub("[0-9a-f]", "0", item["url"].rpartition("/")[2])
    for path in (f"/cards/{never}", f"/embed/{never}", "/cards/x", "/embed/x", "/cards/%00"):
        await _page(city, urljoin(city.url, path), 404)


@pytest.mark.parametrize("end", ["deleted", "taken down", "expired", "purged"])
async def test_a_tombstone_says_why(city: Town, end: str) -> None:
    host, fan = await city.person(), await city.person()
    talk = await recorded(city, host)
    shared = await fan.do("shareRecording", "item { url }", recordingId=talk.recording_id)
    clip = await fan.do(
        "createClip", "item { url }", recordingId=talk.recording_id, startMs=0, endMs=500, title="The point"
    )
    words = {
        "deleted": "The host deleted this recording.",
        "taken down": "A moderator took this recording down.",
        "expired": "This recording has expired.",
        "purged": "This recording is gone for good.",
    }
    if end == "taken down":
        moderator = await city.moderator()
        await moderator.do("reviewRecording", recordingId=talk.recording_id, decision="VIOLATION", note="x")
    elif end == "expired":
        city.clock.move(timedelta(days=30))
    else:
        await host.do("deleteRecording", recordingId=talk.recording_id)
    if end == "purged":
        city.clock.move(timedelta(days=31))
        await city.round()
    for url in ((await card_of(host))["url"], shared["item"]["url"], clip["item"]["url"]):
        for address in (url, url.replace("/cards/", "/embed/")):
            page = await _page(city, address)
            assert words[end] in page.said
            assert page.all("audio") == []
            assert page.meta("og:audio") is None
            assert page.meta("og:description") in {words[end], None}


async def test_the_page_of_a_clip_plays_the_clip(city: Town) -> None:
    host, fan = await city.person("host_of_it"), await city.person("cutter")
    talk = await recorded(city, host, seconds=3)
    made = await fan.do(
        "createClip",
        "item { url }",
        recordingId=talk.recording_id,
        startMs=1000,
        endMs=2000,
        title="The point",
    )
    page = await _page(city, made["item"]["url"])
    assert "The point" in page.said
    assert "Cutter cut a clip" in " ".join(page.said.split())
    assert "From “A talk”, hosted by Host_Of_It" in page.said
    clip, playlist = [await city.fetch(str(source["src"])) for source in page.all("source")]
    whole = await city.fetch((await city.anyone.space(talk.space_id, "recording { playback { url } }"))
                             ["recording"]["playback"]["url"])  # fmt: skip
    assert len(decode(clip.content)) < 3 * 48_000
    assert playlist.text.count("#EXTINF") < whole.text.count("#EXTINF")
    await host.do("trimRecording", recordingId=talk.recording_id, startOffsetMs=2500)
    assert "cut this part off" in (await _page(city, made["item"]["url"])).said


async def test_a_page_of_a_space_says_where_it_is(city: Town) -> None:
    host = await city.person()
    space = await host.new_space()
    url = (await card_of(host))["url"]
    assert "not started yet" in (await _page(city, url)).said
    await host.do("startSpace", spaceId=space["id"])
    live = await _page(city, url)
    assert [source["type"] for source in live.all("source")] == ["application/vnd.apple.mpegurl"]
    await host.do("endSpace", spaceId=space["id"])
    assert "was not recorded" in (await _page(city, url)).said
    off = await host.new_space()
    await host.do("cancelSpace", spaceId=off["id"])
    assert "called off" in (await _page(city, (await card_of(host))["url"])).said
