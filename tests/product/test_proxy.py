"""Recordings handed out by the proxy in front, by X-Accel-Redirect: the same bytes, and gone at the same instant."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from api.settings import Settings
from media.playlist import PROGRAMME
from tests.product.nginx import SITE, nginx
from tests.product.test_media_links import links_of
from tests.product.town import Person, free_port, open_town
from tests.product.voices import uuid_of

BELOW = "/recorded-bytes"


async def quiet_recording(host: Person) -> tuple[str, str]:
    """A Space of theirs that is over, and its recording of a second of silence."""
    space_id = await host.live_space(record=True)
    await host.do("endSpace", spaceId=space_id)
    return space_id, str((await host.recording(space_id, "id"))["id"])


async def test_only_what_may_be_heard_to_the_last_byte_is_left_to_the_proxy_and_nothing_that_is_gone(
    tmp_path: Path,
) -> None:
    async with open_town(tmp_path / "data", quiet=True, x_accel_path=BELOW) as town:
        host = await town.person()
        space_id, recording_id = await quiet_recording(host)
        links = await links_of(host, space_id)
        place = f"{BELOW}/{uuid_of(recording_id)}/{PROGRAMME}"
        for name in ("bytes", "download"):
            for asked in ({}, {"Range": "bytes=0-9"}):
                answer = await town.fetch(links[name], **asked)
                assert (answer.status_code, answer.headers["x-accel-redirect"]) == (200, place)
                assert answer.content == b""
                assert answer.headers["cache-control"] == "private, no-store"
        assert (await host.recording(space_id, "playCount"))["playCount"] == 1
        assert "x-accel-redirect" not in (await town.fetch(links["playlist"])).headers

        # More than the playlist names is in the file: a torn end, after a crash.
        programme = town.data_dir / "recordings" / str(uuid_of(recording_id)) / PROGRAMME
        whole = programme.read_bytes()
        programme.write_bytes(whole + b"torn")
        answer = await town.fetch(links["bytes"])
        assert ("x-accel-redirect" in answer.headers, answer.content) == (False, whole)
        programme.write_bytes(whole)

        # What the host has cut off is for nobody but the host.
        await host.do("trimRecording", recordingId=recording_id, startOffsetMs=990)
        cut = await town.fetch(links["bytes"])
        assert ("x-accel-redirect" in cut.headers, 0 < len(cut.content) < len(whole)) == (False, True)
        assert "x-accel-redirect" in (await town.fetch(links["download"])).headers
        await host.do("deleteRecording", recordingId=recording_id)
        for link in links.values():
            answer = await town.fetch(link)
            assert (answer.status_code, "x-accel-redirect" in answer.headers) == (410, False)


def test_every_setting_that_the_configuration_of_nginx_speaks_of_is_one() -> None:
    named = set(re.findall(r"\bSPACES_\w+", SITE.read_text(encoding="utf-8")))
    assert named <= {f"SPACES_{name.upper()}" for name in Settings.model_fields}
    assert "SPACES_X_ACCEL_PATH" in named


@pytest.mark.long
@pytest.mark.needs_nginx
async def test_behind_nginx_everyone_gets_the_bytes_that_there_are_and_a_deletion_takes_effect_at_once(
    tmp_path: Path,
) -> None:
    front = free_port()
    changes: dict[str, Any] = {
        "x_accel_path": BELOW,
        "public_url": f"http://127.0.0.1:{front}",
        "trusted_proxies": "127.0.0.1",
    }
    async with open_town(tmp_path / "data", quiet=True, **changes) as town:
        recordings = town.data_dir / "recordings"
        upstream = urlsplit(town.url).port
        assert upstream is not None
        async with nginx(tmp_path / "nginx", port=front, upstream=upstream, recordings=recordings):
            host = await town.person()
            space_id, recording_id = await quiet_recording(host)
            folder = recordings / str(uuid_of(recording_id))
            whole = (folder / PROGRAMME).read_bytes()
            links = await links_of(host, space_id)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{front}") as http:
                found = await http.get(links["bytes"])
                assert (found.status_code, found.content) == (200, whole)
                assert found.headers["content-type"] == "audio/mp4"
                assert found.headers["cache-control"] == "private, no-store"
                assert found.headers["x-content-type-options"] == "nosniff"
                assert found.headers["access-control-allow-origin"] == "*"
                part = await http.get(links["bytes"], headers={"Range": "bytes=10-19"})
                assert (part.status_code, part.content) == (206, whole[10:20])
                assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
                tag = {"If-None-Match": found.headers["etag"]}
                assert (await http.get(links["bytes"], headers=tag)).status_code == 304
                assert (await http.head(links["bytes"])).headers["content-length"] == str(len(whole))
                beyond = {"Range": f"bytes={len(whole)}-"}
                assert (await http.get(links["bytes"], headers=beyond)).status_code == 416
                download = await http.get(links["download"])
                assert download.headers["content-disposition"].startswith("attachment;")

                # Nobody gets there but by an answer of Spaces, and no link leads out of the folder.
                for path in (f"{BELOW}/{folder.name}/{PROGRAMME}", f"{BELOW}/../keys/links.key", "/metrics"):
                    assert (await http.get(path)).status_code == 404
                (folder / PROGRAMME).rename(folder / "elsewhere.mp4")
                (folder / PROGRAMME).symlink_to(folder / "elsewhere.mp4")
                assert (await http.get(links["bytes"])).status_code in {403, 404, 503}
                (folder / PROGRAMME).unlink()
                (folder / "elsewhere.mp4").rename(folder / PROGRAMME)

                assert (await http.get(links["bytes"])).content == whole
                await host.do("deleteRecording", recordingId=recording_id)
                for link in links.values():
                    assert (await http.get(link)).status_code == 410
