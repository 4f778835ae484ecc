"""What is spoken into a Space by WHIP is what its recording plays."""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import urljoin
from uuid import uuid4

import numpy as np
import pytest

from tests.media.publisher import SAMPLE_RATE_HZ, tone
from tests.media.sound import Signal, decode
from tests.product.player import between, fetch_playlist, level_of_tone, place_of_tone, play
from tests.product.process import served_town
from tests.product.town import Town
from tests.product.whip import (
    SDP,
    acknowledge,
    ask_to_speak,
    began_s,
    knock,
    offer,
    sent_s,
    whip_of,
)

MOST_SDP_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """What one speaker sends: silence, then a tone."""

    frequency_hz: float
    level: float
    silence_s: float
    length_s: float

    @property
    def signal(self) -> Signal:
        silence = np.zeros(round(self.silence_s * SAMPLE_RATE_HZ), np.float32)
        sound = tone(frequency_hz=self.frequency_hz, seconds=self.length_s, level=self.level)
        return np.concatenate([silence, sound])


LOW = Tone(frequency_hz=440, level=0.4, silence_s=0.0, length_s=6.0)
MIDDLE = Tone(frequency_hz=660, level=0.2, silence_s=0.7, length_s=3.0)
HIGH = Tone(frequency_hz=990, level=0.1, silence_s=1.5, length_s=4.0)


