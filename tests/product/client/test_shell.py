"""The page that carries the client: what it allows, and what stands in its place where it was not built."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api import client
from tests.product.client.visitor import BUILT, skip_unless_built
from tests.product.test_card_pages import Page, card_of
from tests.product.town import Town
from tests.product.voices import recorded

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT_BYTES = 120_000


async def test_every_path_of_the_client_carries_a_policy_without_inline_script(city: Town) -> None:
    skip_unless_built()
    for path in ("/", "/sign-in", "/people/mira", "/spaces/x", "/new", "/offline"):
        answer = await city.http.get(path)
        policy = answer.headers["content-security-policy"]

        assert answer.status_code == 200
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "<script>" not in answer.text
        assert "style=" not in answer.text


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The client as it is built, as far as heads go, also where Node.js is not."""
    source = Path(__file__).parent.parent.parent.parent / "web" / "client" / "index.html"
    (tmp_path / "index.html").write_text(source.read_text())
    client._html.cache_clear()
    monkeypatch.setattr(client, "_CLIENT", tmp_path)
    yield
    client._html.cache_clear()


async def _head(town: Town, path: str) -> Page:
    answer = await town.http.get(path)
    assert answer.status_code == 200
    assert answer.text.count("<title>") == 1
    return Page(answer.text)


@pytest.mark.usefixtures("shell")
async def test_a_link_to_a_space_tells_what_its_card_tells(city: Town) -> None:
    host = await city.person()
    await host.do("updateAccount", name='Mira "&" <b>')
    space = await host.new_space(title="</title><script>1</script>")
    page = await _head(city, f"/spaces/{space['id']}")
    card = await card_of(host)
    assert "</title><script>1</script> · Spaces" in page.said
    assert page.meta("og:title") == "</title><script>1</script>"
    assert page.meta("og:description") == page.meta("description") == 'Hosted by Mira "&" <b>'
    assert (page.meta("og:url"), page.meta("og:type")) == (card["url"], "website")
    assert page.meta("og:audio") is None
    picture = await city.fetch(str(page.meta("og:image")))
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    (link,) = [one["href"] for one in page.all("link") if one.get("type") == "application/json+oembed"]
    by_card = (await city.fetch(str(link))).json()
    by_space = (await city.http.get("/oembed", params={"url": f"{city.url}/spaces/{space['id']}"})).json()
    assert by_card == by_space
    assert by_card["url"] == card["url"]


@pytest.mark.usefixtures("shell")
async def test_a_link_to_a_space_gives_its_sound_only_where_anyone_may_play(city: Town) -> None:
    host = await city.person()
    talk = await recorded(city, host)
    sound = (await _head(city, f"/spaces/{talk.space_id}")).meta("og:audio")
    assert (await city.fetch(str(sound))).status_code == 200
    await host.do("deleteRecording", recordingId=talk.recording_id)
    page = await _head(city, f"/spaces/{talk.space_id}")
    assert page.meta("og:audio") is None
    assert page.meta("og:description") == "The host deleted this recording."


@pytest.mark.usefixtures("shell")
async def test_a_link_to_a_person_shows_them_and_one_to_nobody_nothing(city: Town) -> None:
    person = await city.person("head_of")
    await person.do("updateAccount", bio="Sings.")
    page = await _head(city, "/people/HEAD_of")
    assert (page.meta("og:title"), page.meta("og:type")) == ("Head_Of", "profile")
    assert page.meta("og:description") == "Sings."
    assert page.meta("og:url") == f"{city.url}/people/head_of"
    for path in ("/people/nobody_at_all", "/people/%00", "/spaces/x", "/spaces/U3BhY2U6eA", "/new"):
        assert (await _head(city, path)).meta("og:title") is None, path
    for unknown in ("spaces/x", "spaces/", "people/head_of", ""):
        answer = await city.http.get("/oembed", params={"url": f"{city.url}/{unknown}"})
        assert answer.status_code == 404, unknown


async def test_a_wrong_address_is_a_page_for_browsers_and_an_error_for_programs(
    city: Town, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "_CLIENT", tmp_path)
    seen = await city.http.get("/no/such/page", headers={"Accept": "text/html,*/*;q=0.8"})
    assert seen.status_code == 404
    assert "Accept" in seen.headers["vary"].split(", ")
    assert "<h1>There is no such page</h1>" in seen.text

    for told in (
        await city.http.get("/no/such/page"),
        await city.http.post("/no", headers={"Accept": "text/html"}),
    ):
        assert told.status_code == 404
        assert told.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_built_files_go_compressed_and_are_kept_for_good(city: Town) -> None:
    skip_unless_built()
    (script,) = BUILT.glob("assets/client-*.js")
    answer = await city.http.get(f"/static/client/assets/{script.name}")

    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert (await city.http.get("/worker.js")).headers["cache-control"] == "no-cache"


@pytest.mark.needs_node
async def test_the_script_before_hls_js_is_at_most_120_kb() -> None:
    skip_unless_built()
    scripts = [file for file in BUILT.rglob("*.js") if not file.name.startswith("hls")]

    assert any(file.name.startswith("client-") for file in scripts)
    assert sum(len(gzip.compress(file.read_bytes())) for file in scripts) <= SCRIPT_BYTES


@pytest.mark.needs_node
async def test_each_operation_of_the_client_is_told_by_its_hash() -> None:
    skip_unless_built()
    trusted: dict[str, str] = json.loads((BUILT / "documents.json").read_text())

    assert any("timelineUpdates" in text for text in trusted.values())
    assert all(hashlib.sha256(text.encode()).hexdigest() == key for key, text in trusted.items())


async def test_without_node_the_api_says_so_and_shows_the_timeline(
    city: Town, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "_CLIENT", tmp_path)

    answers: list[httpx.Response] = [
        await city.http.get(path) for path in ("/", "/spaces/x", "/worker.js", "/offline")
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 404, 404]
    assert all("Node.js 20.19" in answer.text for answer in answers)
    assert "<h1>Timeline</h1>" in answers[0].text
    assert "Node.js" not in (await city.http.get("/timeline")).text
