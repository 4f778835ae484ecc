"""Paths that climb, lie or lead out of the folder, and signatures that are changed, foreign or expired: no byte."""

import asyncio
import base64
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
import pytest_asyncio

from media.playlist import PLAYLIST, PROGRAMME
from services.links import Link, LinkKind, LinkSigner
from tests.product.court import Court, open_court
from tests.product.databases import databases
from tests.product.town import Town
from tests.product.voices import uuid_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What a folder of recordings must never give away.
SECRET = b"the secret that a link leads to " * 200
# Where a token stands in a path, whatever it opens.
PLACES = {
    "recordings/{}/index.m3u8": LinkKind.PLAYBACK,
    "recordings/{}/programme.mp4": LinkKind.PLAYBACK,
    "recordings/{}/recording.m4a": LinkKind.PLAYBACK,
    "downloads/{}/programme.mp4": LinkKind.DOWNLOAD,
    "archives/{}/recording.zip": LinkKind.ARCHIVE,
    "review/{}/index.m3u8": LinkKind.REVIEW,
    "review/{}/programme.mp4": LinkKind.REVIEW,
    "feeds/{}/recording.m4a": LinkKind.FEED,
    "clips/{}/index.m3u8": LinkKind.CLIP,
    "clips/{}/programme.mp4": LinkKind.CLIP,
    "clips/{}/clip.m4a": LinkKind.CLIP,
}
CLIMBS = (
    "../../../keys/links.key", "..%2f..%2f..%2fkeys%2flinks.key", "%2e%2e/%2e%2e/keys/links.key",
    "..%5c..%5ckeys%5clinks.key",
    "..%255c..%255ckeys", "%252e%252e%252fkeys", "..\\..\\keys\\links.key", "%00", "x%00.mp4", "%2fetc%2fpasswd",
    "/etc/passwd", "file:%2f%2f%2fetc%2fpasswd", "%c0%ae%c0%ae%2fkeys", "....//....//keys/links.key", "..;/keys",
    "~root/.ssh/id_rsa", "C:%5cwindows%5cwin.ini",
)  # fmt: skip


@dataclass
class Vault:
    """A court with a recording that can be played, one that is deleted, and every link to them."""

    court: Court
    public: str
    gone: str
    links: dict[str, str]

    @property
    def town(self) -> Town:
        """The server."""
        return self.court.town


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vault(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Vault]:
    folder = tmp_path_factory.mktemp("vault")
    async with open_court(folder / "data") as court:
        public = await court.recorded()
        cut = await court.host.do(
            "createClip", "clip { playback { url } }", recordingId=public, startMs=0, endMs=500, title="c"
        )
        gone, _ = await court.deleted()
        found = await court.of(public, "playback { url } download { url } archive { url }", by=court.host)
        playlist, review = found["playback"]["url"], await court.open_copy(gone)
        clip = cut["clip"]["playback"]["url"]
        feed = court.town.built.house.links.sign(
            Link(
                kind=LinkKind.FEED,
                subject_id=uuid_of(public),
                viewer_id=None,
                expires_at=court.town.clock.now() + timedelta(days=1),
            )
        )
        links = {
            "recordings/{}/index.m3u8": playlist,
            "recordings/{}/programme.mp4": urljoin(playlist, "programme.mp4"),
            "recordings/{}/recording.m4a": urljoin(playlist, "recording.m4a"),
            "downloads/{}/programme.mp4": found["download"]["url"],
            "archives/{}/recording.zip": found["archive"]["url"],
            "review/{}/index.m3u8": review,
            "review/{}/programme.mp4": urljoin(review, "programme.mp4"),
            "feeds/{}/recording.m4a": f"{court.town.url}/media/feeds/{feed}/recording.m4a",
            "clips/{}/index.m3u8": clip,
            "clips/{}/programme.mp4": urljoin(clip, "programme.mp4"),
            "clips/{}/clip.m4a": urljoin(clip, "clip.m4a"),
        }
        assert links.keys() == PLACES.keys()
        for place, link in links.items():
            answer = await court.town.fetch(link)
            assert (answer.status_code, bool(answer.content)) == (200, True), place
        yield Vault(court, public, gone, links)
    databases.forget(folder)


def no_byte(answer: httpx.Response, *, of: object) -> None:
    """Nothing of any recording, key or file: an error in JSON and no more."""
    assert 400 <= answer.status_code < 500, (of, answer.status_code)
    assert answer.headers["content-type"].startswith("application/json"), of
    assert len(answer.content) < 500, of


async def raw_get(town: Town, target: str) -> tuple[int, bytes]:
    """A request line as it is, without a client's tidying up."""
    parts = urlsplit(town.url)
    reader, writer = await asyncio.open_connection(cast(str, parts.hostname), parts.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]