async def decoded_without_complaint(url: str) -> None:
    """FFmpeg plays it from end to end and says nothing."""
    process = await asyncio.create_subprocess_exec(
        *("ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", url, "-f", "null", "-"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaints = await process.communicate()
    assert (process.returncode, output, complaints) == (0, b"", b"")


@pytest.mark.needs_ffmpeg
async def test_three_voices_are_in_the_programme_each_with_its_level_and_in_its_place(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with served_town(tmp_path_factory.mktemp("three")) as town:
        host = await town.person("host")
        guests = [await town.person("middle"), await town.person("high")]
        space_id = await host.live_space(record=True)
        for guest in guests:
            await ask_to_speak(guest, host, space_id)
            await acknowledge(guest, space_id)
        tones = (LOW, MIDDLE, HIGH)
        voices = [
            await person.publish(space_id, part.signal)
            for person, part in zip((host, *guests), tones, strict=True)
        ]
        await asyncio.gather(*(voice.play_to_end() for voice in voices))
        length_s = max(began_s(voice) + sent_s(voice) for voice in voices) - began_s(voices[0])
        for voice in voices:
            await voice.close()
        await host.do("endSpace", spaceId=space_id)

        want = "durationMs playback { url } download { url } gaps { startMs }"
        recording = await host.recording(space_id, want)
        assert recording["gaps"] == []
        assert recording["durationMs"] / 1000 == pytest.approx(length_s, abs=0.2)
        url = recording["playback"]["url"]
        programme = await play(town, url)
        assert len(programme) / SAMPLE_RATE_HZ == pytest.approx(length_s, abs=0.2)
        for part, voice in zip(tones, voices, strict=True):
            due_s = began_s(voice) - began_s(voices[0]) + part.silence_s
            start_s, end_s = place_of_tone(programme, frequency_hz=part.frequency_hz, level=part.level)
            assert start_s == pytest.approx(due_s, abs=0.15)
            assert end_s == pytest.approx(due_s + part.length_s, abs=0.15)
            inside = between(programme, start_s + 0.1, end_s - 0.1)
            level_db = level_of_tone(inside, frequency_hz=part.frequency_hz, reference=part.level)
            assert level_db == pytest.approx(0, abs=1)
            print(
                f"{part.frequency_hz} Hz: {start_s - due_s:+.3f} s, {end_s - due_s - part.length_s:+.3f} s,"
                f" {level_db:+.2f} dB"
            )
        print(f"sent {length_s:.3f} s, recorded {recording['durationMs'] / 1000:.3f} s")

        playlist = await fetch_playlist(town, url)
        assert (playlist.ended, playlist.kind) == (True, "VOD")
        assert playlist.duration_s * 1000 == pytest.approx(recording["durationMs"], abs=1)
        await decoded_without_complaint(url)
        await decoded_without_complaint(recording["download"]["url"])
        in_one_piece = decode((await town.fetch(recording["download"]["url"])).content)
        assert np.array_equal(in_one_piece, programme)


async def test_a_lone_voice_keeps_its_level(town: Town) -> None:
    host = await town.person()
    space_id = await host.live_space(record=True)
    voice = await host.publish(space_id, tone(frequency_hz=440, seconds=2, level=0.9))
    await voice.play_to_end()
    await voice.close()
    await host.do("endSpace", spaceId=space_id)
    recording = await host.recording(space_id, "playback { url }")
    programme = await play(town, recording["playback"]["url"])
    start_s, end_s = place_of_tone(programme, frequency_hz=440, level=0.9)
    inside = between(programme, start_s + 0.1, end_s - 0.1)
    assert level_of_tone(inside, frequency_hz=440, reference=0.9) == pytest.approx(0, abs=0.3)


async def test_a_listener_cannot_publish_and_gets_no_address_to_try(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    space_id = await host.live_space()
    listening = await guest.do("joinSpace", "whipUrl mediaToken", spaceId=space_id)
    assert listening == {"whipUrl": None, "mediaToken": None, "errors": []}
    await guest.do("raiseHand", spaceId=space_id, raised=True)
    await host.do("setParticipantRole", spaceId=space_id, userId=guest.id, role="SPEAKER")
    url, token = await whip_of(guest, space_id)
    await host.do("setParticipantRole", spaceId=space_id, userId=guest.id, role="LISTENER")
    assert (await knock(town, url, token, await offer())).status_code == 403


async def test_a_speaker_cannot_publish_before_acknowledging_the_recording(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    space_id = await host.live_space(record=True)
    await ask_to_speak(guest, host, space_id)
    url, token = await whip_of(guest, space_id)
    assert (await knock(town, url, token, await offer())).status_code == 403
    await acknowledge(guest, space_id)
    assert (await knock(town, url, token, await offer())).status_code == 201


async def test_a_speaker_needs_no_acknowledgement_where_nothing_is_recorded(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    space_id = await host.live_space()
    await ask_to_speak(guest, host, space_id)
    url, token = await whip_of(guest, space_id)
    assert (await knock(town, url, token, await offer())).status_code == 201


async def test_only_the_media_token_of_this_space_opens_the_door(town: Town) -> None:
    host, other = await town.person(), await town.person()
    space_id = await host.live_space()
    url, token = await whip_of(host, space_id)
    _, token_of_another = await whip_of(other, await other.live_space())
    sdp = await offer()
    for wrong in (None, "x", host.token, token_of_another, token[:-1], token + "A", "A" * 8000):
        assert (await knock(town, url, wrong, sdp)).status_code == 401, wrong
    for unknown in (str(uuid4()), "nothing", "%00"):
        response = await knock(town, urljoin(url, unknown), token, sdp)
        assert response.status_code in {401, 404}, unknown


async def test_nobody_publishes_into_a_space_that_has_ended(town: Town) -> None:
    host = await town.person()
    space_id = await host.live_space(record=True)
    url, token = await whip_of(host, space_id)
    await host.do("endSpace", spaceId=space_id)
    response = await knock(town, url, token, await offer())
    assert 400 <= response.status_code < 500
    assert await host.refused("joinSpace", spaceId=space_id) == "ALREADY_ENDED"


def hostile(good: str) -> dict[str, str | bytes]:
    """Offers that mean no good, each by the name of what is wrong with it."""
    audio = good[good.index("m=audio") :]
    return {
        "empty": "",
        "null": "null",
        "json": '{"type": "offer", "sdp": ""}',
        "not UTF-8": b"v=0\r\n\xff\xfe\xfa",
        "NUL": good.replace("a=mid:0", "a=mid:\0"),
        "cut off": good[: len(good) // 2],
        "no media": good[: good.index("m=audio")],
        "video": good.replace("m=audio", "m=video"),
        "data channel": good.replace("m=audio", "m=application").replace(
            "UDP/TLS/RTP/SAVPF", "UDP/DTLS/SCTP"
        ),
        "plain RTP": good.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
        "many tracks": good + audio * 20,
        "no fingerprint": without(good, "a=fingerprint"),
        "no password": without(good, "a=ice-pwd"),
        "no name": without(good, "a=ice-ufrag"),
        "no Opus": good.replace("opus/48000", "nonesuch/48000"),
        "no codec": without(good, "a=rtpmap"),
        "a codec beyond all numbers": good.replace("a=rtpmap:96", "a=rtpmap:99999999999999999999"),
        "listening only": good.replace("a=sendonly", "a=recvonly"),
        "a fingerprint of nothing": replace_value(good, "a=fingerprint", "sha-256 "),
        "a fingerprint by no known digest": replace_value(good, "a=fingerprint", "md9 00:11:22"),
        "a setup of no kind": replace_value(good, "a=setup", "tomorrow"),
        "a port beyond all ports": re.sub(r"m=audio \d+", "m=audio 9999999999", good),
        "a candidate of nonsense": good + "a=candidate:x y z\r\n",
        "candidates without end": good + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 1000,
        "a line without end": good + "a=" + "x" * 60_000 + "\r\n",
        "lines without end": "v=0\r\n" + "a\r\n" * 20_000,
        "not even a line": "\n" * 60_000,
    }


def without(sdp: str, start: str) -> str:
    """An offer without the lines that begin so."""
    return "".join(line for line in sdp.splitlines(keepends=True) if not line.startswith(start))


def replace_value(sdp: str, start: str, value: str) -> str:
    """An offer in which the lines that begin so say something else."""
    lines = sdp.splitlines(keepends=True)
    return "".join(f"{start}:{value}\r\n" if line.startswith(start) else line for line in lines)


# What another implementation may well accept: to ignore a bad candidate is no fault.
HARMLESS = {"a candidate of nonsense", "candidates without end", "a line without end"}


async def test_a_hostile_offer_is_refused_in_the_callers_name_and_the_next_good_one_is_taken(
    town: Town,
) -> None:
    host = await town.person()
    space_id = await host.live_space(record=True)
    url, token = await whip_of(host, space_id)
    good = await offer()
    for name, sdp in hostile(good).items():
        assert sdp != good, f"expected {name} to change something"
        response = await knock(town, url, token, sdp)
        accepted = name in HARMLESS and response.status_code == 201
        assert accepted or 400 <= response.status_code < 500, f"{name}: {response.status_code}"
        assert "Traceback" not in response.text
    voice = await host.publish(space_id, tone(frequency_hz=440, seconds=0.5))
    await voice.play_to_end()
    await host.until(space_id, "RECORDING")
    await voice.close()


async def test_every_line_of_an_offer_may_be_missing_without_a_server_error(town: Town) -> None:
    host = await town.person()
    space_id = await host.live_space(record=True)
    url, token = await whip_of(host, space_id)
    lines = (await offer()).splitlines(keepends=True)
    for number in range(len(lines)):
        sdp = "".join(lines[:number] + lines[number + 1 :])
        status = (await knock(town, url, token, sdp)).status_code
        assert status == 201 or 400 <= status < 500, f"without {lines[number]!r}: {status}"


async def test_an_offer_is_sdp_of_at_most_64_kb(town: Town) -> None:
    host = await town.person()
    space_id = await host.live_space()
    url, token = await whip_of(host, space_id)
    sdp = await offer()
    for wrong in ("application/json", "text/plain", "application/sdpx", None):
        response = await knock(town, url, token, sdp.encode(), content_type=wrong)
        assert response.status_code == 415, wrong
    at_the_limit = sdp + "a=" + "x" * (MOST_SDP_BYTES - len(sdp) - 4) + "\r\n"
    assert len(at_the_limit) == MOST_SDP_BYTES
    assert (await knock(town, url, token, at_the_limit)).status_code != 413
    assert (await knock(town, url, token, at_the_limit + "\n")).status_code == 413


async def test_a_session_is_ended_once_and_by_who_began_it(town: Town) -> None:
    host, guest = await town.person(), await town.person()
    space_id = await host.live_space()
    await ask_to_speak(guest, host, space_id)
    url, token = await whip_of(host, space_id)
    _, token_of_guest = await whip_of(guest, space_id)
    answer = await knock(town, url, token, await offer())
    assert answer.status_code == 201
    assert answer.headers["content-type"].partition(";")[0] == SDP
    session = urljoin(url, answer.headers["location"])
    assert (await town.http.delete(session)).status_code == 401
    by_guest = await town.http.delete(session, headers={"Authorization": f"Bearer {token_of_guest}"})
    assert by_guest.status_code in {403, 404}
    signed = {"Authorization": f"Bearer {token}"}
    assert (await town.http.delete(session, headers=signed)).status_code == 200
    assert (await town.http.delete(session, headers=signed)).status_code == 404


async def test_the_endpoint_says_what_it_takes(town: Town) -> None:
    host = await town.person()
    url, _ = await whip_of(host, await host.live_space())
    answer = await town.http.options(url)
    assert answer.status_code in {200, 204}
    assert answer.headers["accept-post"] == SDP
