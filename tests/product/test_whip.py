"""WHIP and WHEP to the letter (RFC 9725)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from media.local import MAX_SESSIONS_PER_PARTICIPANT
from tests.media.publisher import tone
from tests.media.test_offer import AUDIO, HEAD
from tests.product.town import PATIENCE_S, Place, Town, open_town
from tests.product.whip import ask_to_speak, offer

FRAGMENT = """a=ice-ufrag:{ufrag}\r
a=ice-pwd:pppppppppppppppppppppp\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
a=mid:audio\r
a=candidate:1 1 UDP 2130706431 192.0.2.1 3500 typ host\r
a=end-of-candidates\r
"""
OFFERS = {"whip": HEAD + AUDIO, "whep": HEAD + AUDIO.replace("sendonly", "recvonly")}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    links = [
        {"url": "stun:stun.example.org"},
        {"url": "turn:turn.example.org?transport=udp", "username": "u", "credential": "p"},
    ]
    async with open_town(tmp_path / "data", ice_links=links) as opened:
        yield opened


@pytest.fixture
async def place(town: Town) -> Place:
    host = await town.person()
    return await host.join(await host.live_space())


async def post(place: Place, way: str) -> httpx.Response:
    url = place.whip_url if way == "whip" else place.whep_url
    return await place.town.http.post(url, content=OFFERS[way], headers=place.headers)


async def patch(
    place: Place, location: str, *, tag: str | None, content: str = "", media_type: str = ""
) -> int:
    headers = {**place.headers, "Content-Type": media_type or "application/trickle-ice-sdpfrag"}
    if tag is not None:
        headers["If-Match"] = tag
    content = content or FRAGMENT.format(ufrag="abcd")
    return (await place.town.http.patch(location, content=content, headers=headers)).status_code


@pytest.mark.parametrize("way", ["whip", "whep"])
async def test_a_session_is_created_trickled_to_and_deleted(place: Place, way: str) -> None:
    created = await post(place, way)
    assert created.status_code == 201
    assert created.headers["Content-Type"].startswith("application/sdp")
    assert created.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
    assert ("a=recvonly" if way == "whip" else "a=sendonly") in created.text
    location, tag = created.headers["Location"], created.headers["ETag"]
    assert location.startswith(f"{place.town.url}/media/{way}/")
    assert await patch(place, location, tag=tag) == 204
    assert await patch(place, location, tag=tag, content="a=end-of-candidates\r\n") == 204
    assert await patch(place, location, tag=None) == 428
    assert await patch(place, location, tag='"another"') == 412
    assert await patch(place, location, tag="*", content=FRAGMENT.format(ufrag="newer")) == 422
    assert await patch(place, location, tag=tag, content=FRAGMENT.format(ufrag="newer")) == 422
    assert await patch(place, location, tag=tag, content="hello") == 400
    assert await patch(place, location, tag=tag, content="a=x\r\n" * 9000) == 413
    assert await patch(place, location, tag=tag, media_type="application/sdp") == 415
    http = place.town.http
    assert (await http.delete(location)).status_code == 401
    assert (await http.delete(location, headers=place.headers)).status_code == 200
    assert (await http.delete(location, headers=place.headers)).status_code == 404
    assert await patch(place, location, tag=tag) == 404


@pytest.mark.parametrize("way", ["whip", "whep"])
async def test_other_methods_are_refused_with_those_that_are_allowed(place: Place, way: str) -> None:
    http = place.town.http
    endpoint = place.whip_url if way == "whip" else place.whep_url
    session = (await post(place, way)).headers["Location"]
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
        refused = await http.request(method, endpoint)
        assert (refused.status_code, _allowed(refused)) == (405, {"OPTIONS", "POST"})
    for method in ("GET", "HEAD", "PUT", "POST"):
        refused = await http.request(method, session)
        assert (refused.status_code, _allowed(refused)) == (405, {"DELETE", "OPTIONS", "PATCH"})


def _allowed(response: httpx.Response) -> set[str]:
    return {method.strip() for method in response.headers["Allow"].split(",")}


@pytest.mark.parametrize("way", ["whip", "whep"])
async def test_options_tell_what_can_be_posted_and_pages_of_other_origins_may_ask(
    place: Place, way: str
) -> None:
    endpoint = place.whip_url if way == "whip" else place.whep_url
    http = place.town.http
    options = await http.options(endpoint)
    assert options.headers["Accept-Post"] == "application/sdp"
    origin = {"Origin": "https://elsewhere.example"}
    asking = {
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,content-type,if-match",
    }
    preflight = await http.options(endpoint + "/x", headers={**origin, **asking})
    assert preflight.status_code == 200
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    assert "if-match" in preflight.headers["Access-Control-Allow-Headers"]
    created = await http.post(endpoint, content=OFFERS[way], headers={**place.headers, **origin})
    exposed = created.headers["Access-Control-Expose-Headers"]
    assert all(name in exposed for name in ("Location", "ETag", "Link"))


async def test_ice_servers_are_told_as_links(place: Place) -> None:
    created = await post(place, "whep")
    assert created.headers.get_list("Link") == [
        '<stun:stun.example.org>; rel="ice-server"',
        (
            '<turn:turn.example.org?transport=udp>; rel="ice-server"; username="u"; credential="p";'
            ' credential-type="password"'
        ),
    ]


@pytest.mark.parametrize("way", ["whip", "whep"])
async def test_who_may_not_is_told_why(place: Place, town: Town, way: str) -> None:
    url = place.whip_url if way == "whip" else place.whep_url
    http, sdp = town.http, {"Content-Type": "application/sdp"}
    refused = await http.post(url, content=OFFERS[way], headers=sdp)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    forged = {**sdp, "Authorization": "Bearer forged"}
    assert (await http.post(url, content=OFFERS[way], headers=forged)).status_code == 401
    json = {**place.headers, "Content-Type": "application/json"}
    assert (await http.post(url, content="{}", headers=json)).status_code == 415
    assert (await http.post(url, content="v=0", headers=place.headers)).status_code == 400
    assert (await http.post(url, content="v" * 66_000, headers=place.headers)).status_code == 413


async def test_one_person_has_at_most_four_sessions_in_a_space(place: Place) -> None:
    first = await post(place, "whep")
    for _ in range(MAX_SESSIONS_PER_PARTICIPANT - 1):
        assert (await post(place, "whep")).status_code == 201
    refused = await post(place, "whip")
    assert refused.status_code == 409
    assert refused.json()["errors"][0]["extensions"]["code"] == "CAPACITY_REACHED"
    await place.town.http.delete(first.headers["Location"], headers=place.headers)
    assert (await post(place, "whip")).status_code == 201


async def test_a_device_that_comes_back_by_itself_does_not_take_over_from_another(town: Town) -> None:
    host = await town.person()
    space_id = await host.live_space()
    voice = tone(frequency_hz=440, seconds=60)
    first, other = await host.join(space_id), await host.join(space_id)

    async def again(place: Place, *lost: str) -> httpx.Response:
        sessions = ", ".join(location.rpartition("/")[2] for location in lost)
        named = {"Spaces-Resumes": sessions} if lost else {}
        return await town.http.post(place.whip_url, content=await offer(), headers={**place.headers, **named})

    replaced, heard = await first.publish(voice), await other.publish(voice)
    async with asyncio.timeout(PATIENCE_S):
        while (refused := await again(first, *first.locations)).status_code != 409:
            await asyncio.sleep(0.05)
    (error,) = refused.json()["errors"]
    assert (error["extensions"]["code"], "another device" in error["message"]) == ("CONFLICT", True)
    assert (await again(other, "long/gone", *other.locations)).status_code == 201
    assert (await again(first)).status_code == 201
    await heard.close()
    assert (await town.http.delete(other.locations[0], headers=other.headers)).status_code == 200
    async with asyncio.timeout(PATIENCE_S):
        while (await again(first, *first.locations)).status_code != 201:
            await asyncio.sleep(0.05)
    await replaced.close()


@pytest.mark.parametrize("gone", ["deleted", "taken_down"])
async def test_once_the_recording_is_gone_a_live_space_asks_for_no_consent(town: Town, gone: str) -> None:
    host, guest, moderator = await town.person(), await town.person(), await town.moderator()
    space_id = await host.live_space(record=True)
    await ask_to_speak(guest, host, space_id)
    place = await guest.join(space_id)
    assert (await post(place, "whip")).status_code == 403
    assert (await guest.space(space_id, "consent { version }"))["consent"] is not None

    recording_id = (await host.recording(space_id, "id"))["id"]
    if gone == "deleted":
        await host.do("deleteRecording", recordingId=recording_id)
    else:
        await moderator.do(
            "reviewRecording", recordingId=recording_id, decision="VIOLATION", note="Not to be heard."
        )
    assert (await guest.space(space_id, "consent { version }"))["consent"] is None
    assert await guest.refused("acknowledgeRecording", spaceId=space_id, consentVersion="1") == "CONFLICT"
    assert (await post(place, "whip")).status_code == 201
    await host.do("endSpace", spaceId=space_id)
    assert (await guest.space(space_id, "consent { version }"))["consent"] is None