async def test_no_path_that_climbs_or_lies_gives_a_byte_whatever_stands_before_it(vault: Vault) -> None:
    targets = [f"/media/{place.format(climb)}" for place in PLACES for climb in CLIMBS]
    folders = [urlsplit(link).path.rpartition("/")[0] for link in vault.links.values()]
    roots = ["/assets", "/static", "/media", "/avatars", "/exports", *folders]
    targets += [f"{root}/{climb}" for root in roots for climb in CLIMBS]
    for target in targets:
        status, body = await raw_get(vault.town, target)
        assert 400 <= status < 500, (target, status)
        assert len(body) < 500, target


@pytest.mark.parametrize("place", PLACES)
async def test_a_changed_or_truncated_signature_gives_no_byte(vault: Vault, place: str) -> None:
    link = vault.links[place]
    token = link.split("/")[-2]
    changed = [
        token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(0, len(token), 9)
    ]
    for wrong in (
        *changed,
        token[:-1],
        token[:40],
        f"{token}A",
        f"{token}%3D",
        token.swapcase(),
        token[::-1],
    ):
        no_byte(await vault.town.fetch(link.replace(token, wrong)), of=wrong)


@pytest.mark.parametrize("place", PLACES)
async def test_a_foreign_or_expired_signature_gives_no_byte(vault: Vault, place: str) -> None:
    town, link = vault.town, vault.links[place]
    token = link.split("/")[-2]
    ours = town.built.house.links
    good = ours.read(token, *LinkKind)
    foreign = LinkSigner(os.urandom(32), town.url).sign(good)
    facts = base64.urlsafe_b64decode(token + "==")[:-16]
    unsigned = base64.urlsafe_b64encode(facts + bytes(16)).rstrip(b"=").decode()
    old = good._replace(expires_at=town.clock.now())
    nobody = good._replace(subject_id=uuid_of(vault.court.host.id))
    for wrong in (foreign, unsigned, ours.sign(old), ours.sign(nobody)):
        answer = await town.fetch(link.replace(token, wrong))
        no_byte(answer, of=wrong)
        assert answer.status_code in {403, 404, 410}
    for other, another in vault.links.items():
        if PLACES[other] is not PLACES[place]:
            no_byte(await town.fetch(link.replace(token, another.split("/")[-2])), of=other)


@pytest.mark.parametrize("what", [PROGRAMME, PLAYLIST, "folder"])
async def test_a_link_in_the_data_folder_is_not_followed(vault: Vault, tmp_path: Path, what: str) -> None:
    outside = tmp_path / "outside"
    for recording in (vault.public, vault.gone):
        folder = vault.court.folder(recording)
        kept = tmp_path / f"kept-{folder.name}"
        shutil.move(folder, kept)
        shutil.rmtree(outside, ignore_errors=True)
        shutil.copytree(kept, outside)
        # As long as the real one: its index would fit.
        size = (outside / "programme.mp4").stat().st_size
        (outside / "programme.mp4").write_bytes((SECRET * (size // len(SECRET) + 1))[:size])
        if what == "folder":
            folder.symlink_to(outside)
        else:
            shutil.copytree(kept, folder)
            (folder / what).unlink()
            (folder / what).symlink_to(outside / what)
    try:
        for place, link in vault.links.items():
            answer = await vault.town.fetch(link)
            assert SECRET[:32] not in answer.content, place
            if what == PLAYLIST and PLACES[place] is LinkKind.ARCHIVE:
                continue  # it is made without the playlist
            assert answer.status_code == 503, place
            assert b"ftyp" not in answer.content, place
    finally:
        for recording in (vault.public, vault.gone):
            folder = vault.court.folder(recording)
            folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)
            shutil.move(tmp_path / f"kept-{folder.name}", folder)
    assert (await vault.town.fetch(vault.links["downloads/{}/programme.mp4"])).status_code == 200


async def test_review_copies_and_uploads_take_no_path_for_a_name(vault: Vault) -> None:
    moderator = vault.court.moderator
    for climb in (*CLIMBS, "", "\0", "../../keys/links.key"):
        wish = {"recordingId": climb, "reason": "r"}
        assert await moderator.refused("openReviewCopy", **wish) in {"NOT_FOUND", "INVALID_INPUT"}
        climbing = base64.urlsafe_b64encode(f"Recording:{climb}".encode()).decode()
        wish["recordingId"] = climbing
        assert await moderator.refused("openReviewCopy", **wish) in {"NOT_FOUND", "INVALID_INPUT"}
    before = sorted(vault.town.data_dir.rglob("*"))
    for name in ("../../evil.jpg", "..\\evil.jpg", "/etc/evil", "evil\\0.jpg"):
        answer = await vault.town.http.put(
            "/account/avatar",
            content=b"no picture",
            headers={**moderator.headers, "Content-Disposition": f'attachment; filename="{name}"'},
        )
        no_byte(answer, of=name)
    assert sorted(vault.town.data_dir.rglob("*")) == before
